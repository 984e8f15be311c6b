"""Power at the grid connection, and use of the battery."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...simulators.units import S_PER_MIN, energy_kwh
from . import step_signals
from .energy_figures import energies
from .key_figure import HubRun, KeyFigure, KeyFigureGroup, Value, part
from .kpi_formulas import positive

DEMAND_INTERVAL_S = 15 * S_PER_MIN


def demand_intervals(
    t_s: np.ndarray, p_kw: np.ndarray, end_s: float, start: pd.Timestamp
) -> tuple[np.ndarray, np.ndarray]:
    """Average the import over every quarter of an hour of the clock, as the import register of a meter does.

    Parameters
    ----------
    t_s, p_kw : array, shape (k,)
        Grid power, import positive [kW]; export does not count against import.
    end_s : float
        End of the signal [s].
    start : Timestamp
        Instant of t_s = 0, with zone; quarters begin at full hours of its clock.

    Returns
    -------
    begin_s : array, shape (m,)
        Begin of each quarter [s]; the first may lie before 0.
    mean_kw : array, shape (m,)
        Mean over the part of the quarter that the run covers [kW].
    """
    clock = start.tz_localize(None)
    into_hour_s = (clock - clock.floor("h")).total_seconds()
    borders = step_signals.edges(end_s, DEMAND_INTERVAL_S, into_hour_s % DEMAND_INTERVAL_S)
    return borders[:-1], step_signals.mean(t_s, positive(p_kw), borders, end_s)


def full_cycles(soc: np.ndarray) -> float:
    """Count the equivalent full cycles of a battery: half the total change of its state of charge, shape (k,) 0..1."""
    return float(np.abs(np.diff(soc[np.isfinite(soc)])).sum() / 2)


def soc_statistics(t_s: np.ndarray, soc: np.ndarray, end_s: float) -> dict[str, float]:
    """Compute lowest, time-weighted mean, highest and last state of charge, 0..1; NaN where it is never known."""
    known = np.isfinite(soc) & (step_signals.durations(t_s, end_s) > 0)
    if not known.any():
        return dict.fromkeys(("min", "mean", "max", "end"), np.nan)
    time_s = float(step_signals.durations(t_s, end_s) @ known)
    return {
        "min": float(soc[known].min()),
        "mean": float(step_signals.integral(t_s, soc, end_s)) / time_s,
        "max": float(soc[known].max()),
        "end": float(soc[np.isfinite(soc)][-1]),
    }


def _peaks(hub: HubRun) -> dict[str, float]:
    """Compute the highest import, at an instant and as a mean over a quarter of an hour [kW]."""
    if "grid" not in hub.powers:
        return {}
    held = step_signals.durations(hub.t_s, hub.end_s) > 0
    _, mean_kw = demand_intervals(hub.t_s, hub.powers["grid"], hub.end_s, hub.start)
    return {
        "instant_kw": float(np.max(positive(hub.powers["grid"][held]), initial=0.0)),
        "quarter_kw": float(np.nanmax(mean_kw, initial=0.0)),
    }


def _load_factor(hub: HubRun) -> Value:
    peaks = hub.once(_peaks)
    if not peaks:
        return None
    return hub.once(energies)["import_kwh"], float(energy_kwh(peaks["quarter_kw"], hub.end_s))


def _battery(hub: HubRun) -> dict[str, float]:
    """Compute full cycles and states of charge of the battery."""
    signal = hub.read("bess/soc")
    if signal is None:
        return {}
    return {"cycles": full_cycles(signal[1]), **soc_statistics(*signal, hub.end_s)}


def _power_figures() -> tuple[KeyFigure, ...]:
    return (
        KeyFigure(
            "peak_import_kw",
            "kW",
            "peak import",
            part(_peaks, "instant_kw"),
            "less",
            "max",
            description="Highest import at any instant.",
        ),
        KeyFigure(
            "peak_demand_kw",
            "kW",
            "peak import over 15 min",
            part(_peaks, "quarter_kw"),
            "less",
            "max",
            description="Highest mean import over a quarter of an hour by the clock, as a meter counts it. A "
            "scenario has no price for a contract that is exceeded: this is what it would be paid on.",
        ),
        KeyFigure(
            "load_factor",
            "%",
            "load factor of the import",
            _load_factor,
            total="ratio",
            description="Mean import over `peak_demand_kw`; the total is the mean imports over the sum of the hubs' "
            "own peaks.",
        ),
    )


def _battery_figures() -> tuple[KeyFigure, ...]:
    return (
        KeyFigure(
            "bess_cycles",
            "1",
            "battery full cycles",
            part(_battery, "cycles"),
            total="max",
            description="Equivalent full cycles: half the way the state of charge has gone.",
        ),
        KeyFigure(
            "soc_min",
            "1",
            "lowest state of charge",
            part(_battery, "min"),
            total="min",
            description="Lowest state of charge.",
        ),
        KeyFigure(
            "soc_mean",
            "1",
            "mean state of charge",
            part(_battery, "mean"),
            total="mean",
            description="Mean state of charge over time.",
        ),
        KeyFigure(
            "soc_max",
            "1",
            "highest state of charge",
            part(_battery, "max"),
            total="max",
            description="Highest state of charge.",
        ),
        KeyFigure(
            "soc_end",
            "1",
            "state of charge at the end",
            part(_battery, "end"),
            total="mean",
            description="At the end. Two runs that end at different states of charge do not differ by their cost "
            "alone.",
        ),
    )


POWER = KeyFigureGroup("power", "", _power_figures)
BATTERY = KeyFigureGroup("battery", "", _battery_figures)
