"""Random but sensible scenarios for the laws, as the data of a scenario file."""

from __future__ import annotations

from pathlib import Path

import h5py
from hypothesis import strategies as st

from evhub.controllers import contract as base
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.run_scenario import run_wiring
from evhub.scenarios.schema.scenario_loader import Scenario, parse

STEPS_S = (1, 10, 60)


class AnySetpoints(base.Controller):
    """Answers with any set points at all, also such as no sensible controller would give."""

    def decide(self, observation):
        """Draw every set point."""
        draw = self.rng.uniform
        setpoints = {}
        for name, site in self.sites.items():
            n = site.connector_kw.size
            setpoints[name] = base.Setpoints(
                connector_kw=draw(-1.5, 1.5, n) * site.connector_kw,
                bess_kw=draw(-1.5, 1.5) * site.bess_kw,
                pv_limit_kw=draw(0.0, 1.5) * site.pv_kw,
                dg_kw=draw(-0.5, 1.5) * site.dg_kw,
                pv_q_kvar=draw(-30.0, 30.0),
                bess_q_kvar=draw(-30.0, 30.0),
                connector_q_kvar=draw(-30.0, 30.0, n),
                load_limit_kw=tuple(draw(0.0, 20.0, 4)),
            )
        return base.Decision(setpoints)


def loaded(data: dict, folder: Path | None = None) -> Scenario:
    """A scenario from its data, as if read from a file in ``folder``."""
    return parse(data, (folder or Path()) / "test.yaml")


def run_data(data: dict, folder: Path, name: str = "out.h5", engine: str = "inprocess") -> Path:
    """Run a scenario from its data; gives the result file."""
    scenario = loaded(data, folder)
    return run_wiring(build(scenario), scenario, folder / name, engine=engine)


def datasets(path: Path) -> dict[str, bytes]:
    """Bytes of every dataset of a result but wall-clock values."""
    found: dict[str, bytes] = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and not name.startswith("diagnostics"):
            found[name] = item[...].tobytes()

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def smallest(**changes) -> dict:
    """The least a scenario needs: one hub with a load."""
    data = {
        "name": "test",
        "start": "2024-03-01T12:00:00-03:00",
        "duration": "1h",
        "time_step": "10s",
        "hubs": {
            "depot": {
                "grid": {"contracted_kw": 50, "installed_kw": 60},
                "load": {"demand": {"type": "constant", "value": 5}},
            }
        },
        "controller": {"type": "equal_share", "period": "1min"},
    }
    data.update(changes)
    return data


def hub_with_everything() -> dict:
    """A hub that has every device."""
    return {
        "grid": {
            "contracted_kw": 50,
            "installed_kw": 60,
            "ats": {"detection": "10s", "transfer_s": 20, "retransfer_s": 30},
            "secondary": {"rated_kw": 30, "start": "10s"},
        },
        "pv": {
            "rated_kw": 20,
            "irradiance": {"type": "profile", "points": [["0s", 900], ["20min", 300], ["40min", 700]]},
        },
        "bess": {"type": "tremblay", "rated_kw": 20, "capacity_kwh": 10, "soc": 0.5},
        "dg": {"rated_kw": 30},
        "wind": {"rated_kw": 3, "power": {"type": "constant", "value": 1}},
        "load": {"demand": {"type": "constant", "value": 5}},
        "emissions": {"grid": {"type": "profile", "points": [["0s", 0.3], ["30min", 0.5]]}, "fuel_kg_per_kwh": 0.7},
        "connectors": {"count": 3, "rated_kw": 20, "current": "dc"},
        "sessions": {
            "type": "list",
            "items": [
                {"at": "2min", "until": "50min", "energy_kwh": 8},
                {"at": "5min", "until": "40min", "energy_kwh": 12},
                {"at": "10min", "stay": "30min", "energy_kwh": 5},
            ],
        },
    }


def profile(low: float, high: float) -> st.SearchStrategy[dict]:
    """A demand, irradiance or price over an hour."""
    value = st.floats(low, high).map(lambda x: round(x, 3))
    points = st.lists(value, min_size=1, max_size=5)
    return points.map(
        lambda values: {"type": "profile", "points": [[f"{n * 11}min", value] for n, value in enumerate(values)]}
    )


@st.composite
def sessions(draw, connectors: int, latest_min: int = 55) -> list[dict]:
    """Sessions that may queue for any free connector."""
    found = []
    for _ in range(draw(st.integers(0, 2 * connectors))):
        at = draw(st.integers(0, latest_min - 5))
        found.append(
            {
                "at": f"{at}min",
                "stay": f"{draw(st.integers(1, 60))}min",
                "energy_kwh": round(draw(st.floats(0.1, 25.0)), 2),
                "capacity_kwh": 60,
                "v2g": draw(st.booleans()),
            }
        )
    return found


@st.composite
def hubs(draw) -> dict:
    """One hub with any choice of devices."""
    connectors = draw(st.integers(1, 5))
    current = draw(st.sampled_from(["ac", "dc"]))
    hub: dict = {
        "grid": {"contracted_kw": draw(st.sampled_from([20, 50, 120])), "ats": {"transfer_s": 20, "retransfer_s": 60}},
        "load": {
            "critical": {"demand": draw(profile(0, 5))},
            "controllable": {"demand": draw(profile(0, 5)), "band": [0.4, 1.0]},
            "shiftable": {"demand": draw(profile(0, 5))},
            "general": {"demand": draw(profile(0, 5))},
            "power_factor": 0.95,
        },
        "connectors": {
            "count": connectors,
            "rated_kw": draw(st.sampled_from([7.36, 22, 50])),
            "current": current,
            "phases": draw(st.sampled_from([1, 3])),
            "efficiency": draw(st.sampled_from([1.0, 0.93])),
            "v2g": draw(st.booleans()),
        },
        "ev": {"pack": draw(st.sampled_from(["ideal", "nissan_leaf_2013"]))},
        "sessions": {"type": "list", "items": draw(sessions(connectors))},
        "queue": {"plug_in": draw(st.sampled_from(["0s", "25s"]))},
        "tariffs": {"buy": draw(profile(0, 1)), "sell": draw(profile(0, 0.3))},
    }
    if draw(st.booleans()):
        hub["pv"] = {"rated_kw": 40, "irradiance": draw(profile(0, 1100))}
    if draw(st.booleans()):
        hub["bess"] = {
            "type": draw(st.sampled_from(["ideal", "tremblay"])),
            "rated_kw": 20,
            "capacity_kwh": draw(st.sampled_from([4, 40])),
            "soc": draw(st.sampled_from([0.2, 0.5, 0.8])),
            "efficiency": draw(st.sampled_from([1.0, 0.95])),
        }
    if draw(st.booleans()):
        hub["dg"] = {"rated_kw": 15, "minimum_kw": 4, "fuel_capacity_l": 3, "start": "25s", "stop": "1min"}
    if draw(st.booleans()):
        hub["grid"]["secondary"] = {"rated_kw": draw(st.sampled_from([10, 60])), "restart": "2min"}
    if draw(st.booleans()):
        hub["link"] = {
            "poll": "1min",
            "measurement": {"type": "uniform", "mean": "5s", "spread": "3s"},
            "command": {"type": "exponential", "mean": "4s"},
            "loss": 0.1,
        }
    return hub


@st.composite
def scenarios(draw) -> dict:
    """One or two hubs for an hour, with outages, faults and switched loads, under any shipped yardstick."""
    names = ["north", "south"][: draw(st.integers(1, 2))]
    events = []
    for _ in range(draw(st.integers(0, 4))):
        at, hub = draw(st.integers(0, 3500)), draw(st.sampled_from(names))
        what = draw(
            st.sampled_from(
                [
                    {"outage": {}},
                    {"planned_island": {}},
                    {"device_fault": {"device": "ats"}},
                    {"connector_fault": {"connector": 1}},
                    {"meter_fault": {"meter": "load"}},
                    {"load": {"scale": 3.0}},
                    {"price": {"price": "buy", "value": 0.9}},
                ]
            )
        )
        ((kind, fields),) = what.items()
        until = {"until": f"{at + draw(st.integers(61, 1200))}s"} if draw(st.booleans()) else {}
        events.append({"at": f"{at}s", kind: {"hub": hub, **fields, **until}})
    return {
        "name": "test",
        "start": "2024-07-01T09:30:00+02:00",
        "time_zone": "Europe/Berlin",
        "duration": "1h",
        "time_step": f"{draw(st.sampled_from(STEPS_S[1:]))}s",
        "seed": draw(st.integers(0, 1000)),
        "hubs": {name: draw(hubs()) for name in names},
        "events": events,
        "controller": {
            "type": draw(st.sampled_from(["uncontrolled", "equal_share", "tests.helpers.plants:AnySetpoints"])),
            "period": "5min",
        },
    }
