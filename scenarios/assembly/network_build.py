"""The network of a scenario, and when its lines that are out leave a hub without a source."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ...simulators.adapter import Schedule
from ...simulators.series import Series
from ..errors import Problem
from ..files.file_state import file_state
from ..schema import scenario_schema
from .build_inputs import Inputs

if TYPE_CHECKING:
    from ...simulators.network.network_model import NetworkParameters, PlantNetwork


@dataclass(frozen=True)
class BuiltNetwork:
    """The network of a plant.

    Parameters
    ----------
    network : PlantNetwork
        As the plant solves it.
    lines_out : dict of int to Schedule
        When each line that is ever out is out, by its index.
    settings : dict
        Of its simulator.
    """

    network: PlantNetwork
    lines_out: dict[int, Schedule]
    settings: dict[str, Any]


def build_network(inputs: Inputs) -> BuiltNetwork | None:
    """Build the network of a scenario; None where it has none, or where a problem is kept in `inputs`."""
    section = inputs.scenario.network
    if section is None:
        return None
    network = _network(inputs, section)
    scale = Series.constant(1.0)
    if section.load_scale is not None:
        with inputs.at("network.load_scale"):
            scale = inputs.series(section.load_scale, "network.load_scale", low=0.0)
    if network is None or not _has_lines(inputs, network, section):
        return None
    lines = sorted({event.what.line for event in inputs.scenario.events if event.kind == "line_out"})
    lines_out = {line: inputs.schedule("line_out", None, False, line=line) for line in lines}
    settings = {
        "network": network,
        "load_scale": scale,
        "lines_out": lines_out,
        "tolerance_kw": section.tolerance_kw,
    }
    return BuiltNetwork(network, lines_out, settings)


def _network(inputs: Inputs, section: scenario_schema.NetworkSection) -> PlantNetwork | None:
    # pandapower takes seconds to import, and not every run needs it
    from ...simulators.network.network_model import NetworkParameters

    source, state = section.net, None
    with inputs.at("network.net"):
        if source.endswith(".json"):
            path = inputs.loaded.resolve(source, "network.net")
            source, state = str(path), file_state(path)
        replaces = frozenset(inputs.scenario.hubs) if section.replaces_load else frozenset()
        ordered = tuple((name, section.hub_bus[name]) for name in inputs.scenario.hubs)
        try:
            return deepcopy(_solved(NetworkParameters(source, replaces, section.solver), ordered, state))
        except ImportError as error:
            allowed = f"must be newton: {error}"
            inputs.problems.append(Problem(inputs.where, "network.solver", section.solver, allowed))
        except ValueError as error:
            # what begins with a hub concerns its bus, not the network itself
            key = "network.hub_bus" if str(error).startswith("hub ") else "network.net"
            inputs.problems.append(Problem(inputs.where, key, ..., str(error)))
    return None


@lru_cache(maxsize=4)
def _solved(parameters: NetworkParameters, hubs: tuple[tuple[str, int | str], ...], state: object) -> PlantNetwork:
    """Return a network as it is before a run, for copies: pandapower takes half a second to read a small feeder."""
    from ...simulators.network.network_model import PlantNetwork

    return PlantNetwork(parameters, dict(hubs))


def _has_lines(inputs: Inputs, network: PlantNetwork, section: scenario_schema.NetworkSection) -> bool:
    """Return whether every line that is ever out is one of the network; keep a problem otherwise."""
    known = network.line_index.tolist()
    for n, event in enumerate(inputs.scenario.events):
        if event.kind == "line_out" and event.what.line not in known:
            allowed = f"must be the pandapower index of a line of {section.net}: {known[0]} to {known[-1]}"
            inputs.problems.append(Problem(inputs.where, f"events[{n}].line_out.line", event.what.line, allowed))
            return False
    return True


def feeder_outages(built: BuiltNetwork | None, hub: str) -> list[tuple[float, float, bool]]:
    """Find when the lines that are out leave a hub's bus without a source.

    Which lines are out is known from the start, so that the hub loses its voltage in the very instant.

    Parameters
    ----------
    built : BuiltNetwork or None
        The network; nothing is lost without one.
    hub : str
        Name of the hub.

    Returns
    -------
    list of (from_s, until_s, True)
        Times [s].
    """
    if built is None or not built.lines_out:
        return []
    network, lines_out = built.network, built.lines_out
    position, nothing = network.hubs.index(hub), np.zeros(len(network.hubs))
    edges = sorted({0.0, *(t for schedule in lines_out.values() for t in schedule.edges)})
    dead = []
    for edge, until in zip(edges, [*edges[1:], math.inf], strict=True):
        out = frozenset(line for line, schedule in lines_out.items() if schedule.at(edge))
        if out and not network.solve(nothing, nothing, [1] * len(network.hubs), 1.0, out).energised[position]:
            dead.append((edge, until, True))
    return dead
