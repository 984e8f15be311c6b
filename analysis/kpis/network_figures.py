"""Voltages, loadings and losses of the network."""

from __future__ import annotations

import numpy as np

from . import step_signals
from .key_figure import HubRun, KeyFigure, KeyFigureGroup, WholeRun, part
from .kpi_formulas import energy, hours

VOLTAGE_BAND_PU = (0.9, 1.1)
"""Voltages that EN 50160 allows in low and medium voltage networks."""
_FULL_PERCENT = 100.0
_LOADINGS = ("line_loading_percent", "trafo_loading_percent")


def outside_band(t_s: np.ndarray, v_pu: np.ndarray, end_s: float, band_pu: tuple[float, float]) -> float:
    """Measure how long a voltage is outside its band.

    Parameters
    ----------
    t_s : array, shape (k,)
        Times [s].
    v_pu : array, shape (k,) or (k, n)
        Voltage, of a bus or of n buses or phases; 0 and NaN are buses without voltage, which violate nothing.
    end_s : float
        End of the signal [s].
    band_pu : tuple of float
        Lowest and highest voltage allowed.

    Returns
    -------
    float
        Time in which any of them is outside [h].
    """
    buses = v_pu.reshape(len(t_s), -1)
    outside = (buses > 0) & ((buses < band_pu[0]) | (buses > band_pu[1]))
    return hours(t_s, np.any(outside, axis=1), end_s)


def _voltages(signal: tuple[np.ndarray, np.ndarray] | None, end_s: float) -> dict[str, float]:
    """Compute lowest and highest voltage of a signal and its time outside the band; a dead bus has no voltage."""
    t_s, v_pu = signal if signal is not None else (np.empty(0), np.empty(0))
    known = v_pu[v_pu > 0]
    if not known.size:
        return {}
    return {"min": float(known.min()), "max": float(known.max()), "h": outside_band(t_s, v_pu, end_s, VOLTAGE_BAND_PU)}


def _at_hub(hub: HubRun) -> dict[str, float]:
    return _voltages(hub.read("network/v_pu"), hub.end_s)


def _at_feeder(run: WholeRun) -> dict[str, float]:
    return _voltages(run.read("network/grid/bus_v_pu"), run.end_s)


def _of_feeder(key: str):
    return lambda run: run.once(_at_feeder).get(key)


def _highest_percent(run: WholeRun, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the highest loading of all lines or transformers over time; None where none has a rating."""
    signal = run.read(f"network/grid/{name}")
    if signal is None or not np.isfinite(signal[1]).any():
        return None
    t_s, percent = signal
    return t_s, np.fmax.reduce(percent.reshape(len(t_s), -1), axis=1)


def _loading(name: str):
    def formula(run: WholeRun) -> float | None:
        highest = _highest_percent(run, name)
        return None if highest is None else float(np.nanmax(highest[1]))

    return formula


def _overload_h(run: WholeRun) -> float | None:
    loadings = [highest for name in _LOADINGS if (highest := _highest_percent(run, name)) is not None]
    if not loadings:
        return None
    t_s = step_signals.union([t for t, _ in loadings])
    over = np.any([step_signals.hold(t, percent, t_s) > _FULL_PERCENT for t, percent in loadings], axis=0)
    return hours(t_s, over, run.end_s)


def _losses_kwh(run: WholeRun) -> float | None:
    signal = run.read("network/grid/losses_kw")
    return None if signal is None else energy(*signal, run.end_s)


def _figures() -> tuple[KeyFigure, ...]:
    low_pu, high_pu = VOLTAGE_BAND_PU
    return (
        KeyFigure(
            "v_min_pu",
            "pu",
            "lowest voltage",
            part(_at_hub, "min"),
            total="min",
            feeder=_of_feeder("min"),
            description="Lowest voltage at the hub bus; a bus without voltage does not count. The total is of all "
            "buses.",
        ),
        KeyFigure(
            "v_max_pu",
            "pu",
            "highest voltage",
            part(_at_hub, "max"),
            total="max",
            feeder=_of_feeder("max"),
            description="Highest voltage at the hub bus. The total is of all buses.",
        ),
        KeyFigure(
            "v_outside_h",
            "h",
            f"voltage outside {low_pu:g} to {high_pu:g} pu",
            part(_at_hub, "h"),
            "less",
            "max",
            feeder=_of_feeder("h"),
            description="Voltage outside 0.9 to 1.1 pu (EN 50160), at any phase. The total is at any bus.",
        ),
        KeyFigure(
            "line_loading_percent",
            "%",
            "highest line loading",
            None,
            "less",
            "max",
            feeder=_loading("line_loading_percent"),
            description="Highest loading of a line, of the feeder.",
        ),
        KeyFigure(
            "trafo_loading_percent",
            "%",
            "highest transformer loading",
            None,
            "less",
            "max",
            feeder=_loading("trafo_loading_percent"),
            description="Highest loading of a transformer, of the feeder.",
        ),
        KeyFigure(
            "overload_h",
            "h",
            "lines or transformers overloaded",
            None,
            "less",
            feeder=_overload_h,
            description="A line or transformer above 100 %.",
        ),
        KeyFigure(
            "network_losses_kwh",
            "kWh",
            "losses of the feeder",
            None,
            "less",
            feeder=_losses_kwh,
            description="Losses of the feeder.",
        ),
    )


NETWORK = KeyFigureGroup("network", "", _figures)
