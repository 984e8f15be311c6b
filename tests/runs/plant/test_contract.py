"""What reaches a controller in a run, and what of its answers reaches the results."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from evhub.analysis import open_results
from evhub.analysis.checks.invariants import INVARIANTS
from evhub.analysis.kpis import step_signals as steps
from evhub.controllers import contract as base
from evhub.controllers.optimization.blocks.loads_block import CLASSES
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.engines.device_commands import ControllerError
from evhub.scenarios.errors import InputError
from evhub.scenarios.schema.controller_registry import controllers

from ...helpers import plants
from ...helpers.plates import plates


class Watching(base.Controller):
    """Keeps what it sees, and writes its parameter down."""

    class Parameters(base.Parameters):
        """What an event changes."""

        level: float = 1.0
        nested: dict[str, float] = {"a": 1.0, "b": 2.0}

    records: ClassVar = {"level": ("kW", "the parameter in force")}
    seen: ClassVar[list[tuple[float, base.Hub]]] = []

    def decide(self, observation):
        """Do nothing but look."""
        setpoints, records = {}, {}
        for name, hub in observation.hubs.items():
            Watching.seen.append((observation.t_s, hub))
            setpoints[name] = base.Setpoints(self.sites[name].connector_kw * 0.0, bess_kw=5.0)
            records[name] = {"level": hub.parameters.level}
        return base.Decision(setpoints, records=records, diagnostics={"effort": 3.0})


class Inventing(Watching):
    """Records what its class does not name."""

    def decide(self, observation):
        """Name another series."""
        return base.Decision(super().decide(observation).setpoints, records={"depot": {"unheard": 1.0}})


LOAD = {"demand": {"type": "constant", "value": 30.0}}
BESS = {"type": "ideal", "capacity_kwh": 40, "rated_kw": 10, "soc": 0.5}


@pytest.fixture(autouse=True)
def forget():
    Watching.seen.clear()


def watch(tmp_path, controller=None, **changes):
    """Results of a run that is watched, and what was seen at each decision."""
    hub = {"grid": {"contracted_kw": 50}, "load": LOAD, "bess": BESS, "pv": PV}
    controller = {"type": f"{__name__}:Watching", "period": "10min", **(controller or {})}
    data = plants.smallest(hubs={"depot": hub}, controller=controller, **changes)
    return open_results(plants.run_data(data, tmp_path)), dict(Watching.seen)


PV = {"rated_kw": 20, "irradiance": {"type": "constant", "value": 500}}


def event(kind: str, at: str, until: str | None = None, **fields) -> dict:
    return {"at": at, kind: {"hub": "depot", **({"until": until} if until else {}), **fields}}


def changed(at: str, until: str | None = None, controller: str = f"{__name__}:Watching", **values) -> dict:
    return event("parameters", at, until, controller=controller, set=values)


def test_parameters_change_when_the_event_says_and_back_again(tmp_path):
    results, seen = watch(tmp_path, events=[changed("15min", "25min", level=7.0)])
    told = {t: hub.parameters.level for t, hub in seen.items()}
    assert told[600.0] == 1.0
    assert told[900.0] == 7.0  # at once, not at the next period
    assert told[1500.0] == 1.0
    level = results.series("depot/controller/level")
    assert level.loc[:].tolist() == [1.0, 7.0, 1.0]


def test_later_changes_keep_what_earlier_ones_set(tmp_path):
    events = [changed("10min", nested={"a": 5.0}), changed("20min", "30min", nested={"b": 6.0}, level=2.0)]
    _, seen = watch(tmp_path, {"nested": {"a": 1.0, "b": 2.0}}, events=events)
    assert seen[1200.0].parameters.nested == {"a": 5.0, "b": 6.0}
    assert seen[1200.0].parameters.level == 2.0
    assert seen[1800.0].parameters.nested == {"a": 5.0, "b": 2.0}


def test_parameters_of_another_controller_change_nothing(tmp_path):
    _, seen = watch(tmp_path, events=[changed("15min", controller="emh", nonsense=7.0)])
    assert {hub.parameters.level for hub in seen.values()} == {1.0}


@pytest.mark.parametrize("values", [{"level": "high"}, {"unheard": 1}])
def test_wrong_parameters_in_an_event_are_refused_with_their_place(values, tmp_path):
    hub = {"grid": {"contracted_kw": 50}, "load": LOAD}
    controller = {"type": f"{__name__}:Watching"}
    data = plants.smallest(hubs={"depot": hub}, controller=controller, events=[changed("15min", **values)])
    with pytest.raises(InputError, match=rf"events\[0\].parameters.set.{next(iter(values))}"):
        build(plants.loaded(data, tmp_path))


@pytest.mark.parametrize("trips", [True, False])
@pytest.mark.parametrize(("device", "power"), [("pv", "p_pv_kw"), ("bess", "p_bess_kw")])
def test_a_fault_is_reported_and_trips_the_device_only_if_it_says_so(device, power, trips, tmp_path):
    _, seen = watch(tmp_path, events=[event("device_fault", "15min", "35min", device=device, trips=trips)])
    assert seen[600.0].failed == frozenset()
    assert seen[1200.0].failed == {device}
    assert seen[2400.0].failed == frozenset()
    assert (getattr(seen[1200.0], power) == 0.0) == trips


def test_a_load_on_one_phase_shows_in_its_current_and_in_the_balance(tmp_path):
    events = [event("phase_load", "15min", "25min", phase="b", p_kw=23.0)]
    results, seen = watch(tmp_path, events=events)
    before, during = seen[600.0], seen[1200.0]
    # 23 kW at 400/sqrt(3) V between phase and neutral
    assert during.i_grid_a - before.i_grid_a == pytest.approx([0.0, 23e3 * np.sqrt(3) / 400.0, 0.0], abs=1e-9)
    assert during.p_load_kw == pytest.approx(53.0)
    assert during.p_grid_kw - before.p_grid_kw == pytest.approx(23.0)
    assert results.events().query("source == 'depot.load'").empty


def test_a_perfect_forecast_is_what_happens(tmp_path):
    _, seen = watch(tmp_path)
    forecast = seen[600.0].forecast
    edges_s = np.array([600.0, 1200.0, 3600.0])
    assert forecast.pv_kw(edges_s) == pytest.approx([seen[1200.0].p_pv_kw] * 2)
    assert forecast.load_kw(edges_s)[:, 0] == pytest.approx([30.0, 30.0])
    assert forecast.price("buy", edges_s).tolist() == [0.0, 0.0]
    assert forecast.sessions(3600.0).id == ()


def test_a_controllers_own_series_and_diagnostics_are_in_the_results(tmp_path):
    results, seen = watch(tmp_path)
    samples = results.diagnostics()
    assert samples["name"].str.endswith("/effort").sum() == len(seen)


def test_a_series_that_the_class_does_not_name_ends_the_run_with_its_name(tmp_path):
    with pytest.raises(ControllerError, match="unheard"):
        watch(tmp_path, {"type": f"{__name__}:Inventing"})


# --- what no controller may do, on a hub with V2G, four load classes and an outage ------------------------------------


# so that somebody really discharges
OWN = {"ievcs": {"resolution": "15min", "subsidy_per_kwh": 0.2, "owners": {"premium_to_per_kwh": 0.05}}}
V2G_HUB = {
    "grid": {"contracted_kw": 60, "installed_kw": 70, "secondary": {"rated_kw": 40}},
    "pv": {"rated_kw": 20, "irradiance": {"type": "constant", "value": 100}},
    "bess": {"type": "ideal", "capacity_kwh": 30, "rated_kw": 10, "soc": 0.6, "soc_min": 0.2, "soc_max": 0.9},
    "load": {name: {"demand": {"type": "constant", "value": 4.0}} for name in CLASSES},
    "connectors": {"count": 4, "rated_kw": 7.2, "current": "dc", "v2g": True},
    "tariffs": {
        "buy": {"type": "profile", "points": [["0s", 0.4], ["1h", 0.1]]},
        "charging": {"type": "constant", "value": 0.1},
    },
    "sessions": {
        "type": "list",
        "items": [
            {
                "id": "agreed",
                "at": "5min",
                "until": "170min",
                "energy_kwh": 3,
                "capacity_kwh": 40,
                "soc": 0.6,
                "v2g": True,
            },
            {"id": "refused", "at": "5min", "until": "170min", "energy_kwh": 3, "capacity_kwh": 40, "soc": 0.6},
            {
                "id": "nearly empty",
                "at": "5min",
                "until": "170min",
                "energy_kwh": 6,
                "capacity_kwh": 40,
                "soc": 0.21,
                "v2g": True,
            },
            {
                "id": "empty",
                "at": "5min",
                "until": "170min",
                "energy_kwh": 6,
                "capacity_kwh": 40,
                "soc": 0.1,
                "v2g": True,
            },
        ],
    },
}


@pytest.mark.parametrize("name", sorted(controllers()))
def test_whoever_controls_critical_load_and_drivers_get_what_they_must(name, tmp_path):
    outage = {"at": "20min", "outage": {"hub": "depot", "until": "40min"}}
    # a file without the column soc_v2g_min
    items = V2G_HUB["sessions"]["items"]
    rows = pd.DataFrame([{"v2g": False, **item} for item in items]).rename(columns={"soc": "soc_arrival"})
    rows = rows.assign(arrival=300, departure=10200).drop(columns=["at", "until"])
    rows.to_csv(tmp_path / "sessions.csv", index=False)
    data = plants.smallest(
        hubs={"depot": {**V2G_HUB, "sessions": {"type": "csv", "file": "sessions.csv"}}},
        controller={"type": name, "period": "5min", **OWN.get(name, {})},
        duration="3h",
        events=[outage],
    )
    with open_results(plants.run_data(data, tmp_path)) as results:
        sessions = results.sessions().set_index("id")
        bus_s, bus = results.arrays("depot/ats/bus")
        load_s, served = results.arrays("depot/load/served_kw")
        p_s, p_kw = results.arrays("depot/cp/connector_p_kw")
        who = steps.hold(*results.arrays("depot/cp/session"), p_s).astype(int)
        soc = steps.hold(*results.arrays("depot/cp/soc"), p_s)
        written = plates(pv_kw=20.0, bess_kw=10.0, connector_kw=7.2, soc_min=0.2, soc_max=0.9)
        assert INVARIANTS["balance"](results, "depot", written) is None
    # critical load is served whenever the bus has a source
    t_s = steps.union([bus_s, load_s])
    live = steps.hold(bus_s, bus, t_s) != 0
    assert (steps.hold(load_s, served, t_s)[live, 0] == pytest.approx(4.0)) and live.mean() > 0.5
    # four slow EVs fit below the contract, with hours to spare
    assert (sessions["delivered_kwh"] >= sessions["requested_kwh"] - 1e-3).all()
    given = p_kw < -1e-6
    assert given.any() or name not in OWN
    ids = sessions.index.to_numpy()
    assert set(ids[who[given]]) <= {"agreed", "nearly empty", "empty"}
    # no EV gives anything back below 20 % (Yan & Tu 2022, eq. 10), nor one that came with less
    assert (soc[given] >= 0.2 - 1e-6).all()
