"""Signals that tables and pictures need: signals of a hub on common times, its supply, power balance and connectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...simulators.units import S_PER_DAY, S_PER_H, S_PER_MIN
from ..kpis import kpi_formulas, step_signals
from ..kpis.balanced_kinds import balanced_kinds, layers_of, part_of

if TYPE_CHECKING:
    from .run_data import RunData

_UNKNOWN_COLOUR = "#7F7F7F"


# Okabe & Ito 2008, "Color Universal Design": distinguishable with every kind of colour vision
def colour_of(kind: str) -> str:
    """Return the colour of a kind of device in pictures; grey for a kind that is not registered here."""
    return balanced_kinds()[kind].colour if kind in balanced_kinds() else _UNKNOWN_COLOUR


_NOTHING_KW = 1e-6  # less is rounding
_STEPS_S = (
    *(n for n in (1, 2, 5, 10, 15, 30)),
    *(n * S_PER_MIN for n in (1, 2, 5, 10, 15, 30)),
    *(n * S_PER_H for n in (1, 2, 3, 6, 12)),
    *(n * S_PER_DAY for n in (1, 2, 7, 14, 28)),
)


@dataclass(frozen=True)
class Area:
    """One layer of the power balance.

    Parameters
    ----------
    device : str
        Kind of device it belongs to.
    name : str
        Name of the layer.
    p_kw : array, shape (m,)
        Power, >= 0 [kW].
    source : bool
        True for power that feeds the bus, False for power that is used.
    """

    device: str
    name: str
    p_kw: np.ndarray
    source: bool


def hub_signals(results: RunData, hub: str, paths: Mapping[str, str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return some signals of a hub on common times; those it does not have are left out.

    Parameters
    ----------
    results : RunData
        The run.
    hub : str
        Name of the hub.
    paths : mapping of str to str
        Paths within the hub by the names to return them under.

    Returns
    -------
    t_s : array, shape (k,)
        All times at which one of them changes [s].
    signals : dict of str to array, shape (k,) or (k, n)
        Values held at these times; NaN before the first.
    """
    raw = {name: results.arrays(f"{hub}/{path}") for name, path in paths.items() if results.has(f"{hub}/{path}")}
    t_s = step_signals.union([t for t, _ in raw.values()])
    return t_s, {name: step_signals.hold(*signal, t_s) for name, signal in raw.items()}


def hub_powers(
    results: RunData, hub: str, paths: Mapping[str, str] | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the powers that balance at a hub bus, and further signals, on common times.

    Parameters
    ----------
    results : RunData
        The run.
    hub : str
        Name of the hub.
    paths : mapping of str to str, optional
        Further paths within the hub, by the names to return them under.

    Returns
    -------
    t_s : array, shape (k,)
        All times at which one of them changes [s].
    powers : dict of str to array, shape (k,)
        By device, in the order of `RunData.devices` [kW].
    others : dict of str to array
        The further signals that the hub has.
    """
    devices = results.devices(hub)
    wanted = {f"p_kw of {name}": f"{name}/p_kw" for name in devices}
    t_s, signals = hub_signals(results, hub, {**wanted, **(paths or {})})
    powers = {name: signals.pop(f"p_kw of {name}") for name in devices if f"p_kw of {name}" in signals}
    return t_s, powers, signals


def kind_powers(results: RunData, hub: str, powers: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Return the powers of the devices of a hub, by kind of device."""
    by_kind: dict[str, list[np.ndarray]] = {}
    for name, device in results.devices(hub).items():
        if name in powers:
            by_kind.setdefault(device.kind, []).append(powers[name])
    return by_kind


def hub_supply(results: RunData, hub: str) -> tuple[np.ndarray, np.ndarray]:
    """Return times [s] and states of a hub's supply, both shape (k,), see `kpis.supply`; empty if it has no power."""
    t_s, powers, signals = hub_powers(results, hub, {"bus": "ats/bus", "available": "grid/available"})
    if not powers:
        return np.empty(0), np.empty(0, dtype="i1")
    return t_s, kpi_formulas.supply(powers, signals.get("bus"), signals.get("available"))


def resolution_s(end_s: float, max_intervals: int, min_s: float = 0.0) -> float:
    """Return the shortest round step [s] that is at least `min_s` and divides a run into at most `max_intervals`."""
    for step_s in _STEPS_S:
        if step_s >= min_s and end_s <= max_intervals * step_s:
            return float(step_s)
    return end_s / max_intervals


def balance(results: RunData, hub: str, max_points: int = 1500) -> tuple[np.ndarray, list[Area], float | None]:
    """Return the power balance of a hub, layer by layer: powers that feed its bus and powers that are used.

    Parameters
    ----------
    results : RunData
        The run.
    hub : str
        Name of the hub.
    max_points : int
        Limit on the points in time; if the powers change more often, means over round intervals are taken. Both
        directions of a power are averaged separately, so that the areas are exact energies.

    Returns
    -------
    t_s : array, shape (m,)
        Times from which the powers hold [s].
    areas : list of Area
        Layers that are not zero all the time.
    step_s : float or None
        Length of the intervals [s], None for exact times.
    """
    t_s, powers, _ = hub_powers(results, hub)
    t_s, inside = t_s[t_s < results.end_s], t_s < results.end_s
    step_s = resolution_s(results.end_s, max_points) if len(t_s) > max_points else None
    edges = None if step_s is None else step_signals.edges(results.end_s, step_s)
    signs = {device.kind: device.sign for device in results.devices(hub).values()}
    by_kind = kind_powers(results, hub, powers)
    placed = [(layer, kind) for kind in by_kind for layer in layers_of(kind, signs[kind])]
    areas = []
    for layer, kind in sorted(placed, key=lambda item: (not item[0].source, item[0].place)):
        p_kw = np.sum([np.nan_to_num(part_of(layer, values[inside])) for values in by_kind[kind]], axis=0)
        if np.max(p_kw, initial=0.0) < _NOTHING_KW:
            continue
        if edges is not None:
            p_kw = np.nan_to_num(step_signals.mean(t_s, p_kw, edges, results.end_s))
        areas.append(Area(kind, layer.label, p_kw, layer.source))
    return (t_s if edges is None else edges[:-1]), areas, step_s


def connectors(results: RunData, hub: str, max_points: int = 1500) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Return the mean power of every connector over time; NaN where no EV is plugged in.

    Parameters
    ----------
    results : RunData
        The run.
    hub : str
        Name of the hub.
    max_points : int
        Limit on the points in time.

    Returns
    -------
    t_s : array, shape (m,)
        Begin of each interval [s].
    p_kw : array, shape (n, m)
        Mean power while an EV is plugged in [kW].
    step_s : float
        Length of the intervals [s].
    None
        If the hub has no connectors.
    """
    path = f"{hub}/cp/connector_p_kw"
    if not results.has(path):
        return None
    t_s, p_kw = results.arrays(path)
    step_s = resolution_s(results.end_s, max_points, results.attributes.get("time_step_s", 0.0))
    edges = step_signals.edges(results.end_s, step_s)
    mean_kw = step_signals.mean(t_s, p_kw, edges, results.end_s)
    if results.has(f"{hub}/cp/session"):
        t_s, session = results.arrays(f"{hub}/cp/session")
        plugged = step_signals.mean(t_s, (session >= 0).astype(float), edges, results.end_s)
        mean_kw = np.where(plugged > 0, mean_kw / np.maximum(plugged, 1e-9), np.nan)
    return edges[:-1], mean_kw.T, step_s
