"""Possible days of Yan & Tu 2022: weather and sessions, drawn from `yan2022_assumed.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .....simulators.units import S_PER_H, S_PER_MIN, W_PER_KW
from ....schema.scenario_loader import LIBRARY
from ....schema.yaml_file import read_yaml

DAY, SESSIONS, ASSUMED = "yan2022_day.csv", "yan2022_sessions.csv", "yan2022_assumed.yaml"
HOURS = 29
"""From midnight to 05:00 of the next day (Yan & Tu 2022, section 3)."""
_STEP_S = 15 * S_PER_MIN


def assumed() -> dict[str, Any]:
    """Return the numbers that the paper leaves open."""
    return dict(read_yaml(LIBRARY / "data" / ASSUMED))


def write_day(folder: Path, seed: int, *, disturbance: float = 1.0) -> None:
    """Draw a day and write its two files.

    Parameters
    ----------
    folder : Path
        Where to.
    seed : int
        Of the weather and of the sessions.
    disturbance : float
        1 as assumed; 0 leaves the sky clear, and so the forecast right.
    """
    numbers = assumed()
    weather, visits = (np.random.default_rng([seed, part]) for part in (0, 1))
    (folder / DAY).write_text(_day(numbers, weather, seed, disturbance), encoding="utf-8")
    (folder / SESSIONS).write_text(_sessions(numbers, visits), encoding="utf-8")


def _day(numbers: dict[str, Any], rng: np.random.Generator, seed: int, disturbance: float) -> str:
    """PV, its forecast, load by class and prices, every quarter of an hour."""
    pv = numbers["pv"]
    t_s = np.arange(0.0, HOURS * S_PER_H, _STEP_S)
    middle_h = (t_s + _STEP_S / 2.0) / S_PER_H % 24
    height = np.sin(np.pi * (middle_h - pv["sunrise_h"]) / (pv["sunset_h"] - pv["sunrise_h"]))
    # of the full sun, 1 kW/m2, which makes rated power
    clear = np.where(height > 0.0, np.abs(height), 0.0) ** pv["exponent"]
    begin_h, end_h = pv["disturbed_h"]
    left = rng.uniform(*pv["left"]) + pv["flicker"] * rng.standard_normal(t_s.size)
    struck = (t_s >= begin_h * S_PER_H) & (t_s < end_h * S_PER_H)
    real = clear * np.where(struck, 1.0 - disturbance * (1.0 - np.clip(left, 0.05, 1.0)), 1.0)
    hour = (t_s / S_PER_H % 24).astype(int)
    building = np.interp(middle_h, np.arange(25) + 0.5, [*numbers["building_kw"], numbers["building_kw"][0]])
    shares = numbers["shares"]
    columns = {
        "t_s": t_s,
        "irradiance_w_m2": real * W_PER_KW,
        "pv_forecast_kw": clear * pv["rated_kw"],
        **{f"{name}_kw": share * building for name, share in shares.items()},
        **{name: _level(numbers[name], hour) for name in ("buy", "sell")},
    }
    about = f"# Drawn from {ASSUMED} with seed {seed}; nothing here is measured. The forecast is that of a clear day.\n"
    rows = [",".join(f"{value:.6g}" for value in row) for row in zip(*columns.values(), strict=True)]
    return about + ",".join(columns) + "\n" + "\n".join(rows) + "\n"


def _level(levels: list[tuple[float, float]], hour: np.ndarray) -> np.ndarray:
    """A price that holds from its hour on."""
    begins, values = np.array(levels).T
    return values[np.searchsorted(begins, hour, side="right") - 1]


def _sessions(numbers: dict[str, Any], rng: np.random.Generator) -> str:
    """Who comes for the day and who stays overnight."""
    section = numbers["sessions"]
    rows = []
    for kind in ("day", "night"):
        who = section[kind]
        for k in range(who["count"]):
            arrival_h = float(rng.normal(*who["arrival_h"]))
            departure_h = float(rng.normal(*who["departure_h"]))
            soc = float(rng.uniform(*section["soc"]))
            v2g = bool(rng.random() < section["v2g_share"])
            need_kwh = (section["soc_target"] - soc) * section["capacity_kwh"]
            stay_h = need_kwh / section["p_max_kw"] + 0.5
            departure_h = min(max(departure_h, arrival_h + stay_h), who.get("latest_h", 24.0))
            arrival_h = min(arrival_h, departure_h - stay_h)
            # the last PEV leaves at 05:00
            departure_h = who["latest_h"] if kind == "night" and k == 0 else departure_h
            times = [S_PER_MIN * round(h * S_PER_H / S_PER_MIN) for h in (arrival_h, departure_h)]
            rows.append((times[0], f"{kind}-{k + 1}", times[1], need_kwh, soc, v2g))
    rows.sort()
    capacity_kwh, p_max_kw, target = (section[name] for name in ("capacity_kwh", "p_max_kw", "soc_target"))
    header = "id,arrival,departure,energy_kwh,capacity_kwh,soc_arrival,soc_target,p_max_kw,v2g\n"
    same = f"{target:g},{p_max_kw:g}"
    lines = [
        f"{name},{arrival:g},{departure:g},{need:.4f},{capacity_kwh:g},{soc:.6f},{same},{str(v2g).lower()}"
        for arrival, name, departure, need, soc, v2g in rows
    ]
    return header + "\n".join(lines) + "\n"
