"""Laws that every run obeys, on random scenarios."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from evhub.analysis import open_results
from evhub.analysis.kpis.kpi_formulas import energy
from evhub.analysis.kpis.step_signals import hold, union

from ...helpers import plants
from ...helpers.sizes import examples

REACTIVE = {"grid": 1, "secondary": 1, "pv": 1, "bess": 1, "dg": 1, "load": -1, "cp": 1}
FLOWS = {"grid": 1, "secondary": 1, "pv": 1, "bess": 1, "dg": 1, "load": -1, "cp": -1}
# a run takes a second, so a failing example is shown as it was found
RUNS = settings(
    max_examples=examples(25),
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("laws")


def ran(data: dict, folder: Path):
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = plants.run_data(data, Path(place))
        with open_results(path) as results:
            yield results


def powers(results, hub: str, quantity: str = "p_kw") -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Every flow of a hub at every instant at which any of them changed."""
    found = {
        device: results.arrays(f"{hub}/{device}/{quantity}")
        for device in FLOWS
        if results.has(f"{hub}/{device}/{quantity}")
    }
    times = union([t_s for t_s, _ in found.values()])
    return times, {device: hold(t_s, p_kw, times) for device, (t_s, p_kw) in found.items()}


@RUNS
@given(data=plants.scenarios())
def test_laws(data, folder):
    for results in ran(data, folder):
        assert results.status == "complete"
        for hub, section in data["hubs"].items():
            times, flows = powers(results, hub)
            check_balance(flows, FLOWS)
            check_balance(powers(results, hub, "q_kvar")[1], REACTIVE)
            check_load(results, hub)
            check_dead_bus(results, hub, times, flows)
            check_bounds(results, hub, section, flows)
            check_delivered(results, hub, data)


def check_balance(flows, signs):
    balance = sum(signs[device] * np.nan_to_num(p_kw) for device, p_kw in flows.items())
    assert np.abs(balance).max() <= 1e-6


def check_load(results, hub):
    """Demand = served + not supplied + still due, in every class together."""
    end_s = results.end_s
    served = energy(*results.arrays(f"{hub}/load/p_kw"), end_s)
    lost = results.arrays(f"{hub}/load/eens_kwh")[1][-1].sum()
    due = results.arrays(f"{hub}/load/backlog_kwh")[1][-1]
    demanded = energy(*results.arrays(f"{hub}/load/demand_kw"), end_s)
    assert served + lost + due == pytest.approx(demanded, abs=1e-6)


def check_dead_bus(results, hub, times, flows):
    t_s, bus = results.arrays(f"{hub}/ats/bus")
    dead = hold(t_s, bus, times) == 0
    for device, p_kw in flows.items():
        assert not p_kw[dead].any(), f"{device} has power on a dead bus"


def check_bounds(results, hub, section, flows):
    if "bess" in section:
        _, soc = results.arrays(f"{hub}/bess/soc")
        assert soc.min() >= 0.2 - 1e-9 and soc.max() <= 0.8 + 1e-9
        assert np.abs(flows["bess"]).max() <= section["bess"]["rated_kw"] + 1e-9
    if "pv" in section:
        assert flows["pv"].min() >= 0.0 and flows["pv"].max() <= section["pv"]["rated_kw"] + 1e-9
    _, connector_kw = results.arrays(f"{hub}/cp/connector_p_kw")
    assert np.abs(connector_kw).max() <= section["connectors"]["rated_kw"] + 1e-9
    if "dg" in section:
        assert flows["dg"].min() >= 0.0 and flows["dg"].max() <= section["dg"]["rated_kw"] + 1e-9
        _, fuel_l = results.arrays(f"{hub}/dg/fuel_l")
        assert fuel_l.min() >= 0.0 and (np.diff(fuel_l) <= 1e-9).all()
    _, soc = results.arrays(f"{hub}/cp/soc")
    assert not (soc < -1e-9).any() and not (soc > 1.0 + 1e-9).any()


def check_delivered(results, hub, data):
    """Energy of every session = integral of its connector's power while it was plugged in."""
    sessions = results.sessions()
    sessions = sessions[sessions["hub"] == hub]
    t_s, p_kw = results.arrays(f"{hub}/cp/connector_p_kw")
    for _, session in sessions.iterrows():
        if session["connector"] < 0:
            assert session["delivered_kwh"] == 0.0
            continue
        plug_s, end_s = session["plug_s"], session["end_s"]
        edges = np.unique(np.concatenate(([plug_s], t_s[(t_s > plug_s) & (t_s < end_s)])))
        through = hold(t_s, p_kw[:, int(session["connector"])], edges)
        assert energy(edges, through, end_s) == pytest.approx(session["delivered_kwh"], abs=1e-6)
        assert session["delivered_kwh"] <= session["requested_kwh"] + 1e-6


@settings(RUNS, max_examples=examples(6))
@given(data=plants.scenarios())
def test_same_seed_gives_the_same_bytes_in_every_dataset(data, folder):
    contents = []
    for name in ("a.h5", "b.h5"):
        path = plants.run_data(data, folder, name)
        contents.append(plants.datasets(path))
    assert contents[0].keys() == contents[1].keys()
    assert all(contents[0][name] == contents[1][name] for name in contents[0])


def energies(data: dict, folder: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    duration_s = plants.loaded(data).scenario.duration
    for results in ran(data, folder):
        for hub in data["hubs"]:
            for device in FLOWS:
                path = f"{hub}/{device}/p_kw"
                if results.has(path):
                    t_s, p_kw = results.arrays(path)
                    found[path] = energy(t_s, np.abs(p_kw), duration_s)
    return found


@pytest.mark.parametrize("time_step", ["4s", "20s"])
def test_halving_the_time_step_changes_daily_energies_by_less_than_a_thousandth(folder, time_step):
    hub = plants.hub_with_everything()
    hub["bess"]["capacity_kwh"] = 40
    hub["load"]["demand"] = {"type": "profile", "every": "1d", "points": [["0s", 4], ["6h", 9], ["20h", 5]]}
    hub["pv"]["irradiance"] = {"type": "clear_sky", "latitude": -23.5, "longitude": -46.6}
    hub["sessions"]["items"] = [
        {"at": f"{hour}h", "stay": f"{stay}h", "energy_kwh": 4 + hour, "capacity_kwh": 60}
        for hour, stay in [(1, 4), (6, 3), (7, 8), (9, 2), (12, 5), (16, 3), (18, 5)]
    ]
    data = plants.smallest(duration="1d", hubs={"depot": hub}, controller={"type": "equal_share", "period": "5min"})
    coarse = energies({**data, "time_step": time_step}, folder)
    fine = energies({**data, "time_step": f"{int(time_step[:-1]) // 2}s"}, folder)
    for path, e_kwh in coarse.items():
        assert e_kwh == pytest.approx(fine[path], rel=1e-3, abs=1e-3), path


def test_an_added_connector_does_not_change_who_arrives(folder):
    hub = plants.hub_with_everything()
    hub["sessions"] = {"type": "stochastic", "profile": "public", "scale": 3.0}
    arrivals = []
    for count in (2, 3):
        hub["connectors"]["count"] = count
        data = plants.smallest(duration="6h", time_step="60s", hubs={"depot": hub})
        for results in ran(data, folder):
            arrivals.append(results.sessions()["arrival_s"].tolist())
    assert len(arrivals[0]) > 5
    assert arrivals[0] == arrivals[1]
