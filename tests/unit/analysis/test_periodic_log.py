"""The periodic log of energy, status and events."""

from __future__ import annotations

import pandas as pd
import pytest

from evhub.analysis import open_results
from evhub.analysis.results.periodic_log import periodic_log
from evhub.analysis.results.result_export import export
from evhub.scenarios.run_scenario import run


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = run("leal2024-1", tmp_path_factory.mktemp("emh") / "out.h5", engine="inprocess")
    with open_results(path) as found:
        yield found


def test_energies_add_up_to_those_of_the_run(results):
    log, summary = periodic_log(results, "depot", "1min"), periodic_log(results, "depot", "1h")
    assert len(log) == 8
    assert len(summary) == 1
    for name in (column for column in log if column.endswith("_kwh")):
        assert log[name].sum() == pytest.approx(summary[name].iloc[0], abs=1e-9)
    sources = log["grid_import_kwh"] - log["grid_export_kwh"] + log["secondary_kwh"] + log["pv_kwh"]
    loads = log["load_kwh"] + log["cp_kwh"] + log["bess_charged_kwh"] - log["bess_discharged_kwh"]
    assert sources.to_numpy() == pytest.approx(loads.to_numpy(), abs=1e-9)
    # 5 kW of load and of slow charging, 20 kW of PV that starts with the run
    assert log["load_kwh"].iloc[0] == pytest.approx(5.0 / 60.0)


def test_status_is_that_at_the_end_of_each_period(results):
    log = periodic_log(results, "depot", "1min")
    assert log["bus"].tolist() == ["grid", "grid", "dead", *["secondary"] * 3, "grid", "grid"]
    assert log["busy_connectors"].tolist() == [0, 2, 2, 2, 2, 1, 1, 1]
    assert log["p_in_limit_kw"].iloc[0] == pytest.approx(44.0)
    assert log["p_in_limit_kw"].iloc[4] == pytest.approx(46.8)
    assert set(log["alarms"]) == {""}


def test_events_stand_in_their_period(results):
    log = periodic_log(results, "depot", "1min")
    assert "outage: grid lost" in log["events"].iloc[2]
    assert log["events"].iloc[4] == ""
    assert sum(len(text.split(" | ")) for text in log["events"] if text) == len(results.events())


def test_a_csv_for_every_hub(results, tmp_path):
    (path,) = [path for path in export(results, tmp_path, every="1min") if path.name.startswith("log-")]
    assert path.name == "log-depot.csv"
    table = pd.read_csv(path, index_col=0, keep_default_na=False)
    assert len(table) == 8
    assert table.index[0] == "2024-03-01T12:00:00.000000-0300"


@pytest.mark.parametrize(
    ("hub", "every", "match"),
    [("north", "1min", "hub must be one of depot, got 'north'"), ("depot", "0s", "every must be > 0, got '0s'")],
)
def test_bad_input_is_refused(results, hub, every, match):
    with pytest.raises(ValueError, match=match):
        periodic_log(results, hub, every)
