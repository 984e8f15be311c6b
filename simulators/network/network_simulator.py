"""The simulator of the distribution network: one power flow for every change of what the hubs draw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..adapter import EVENTS, NEVER, Adapter, Device, Port, Schedule, named
from ..series import Series
from .network_model import PlantNetwork

WHOLE = "network"
"""Entity of what belongs to the network and not to one hub (as in ``scenarios.wiring``)."""


class Node(Device):
    """What one hub draws from the network and gets from it; or, for ``network``, the results of the whole."""


class NetworkSimulator(Adapter):
    """Solves the network when an injection, its own loads or its branches have changed."""

    model = "Network"
    device = Node
    inputs = {
        "p_kw": Port("kW", "drawn by the hub"),
        "q_kvar": Port("kvar", "reactive power drawn by the hub"),
        "bus": Port("", "what feeds the hub bus: 0 dead, 1 grid, 2 secondary source"),
    }
    outputs = {
        "v_pu": Port("pu", "voltage at the hub bus, 0 when it is dead"),
        "bus_v_pu": Port("pu", "voltage of each bus of the network", "bus"),
        "line_loading_percent": Port("%", "current over rating of each line", "line"),
        "trafo_loading_percent": Port("%", "current over rating of each transformer", "transformer"),
        "v_min_pu": Port("pu", "lowest voltage of the buses that have any"),
        "v_max_pu": Port("pu", "highest voltage"),
        "losses_kw": Port("kW", "losses of all branches"),
        "p_slack_kw": Port("kW", "power from the superior grid"),
        "converged": Port("", "whether the power flow has a solution", codes={0: "no", 1: "yes"}),
        "events": EVENTS,
    }

    def configure(
        self, network: PlantNetwork, load_scale: Series, lines_out: Mapping[int, Schedule], tolerance_kw: float
    ) -> None:
        """Set the network, the profile of its own loads, and the outages of its lines."""
        self._network = network
        self._load_scale = load_scale
        self._lines_out = lines_out
        self._tolerance_kw = tolerance_kw
        self._solved: tuple | None = None
        self._problems: tuple[tuple[str, ...], ...] = ()

    def create(self, num: int, model: str, *, eid: str, parameters: Mapping[str, Any]):
        """Create the node of a hub; all hubs stand in the network from the start."""
        created = super().create(num, model, eid=eid, parameters=parameters)
        self.devices[eid].inputs = {"p_kw": 0.0, "q_kvar": 0.0, "bus": 1}
        return created

    def step(self, time: int, inputs: Mapping, max_advance: int) -> int | None:
        """Solve the network if anything has changed by more than the tolerance."""
        t_s = self.clock.seconds(time)
        for name, device in self.devices.items():
            device.changed = {}
            for port, sources in inputs.get(name, {}).items():
                for value in sources.values():
                    device.inputs[port] = value
        if t_s >= self.clock.end_s:
            return None
        try:
            out = frozenset(line for line, schedule in self._lines_out.items() if schedule.at(t_s))
            self._solve(self._load_scale.at(t_s), out)
            changes = [self._load_scale.next_change(t_s), *(s.next_change(t_s) for s in self._lines_out.values())]
        except TypeError as error:
            raise named(error, self.model, WHOLE, t_s) from error
        wake_s = min(changes)
        step = NEVER if wake_s == math.inf else self.clock.step_at_or_after(wake_s)
        return max(step, time + 1) if step <= self.clock.steps else None

    def _solve(self, load_scale: float, lines_out: frozenset[int]) -> None:
        network = self._network
        held = [self.devices[hub].inputs for hub in network.hubs]
        p_kw = [hub["p_kw"] for hub in held]
        q_kvar = [hub["q_kvar"] for hub in held]
        bus = [hub["bus"] for hub in held]
        flows, fixed = p_kw + q_kvar, (bus, load_scale, lines_out)
        if self._solved is not None and self._solved[1] == fixed:
            moved_kw = max(abs(now - before) for now, before in zip(flows, self._solved[0], strict=True))
            if moved_kw <= self._tolerance_kw:
                return
        self._solved = (flows, fixed)
        result = network.solve(p_kw, q_kvar, bus, load_scale, lines_out)
        for n, hub in enumerate(network.hubs):
            self.devices[hub].emit("v_pu", float(result.hub_v_pu[n]))
        self._emit_whole(result)

    def _emit_whole(self, result) -> None:
        whole = self.devices[WHOLE]
        live = result.v_pu[result.v_pu > 0.0]
        whole.emit("bus_v_pu", result.v_pu)
        whole.emit("line_loading_percent", result.line_loading_percent)
        whole.emit("trafo_loading_percent", result.trafo_loading_percent)
        whole.emit("v_min_pu", float(live.min()) if live.size else math.nan)
        whole.emit("v_max_pu", float(live.max()) if live.size else math.nan)
        whole.emit("losses_kw", float(result.losses_kw))
        whole.emit("p_slack_kw", float(result.p_slack_kw))
        whole.emit("converged", int(result.converged))
        if result.problems and result.problems != self._problems:
            whole.emit_events([("power flow", result.message)])
        self._problems = result.problems
