"""The cases: recorded sessions on the periods of a peer, and the scenario that has the same ones."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

from evhub.scenarios.files.session_files import read_sessions
from evhub.scenarios.schema.scenario_loader import Scenario, parse, shipped

START = datetime.fromisoformat("2019-06-03T00:00:00-07:00")
"""A Monday."""
SESSIONS = shipped()["workplace-month"].parent / "data" / "caltech_2019-05_2019-08.csv.gz"
STEP_A = 0.1
"""What a turn of round-robin gives [A]; the default of ACN-Sim."""


def sessions(days: int, period_min: int) -> list[dict[str, Any]]:
    """Recorded sessions in whole periods, announced as they are; those shorter than a period are left out."""
    period_s = 60.0 * period_min
    last = round(timedelta(days=days).total_seconds() / period_s)
    data = read_sessions(SESSIONS, START, days * 86_400.0, pin_stations=True)
    found = []
    for one in data.sessions:
        arrival, departure = math.ceil(one.arrival_s / period_s), min(math.floor(one.departure_s / period_s), last)
        if arrival < departure and one.connector is not None and one.energy_kwh > 0.0:
            found.append(
                {
                    "id": one.id,
                    "station": data.stations[one.connector],
                    "arrival": arrival,
                    "departure": departure,
                    "energy_kwh": one.energy_kwh,
                }
            )
    return found


def case(site: dict[str, Any], controller: str, days: int, period_min: int, ports: int | None = None) -> dict[str, Any]:
    """What a peer is given: the site, the sessions at its first connectors, and the strategy."""
    stations = site["stations"][:ports]
    own = [
        {**one, "connector": stations.index(one["station"])}
        for one in sessions(days, period_min)
        if one["station"] in stations
    ]
    return {
        "controller": controller,
        "start": START.replace(tzinfo=None).isoformat(),
        "days": days,
        "period_min": period_min,
        "periods": round(days * 1440 / period_min),
        "ports": len(stations),
        "rated_kw": site["rated_kw"],
        "voltage_v": site["voltage_v"],
        "step_a": STEP_A,
        "sessions": own,
    }


def scenario(of: dict[str, Any], site: dict[str, Any], *, limits: bool = True) -> Scenario:
    """The same case as a scenario: connectors behind the site's current limits, and nothing else."""
    period_s = 60 * of["period_min"]
    connectors = {"count": of["ports"], "rated_kw": of["rated_kw"], "current": "dc", "phases": 1}
    if limits:
        connectors["circuits"] = circuits(site)
    items = [
        {
            "id": one["id"],
            "connector": one["connector"] + 1,
            "at": f"{one['arrival'] * period_s}s",
            "until": f"{one['departure'] * period_s}s",
            "energy_kwh": one["energy_kwh"],
            "capacity_kwh": max(60.0, 1.2 * one["energy_kwh"]),
        }
        for one in of["sessions"]
    ]
    controller: dict[str, Any] = {"type": of["controller"], "period": f"{of['period_min']}min"}
    if of["controller"] == "round_robin":
        controller["step_kw"] = of["step_a"] * of["voltage_v"] / 1000.0
    data = {
        "name": "peers",
        "start": START.isoformat(),
        "duration": f"{of['days']}d",
        "time_step": "1s",
        "hubs": {
            "garage": {
                "grid": {"contracted_kw": 1000},
                "connectors": connectors,
                "ev": {"pack": "ideal"},
                "sessions": {"type": "list", "items": items},
            }
        },
        "controller": controller,
    }
    return parse(data, SESSIONS)


def circuits(site: dict[str, Any]) -> dict[str, Any]:
    """The limits of a site as a scenario has them: EVSEs with the same angle and the same column are one group."""
    columns: dict[tuple, list[int]] = {}
    for number, (angle, column) in enumerate(
        zip(site["angle_deg"], zip(*site["matrix"], strict=True), strict=True), start=1
    ):
        columns.setdefault((angle, *column), []).append(number)
    named = {f"group {n}": (key, members) for n, (key, members) in enumerate(columns.items(), start=1)}
    return {
        "voltage_v": site["voltage_v"],
        "groups": {name: {"connectors": members, "angle_deg": key[0]} for name, (key, members) in named.items()},
        "limits": [
            {
                "name": limit,
                "limit_a": site["limit_a"][row],
                "sum": {name: key[row + 1] for name, (key, _) in named.items() if key[row + 1]},
            }
            for row, limit in enumerate(site["limits"])
        ],
    }
