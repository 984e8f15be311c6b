"""Outages, islands, interruptions, and load that was not served."""

from __future__ import annotations

import numpy as np

from ...simulators.units import energy_kwh
from . import step_signals
from .key_figure import HubRun, KeyFigure, KeyFigureGroup, part, ratio
from .kpi_formulas import DEAD, GRID, ISLANDED, hours

LOAD_CLASSES = ("critical", "controllable", "shiftable", "general")


def transfers(t_s: np.ndarray, available: np.ndarray, state: np.ndarray, end_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Measure how long each transfer to an island and each return to the grid takes.

    Parameters
    ----------
    t_s : array, shape (k,)
        Times [s].
    available : array, shape (k,)
        Whether the grid is there.
    state : array, shape (k,)
        Supply of the hub, see `supply`.
    end_s : float
        End of the signals [s].

    Returns
    -------
    to_island_s : array, shape (m,)
        For each outage in which the hub became an island: from the loss of the grid until another source supplies it
        [s]; 0 if it was an island already.
    to_restore_s : array, shape (p,)
        For each outage after which the hub went back to the grid: from the return of the grid until it supplies the
        hub [s].
    """
    to_island, to_restore = [], []
    begin_s, back_s = step_signals.episodes(t_s, available == 0, end_s)
    for begin, back, following in zip(begin_s, back_s, np.append(begin_s, end_s)[1:], strict=True):
        lost = state[(t_s >= begin) & (t_s < back)]
        islanded = t_s[(t_s >= begin) & (t_s < back) & (state == ISLANDED)]
        if len(islanded):
            to_island.append(islanded[0] - begin)
        restored = t_s[(t_s >= back) & (t_s < following) & (state == GRID)]
        if len(restored) and lost[-1] != GRID:
            to_restore.append(restored[0] - back)
    return np.array(to_island), np.array(to_restore)


def unserved(hub: HubRun) -> dict[str, float]:
    """Compute the load of a hub that was not served, by class and of all [kWh]; empty where that is not known."""
    signal, recorded = hub.read("load/unserved_kw"), hub.read("load/eens_kwh")
    if signal is None:
        return {}
    kwh = np.atleast_1d(energy_kwh(step_signals.integral(*signal, hub.end_s), 1.0))
    if recorded is not None and len(recorded[1]):  # that of the load itself, with what was put off and never made good
        kwh = recorded[1][-1]
    by_class = {f"unserved_{name}_kwh": float(value) for name, value in zip(LOAD_CLASSES, kwh, strict=True)}
    return {**by_class, "unserved_kwh": sum(by_class.values())}


def _interruptions(hub: HubRun) -> dict[str, float]:
    if not hub.powers:
        return {}
    t_s, state = hub.supply
    return {
        "interruptions": len(step_signals.episodes(t_s, state == DEAD, hub.end_s)[0]),
        "interruption_h": hours(t_s, state == DEAD, hub.end_s),
        "islanded_h": hours(t_s, state == ISLANDED, hub.end_s),
    }


def _outages(hub: HubRun) -> dict[str, float]:
    signal = hub.read("grid/available")
    if signal is None:
        return {}
    t_s, available = signal
    values = {
        "outages": len(step_signals.episodes(t_s, available == 0, hub.end_s)[0]),
        "outage_h": hours(t_s, available == 0, hub.end_s),
    }
    supply_s, state = hub.supply
    if len(supply_s):
        held = step_signals.hold(t_s, available, supply_s)
        island_s, restore_s = transfers(supply_s, held, state, hub.end_s)
        values |= {"to_island_s": float(island_s.sum()), "islandings": len(island_s)}
        values |= {"to_restore_s": float(restore_s.sum()), "restorations": len(restore_s)}
    return values


def _figures() -> tuple[KeyFigure, ...]:
    return (
        KeyFigure("outages", "1", "grid outages", part(_outages, "outages"), description="Losses of the public grid."),
        KeyFigure("outage_h", "h", "grid not available", part(_outages, "outage_h"), description="Their length."),
        KeyFigure(
            "islanded_h",
            "h",
            "time islanded",
            part(_interruptions, "islanded_h"),
            description="A source other than the grid supplies the hub.",
        ),
        KeyFigure(
            "time_to_island_s",
            "s",
            "mean time to island",
            ratio(_outages, "to_island_s", "islandings"),
            "less",
            "ratio",
            description="From the loss of the grid until another source supplies the hub, mean over the outages in "
            "which one did; 0 if it was an island already.",
        ),
        KeyFigure(
            "time_to_restore_s",
            "s",
            "mean time to restore",
            ratio(_outages, "to_restore_s", "restorations"),
            "less",
            "ratio",
            description="From the return of the grid until it supplies the hub again, mean over the outages that "
            "took the hub off the grid.",
        ),
        KeyFigure(
            "interruptions",
            "1",
            "interruptions (SAIFI)",
            part(_interruptions, "interruptions"),
            "less",
            "mean",
            description="SAIFI: periods in which nothing supplies the hub.",
        ),
        KeyFigure(
            "interruption_h",
            "h",
            "interrupted (SAIDI)",
            part(_interruptions, "interruption_h"),
            "less",
            "mean",
            description="SAIDI: their length.",
        ),
        KeyFigure(
            "unserved_kwh",
            "kWh",
            "load not served",
            part(unserved, "unserved_kwh"),
            "less",
            description="Load not served and not made good by midnight, of all classes (Yan & Tu 2022).",
        ),
        *(
            KeyFigure(
                f"unserved_{name}_kwh",
                "kWh",
                f"load not served, {name}",
                part(unserved, f"unserved_{name}_kwh"),
                "less",
                description=f"The same of the class {name}.",
            )
            for name in LOAD_CLASSES
        ),
    )


RESILIENCE = KeyFigureGroup("resilience", "A hub counts as one customer (IEEE 1366).", _figures)
