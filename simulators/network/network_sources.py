"""Networks by name, from a pandapower file, or the small default feeder; and how their buses are addressed.

A bus is addressed by its **pandapower index** (an integer) or by its **name** (a string). Numbers of the literature are
neither: the buses 1..33 of the 33-bus feeder are 0..32 in `case33bw`, so that "bus 18" of a paper is bus 17 here.
"""

from __future__ import annotations

import inspect
import json
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import pandas as pd
from pandapower.toolbox import element_bus_tuples
from pandapower.topology import connected_components, create_nxgraph

DEFAULT = "lv_feeder"
_SHORT_NAMES = {f"cigre_{level}": f"create_cigre_network_{level}" for level in ("hv", "mv", "lv")}
_FACTS = ("svc", "tcsc", "ssc", "vsc")
_NUMBERS = {
    "bus": ("vn_kv",),
    "line": ("length_km", "r_ohm_per_km", "x_ohm_per_km", "c_nf_per_km"),
    "trafo": ("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "vkr_percent", "pfe_kw", "i0_percent"),
    "load": ("p_mw", "q_mvar"),
    "sgen": ("p_mw", "q_mvar"),
    "gen": ("p_mw", "vm_pu"),
    "ext_grid": ("vm_pu",),
}
"""Without these there is no power flow; pandapower reads a file that lacks them all the same."""
_VOLTAGE_DEPENDENCE = ("const_z_p_percent", "const_i_p_percent", "const_z_q_percent", "const_i_q_percent")


def lv_feeder() -> pp.pandapowerNet:
    """Build the default network, a small low-voltage feeder for one hub.

    A 20 kV grid held at 1.0 pu (bus 0), a 400 kVA transformer (standard type ``0.4 MVA 20/0.4 kV``), its busbar (bus 1)
    and three stretches of 100 m cable (standard type ``NAYY 4x150 SE``, 270 A) to buses 2, 3 and 4, each of which has
    neighbours that draw 10 kW at a power factor of 0.95.

    Returns
    -------
    pandapowerNet
        Five buses: ``mv``, ``busbar``, ``feeder 1``, ``feeder 2``, ``feeder 3``.
    """
    net = pp.create_empty_network(name=DEFAULT, sn_mva=1.0)
    mv = pp.create_bus(net, vn_kv=20.0, name="mv")
    previous = pp.create_bus(net, vn_kv=0.4, name="busbar")
    pp.create_ext_grid(net, mv, vm_pu=1.0, name="grid")
    pp.create_transformer(net, mv, previous, std_type="0.4 MVA 20/0.4 kV", name="transformer")
    for number in (1, 2, 3):
        bus = pp.create_bus(net, vn_kv=0.4, name=f"feeder {number}")
        pp.create_line(net, previous, bus, length_km=0.1, std_type="NAYY 4x150 SE", name=f"cable {number}")
        pp.create_load_from_cosphi(net, bus, 0.010 / 0.95, 0.95, "underexcited", name=f"neighbours {number}")
        previous = bus
    return net


def available() -> dict[str, Callable[[], pp.pandapowerNet]]:
    """List the networks that can be had by name.

    Returns
    -------
    dict of str to callable
        `lv_feeder`, the CIGRE networks as ``cigre_hv``, ``cigre_mv`` and ``cigre_lv``, and every function of
        ``pandapower.networks`` that needs no argument, under its own name.
    """
    functions = {
        name: function
        for name, function in vars(pn).items()
        if inspect.isfunction(function)
        and function.__module__.startswith("pandapower.networks")
        and not any(_required(parameter) for parameter in inspect.signature(function).parameters.values())
    }
    short = {name: functions[long] for name, long in _SHORT_NAMES.items()}
    return {DEFAULT: lv_feeder} | short | functions


def build(source: str) -> pp.pandapowerNet:
    """Build a network from its name or its file, and check that it can be solved here.

    Parameters
    ----------
    source : str
        A name in `available`, or the path of a pandapower JSON file (ends with ``.json``).

    Returns
    -------
    pandapowerNet
        A new network. Two calls give the same network, also where pandapower draws cable types at random.

    Raises
    ------
    ValueError
        If the name is unknown or the file is not a pandapower network; if the network has no slack, several slacks in
        one island, loads that depend on the voltage, or FACTS devices.
    """
    net = _from_file(Path(source)) if source.endswith(".json") else _from_name(source)
    pp.set_user_pf_options(net, overwrite=True)  # options kept in a file would silently overrule ours
    _refuse_unsupported(net, source)
    _check_slacks(net, source)
    return net


def find_bus(net: pp.pandapowerNet, bus: int | str, user: str = "bus") -> int:
    """Find the pandapower index of a bus that is in service.

    Parameters
    ----------
    net : pandapowerNet
        The network.
    bus : int or str
        Pandapower index, or name of the bus.
    user : str, optional
        Who asks; starts the error message.

    Returns
    -------
    int
        Index in ``net.bus``.

    Raises
    ------
    ValueError
        If the bus does not exist, its name stands for several buses, or it is out of service.
    """
    index = find_row(net.bus, bus, "bus", user)
    if not net.bus.at[index, "in_service"]:
        raise ValueError(f"{user}: bus {bus!r} is out of service")
    return index


def find_row(table, key: int | str, kind: str, user: str) -> int:
    """Find the pandapower index of a row by its index or name.

    Parameters
    ----------
    table : DataFrame
        A pandapower table, with a column ``name``.
    key : int or str
        Index (int) or name (str).
    kind, user : str
        What the rows are and who asks, for the error message.

    Returns
    -------
    int
        Index in `table`.

    Raises
    ------
    ValueError
        If there is no such row, or several have that name.
    """
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        if key in table.index:
            return int(key)
        nearest = sorted(sorted(table.index, key=lambda index: abs(index - key))[:3])
        raise ValueError(
            f"{user}: there is no {kind} with index {key}; there are {len(table)}, from {table.index.min()} to "
            f"{table.index.max()}, nearest {', '.join(map(str, nearest))}"
            if len(table)
            else f"{user}: there is no {kind} with index {key}; the network has none"
        )
    names = table["name"].astype(str)
    matches = table.index[names == key]
    if len(matches) == 1:
        return int(matches[0])
    if len(matches):
        raise ValueError(f"{user}: {kind} name {key!r} stands for indices {', '.join(map(str, matches))}; use an index")
    raise ValueError(f"{user}: there is no {kind} named {key!r}; {_close(str(key), names.unique())}")


def sources(net: pp.pandapowerNet) -> list[int]:
    """List the buses that hold a slack in service, one entry for each slack.

    Parameters
    ----------
    net : pandapowerNet
        The network.

    Returns
    -------
    list of int
        Bus indices of external grids and of generators that act as slack.
    """
    grids = net.ext_grid.loc[net.ext_grid.in_service.astype(bool), "bus"]
    machines = net.gen.loc[net.gen.in_service.astype(bool) & net.gen.slack.astype(bool), "bus"]
    return [int(bus) for bus in (*grids, *machines) if net.bus.at[bus, "in_service"]]


def _required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind not in (
        parameter.VAR_POSITIONAL,
        parameter.VAR_KEYWORD,
    )


def _close(word: str, words) -> str:
    words = [str(known) for known in words]
    near = get_close_matches(word, words, n=5, cutoff=0.4) or words[:5]
    return f"close to it: {', '.join(near)}" if near else "there are none"


def _from_name(name: str) -> pp.pandapowerNet:
    known = available()
    if name not in known:
        raise ValueError(
            f"there is no network {name!r}; {_close(name, known)} ({len(known)} in all; a file must end with .json)"
        )
    with _same_random_numbers(), _without_advice("pandapower.auxiliary", "numba"):
        net = known[name]()
    if not isinstance(net, pp.pandapowerNet):
        raise ValueError(f"pandapower.networks.{name} gives a {type(net).__name__}, not a network")
    return net


def _from_file(path: Path) -> pp.pandapowerNet:
    if not path.is_file():
        raise ValueError(f"there is no network file {path}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a pandapower network: {error}") from error
    if not isinstance(content, dict) or content.get("_class") != "pandapowerNet":
        raise ValueError(f"{path} is not a pandapower network as pandapower.to_json writes it")
    try:
        with _without_advice("pandapower.io_utils", "skip_checks"):
            net = pp.from_json(path)
    except Exception as error:  # pandapower raises whatever its decoder meets
        raise ValueError(f"{path} is not a pandapower network that can be read: {error}") from error
    if not isinstance(net, pp.pandapowerNet):
        raise ValueError(f"{path} is not a pandapower network: it holds a {type(net).__name__}")
    _refuse_damaged(net, path)
    return net


def _refuse_damaged(net: pp.pandapowerNet, path: Path) -> None:
    """Refuse a file whose elements hang on buses that it does not have, or lack numbers of the power flow."""
    for table, column in element_bus_tuples():
        if table in net and len(net[table]):
            buses = net[table][column]
            stray = buses[~buses.isin(net.bus.index)]
            if len(stray):
                row, bus = stray.index[0], stray.iloc[0]
                raise ValueError(f"{path}: {table} {row} has the {column} {bus}, which is no bus of it")
    for table, columns in _NUMBERS.items():
        lacking = [column for column in ("in_service", *columns) if column not in net[table]]
        if lacking:
            raise ValueError(f"{path}: the table {table} has no {lacking[0]}")
        rows = net[table][net[table]["in_service"].astype(bool)]
        for column in columns:
            numbers = pd.Series(pd.to_numeric(rows[column], errors="coerce")).to_numpy(dtype=float)
            wrong = rows.loc[~np.isfinite(numbers), column]
            if len(wrong):
                raise ValueError(
                    f"{path}: {table} {wrong.index[0]} must have a number as {column}, got {wrong.iloc[0]}"
                )


def _refuse_unsupported(net: pp.pandapowerNet, source: str) -> None:
    """The warm solver knows constant powers and linear elements; what is neither is refused, not approximated."""
    facts = [table for table in _FACTS if table in net and len(net[table])]
    if facts:
        raise ValueError(f"network {source!r} has FACTS devices ({', '.join(facts)}), which are not supported")
    columns = [column for column in _VOLTAGE_DEPENDENCE if column in net.load]
    dependent = net.load.index[(net.load[columns].fillna(0.0) != 0.0).any(axis=1)]
    if len(dependent):
        raise ValueError(
            f"network {source!r} has loads that depend on the voltage ({', '.join(map(str, dependent[:5]))}); "
            "only constant powers are supported"
        )


def _check_slacks(net: pp.pandapowerNet, source: str) -> None:
    slacks = sources(net)
    if not slacks:
        raise ValueError(f"network {source!r} has no slack: no external grid, and no slack generator, is in service")
    for island in connected_components(create_nxgraph(net)):
        inside = [bus for bus in slacks if bus in island]
        if len(inside) > 1:
            raise ValueError(
                f"network {source!r} has {len(inside)} slacks in one island, at buses "
                f"{', '.join(map(str, inside))}; exactly one is allowed"
            )


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    """Some of pandapower's networks draw cable types from the global generator: give them the same draws each time."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)


@contextmanager
def _without_advice(logger_name: str, word: str) -> Iterator[None]:
    """Drop messages with a word: the advice to install numba, and to let a file that is refused run what it likes."""
    logger = logging.getLogger(logger_name)

    def wanted(record: logging.LogRecord) -> bool:
        return word not in record.getMessage()

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)
