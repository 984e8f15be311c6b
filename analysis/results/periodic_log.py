"""The periodic log that a hub's controller keeps (Leal et al. 2024, section 2): energy, status and events, as CSV."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...simulators.units import energy_kwh
from ..kpis import step_signals
from ..kpis.balanced_kinds import layers_of, part_of
from .hub_signals import hub_powers, kind_powers
from .result_reader import Results, step_length_s

_STATUS = {
    "bess_soc": "bess/soc",
    "p_in_limit_kw": "controller/p_in_limit_kw",
    "p_limit_cp_kw": "controller/p_limit_cp_kw",
}


def periodic_log(results: Results, hub: str, every: str = "15min") -> pd.DataFrame:
    """Return energy, status and events of one hub, one row for each period.

    Parameters
    ----------
    results : Results
        A run; signals that its controller does not record are left out.
    hub : str
        Name of the hub.
    every : str
        Length of a period, such as ``15min``; the last one may be shorter.

    Returns
    -------
    DataFrame
        By the start of the period: energies in it [kWh]; at its end the bus, the busy connectors, the state of charge,
        the limits in force [kW] and the active alarms; and the events in it, as ``kind: text`` with ``|`` between.

    Raises
    ------
    ValueError
        If there is no such hub, or the period is not longer than 0.
    """
    if hub not in results.hubs:
        raise ValueError(f"hub must be one of {', '.join(results.hubs)}, got {hub!r}")
    edges = step_signals.edges(results.end_s, step_length_s(every))
    lengths = np.diff(np.minimum(edges, results.end_s))
    # a period ends just before the next one begins
    ends = np.nextafter(np.minimum(edges[1:], results.end_s), 0.0)
    columns: dict[str, np.ndarray | list[str]] = {}
    t_s, powers, _ = hub_powers(results, hub)
    signs = {device.kind: device.sign for device in results.devices(hub).values()}
    for kind, device_powers in kind_powers(results, hub, powers).items():
        for layer in layers_of(kind, signs[kind]):
            name = layer.logged or layer.energy
            if name != "-":
                p_kw = np.sum([part_of(layer, values) for values in device_powers], axis=0)
                columns[name] = energy_kwh(step_signals.mean(t_s, p_kw, edges, results.end_s), lengths)
    columns |= _status(results, hub, ends)
    columns["events"] = _events(results, hub, edges)
    return pd.DataFrame(columns, index=results.times(edges[:-1]))


def _status(results: Results, hub: str, at_s: np.ndarray) -> dict[str, np.ndarray | list[str]]:
    def held(signal: str) -> np.ndarray:
        return step_signals.hold(*results.arrays(f"{hub}/{signal}"), at_s)

    columns: dict[str, np.ndarray | list[str]] = {}
    if results.has(f"{hub}/ats/bus"):
        codes = results.spec(f"{hub}/ats/bus").codes or {}
        columns["bus"] = [codes.get(code, "") for code in held("ats/bus").tolist()]
    if results.has(f"{hub}/cp/session"):
        columns["busy_connectors"] = (held("cp/session") >= 0).sum(axis=1)
    columns |= {name: held(signal) for name, signal in _STATUS.items() if results.has(f"{hub}/{signal}")}
    if results.has(f"{hub}/controller/alarms"):
        columns["alarms"] = [_numbers(int(mask)) for mask in np.nan_to_num(held("controller/alarms"))]
    return columns


def _numbers(mask: int) -> str:
    return " ".join(str(bit + 1) for bit in range(mask.bit_length()) if mask >> bit & 1)


def _events(results: Results, hub: str, edges: np.ndarray) -> list[str]:
    table = results.events()
    table = table[table["source"].str.split(".").str[0] == hub]
    periods: list[list[str]] = [[] for _ in edges[:-1]]
    for t_s, kind, text in zip(table["t_s"], table["kind"], table["text"], strict=True):
        index = min(int(np.searchsorted(edges, t_s, side="right")) - 1, len(periods) - 1)
        periods[index].append(f"{kind}: {text}")
    return [" | ".join(period) for period in periods]
