"""Controllers side by side: what can be said of differences and what cannot, the command, the page and the plots."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.special import stdtr, stdtrit
from scipy.stats import ttest_rel

from evhub.analysis import ResultError, open_results
from evhub.analysis.comparison.paired_statistics import (
    FIXED,
    HIGHER,
    LOWER,
    ONE_SEED,
    SAME,
    UNDECIDED,
    UNTESTED,
    compare,
    holm,
)
from evhub.analysis.comparison.run_figures import collect
from evhub.analysis.report.html.comparison_page import page
from evhub.analysis.report.print import paper_plots as plots
from evhub.scenarios.schema.scenario_loader import parse
from evhub.scenarios.studies.compare.compare_plan import random_parts

from ..helpers.command import Outcome, evhub
from ..helpers.sample_results import write_hubs
from ..helpers.sizes import examples
from ..unit.analysis.test_report import EVIL, Page

# --- what can be said -------------------------------------------------------------------------------------------------


def kpis(values: dict[str, object], better: str = "less", group: str = "cost", name: str = "cost") -> pd.DataFrame:
    """One key figure of controllers, whose values follow each other seed by seed."""
    rows = [
        (controller, seed, name, group, name, "EUR", better, float(value))
        for controller, series in values.items()
        for seed, value in enumerate(np.atleast_1d(np.asarray(series, dtype=float)))
    ]
    columns = ["controller", "seed", "kpi", "group", "quantity", "unit", "better", "value"]
    return pd.DataFrame(rows, columns=pd.Index(columns))


def only(table: pd.DataFrame) -> pd.Series:
    """The only row."""
    assert len(table) == 1
    return table.iloc[0]


def ranked(comparison) -> dict[str, float]:
    return dict(zip(comparison.ranks["controller"], comparison.ranks["rank"], strict=True))


def test_identical_controllers_are_not_different():
    values = np.random.default_rng(1).normal(50, 10, 8)
    found = compare(kpis({"a": values, "b": values.copy()}))
    row = only(found.differences)
    assert (row["verdict"], row["difference"], row["low"], row["high"]) == (SAME, 0.0, 0.0, 0.0)
    assert np.isnan(row["p_raw"])
    assert found.ranks["rank"].isna().all()  # nobody is better: nothing to rank


def test_known_saving_is_found_where_seeds_scatter_far_more_than_it():
    rng = np.random.default_rng(2)
    plain = rng.normal(500, 100, 10)
    found = compare(kpis({"plain": plain, "saves": plain - 5 + rng.normal(0, 1, 10)}))
    row = only(found.differences)
    assert row["verdict"] == LOWER
    assert row["low"] < -5 < row["high"] < 0
    assert row["p_corrected"] < 1e-4
    assert ranked(found) == {"plain": 2, "saves": 1}
    means = found.means.set_index("controller")
    assert means.loc["saves", "high"] > means.loc["plain", "low"]  # unpaired, nobody would see it


def test_paired_t_test_of_one_to_five():
    """Differences 1..5: mean 3, t = 3 / sqrt(2.5 / 5) = 4.243 with 4 degrees of freedom, p = 0.0132, 3 -+ 1.963."""
    row = only(compare(kpis({"a": np.zeros(5), "b": np.arange(1, 6)})).differences)
    assert (row["n"], row["difference"]) == (5, 3.0)
    assert row["p_raw"] == pytest.approx(0.0132, abs=5e-5)
    assert (row["low"], row["high"]) == pytest.approx((3 - 1.963, 3 + 1.963), abs=1e-3)
    assert row["verdict"] == HIGHER


@pytest.mark.parametrize("n", [2, 3, 8, 40])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_interval_and_p_are_those_of_students_t_to_twelve_digits(n, level):
    """Mean -+ t((1 + level) / 2, n - 1) s / sqrt(n), and 2 P(T < -|mean| sqrt(n) / s); Student 1908."""
    rng = np.random.default_rng([n, round(100 * level)])
    a = rng.normal(500, 100, n)
    b = a + rng.normal(3, 10, n)
    comparison = compare(kpis({"a": a, "b": b}), level=level)
    row, mean = only(comparison.differences), comparison.means.set_index("controller").loc["b"]
    for values, told in ((b - a, row), (b, mean)):
        half = stdtrit(n - 1, (1 + level) / 2) * values.std(ddof=1) / np.sqrt(n)
        ends = values.mean() - half, values.mean() + half
        assert (told["low"], told["high"]) == pytest.approx(ends, rel=1e-12, abs=1e-12 * np.abs(values).max())
    t = (b - a).mean() / ((b - a).std(ddof=1) / np.sqrt(n))
    assert row["p_raw"] == pytest.approx(2 * stdtr(n - 1, -abs(t)), rel=1e-12)
    assert row["p_raw"] == pytest.approx(ttest_rel(b, a)[1], rel=1e-12)


def test_signed_ranks_of_five_seeds_cannot_find_anything():
    """The least p of n signed ranks is 2^(1 - n): 0.0625 with five, 0.031 with six."""
    five = compare(kpis({"a": np.zeros(5), "b": np.arange(1, 6)}), test="wilcoxon")
    six = compare(kpis({"a": np.zeros(6), "b": np.arange(1, 7)}), test="wilcoxon")
    assert only(five.differences)[["p_raw", "verdict"]].tolist() == [0.0625, UNDECIDED]
    assert only(six.differences)[["p_raw", "verdict"]].tolist() == [0.03125, HIGHER]


def test_signed_ranks_leave_out_seeds_without_a_difference_and_allow_for_equal_ones():
    """Of 1, 1, 2, 2, 3, -3 the ranks are 1.5, 1.5, 3.5, 3.5, 5.5, 5.5; 24 of 64 signs give 5.5 or less on a side."""
    values = {"a": np.zeros(8), "b": np.array([1, 1, 2, 2, 3, -3, 0, 0])}
    assert only(compare(kpis(values), test="wilcoxon").differences)["p_raw"] == pytest.approx(24 / 64)


def test_equal_values_have_no_interval_even_if_their_mean_is_rounded():
    value = 113.10648304693127
    found = compare(kpis({"a": [value, value, value + 2e-14], "b": [1.0, 2.0, 4.0]})).means.set_index("controller")
    assert found.loc["a", "low"] == found.loc["a", "high"] == found.loc["a", "mean"]
    assert found.loc["b", "low"] < found.loc["b", "mean"]


@pytest.mark.parametrize(("n", "verdict"), [(2, UNDECIDED), (5, UNDECIDED), (6, LOWER)])
def test_same_difference_with_every_seed_is_no_certainty_but_a_run_of_signs(n, verdict):
    values = np.arange(n) ** 2.0
    row = only(compare(kpis({"a": values, "b": values - 3})).differences)
    assert row["p_raw"] == pytest.approx(2.0 ** (1 - n))
    assert row["verdict"] == verdict


def test_difference_of_values_that_no_seed_changes_is_exact_and_has_no_p():
    found = compare(kpis({"a": np.full(5, 8.0), "b": np.full(5, 7.0)}))
    row = only(found.differences)
    assert (row["verdict"], row["difference"]) == (FIXED, -1.0)
    assert np.isnan(row["p_raw"])
    assert ranked(found) == {"a": 2, "b": 1}


def test_one_seed_says_nothing_unless_nothing_is_random():
    table = kpis({"a": 8.0, "b": 7.0})
    one, exact = compare(table), compare(table, random=False)
    assert only(one.differences)["verdict"] == ONE_SEED
    assert all(np.isnan(rank) for rank in ranked(one).values())
    assert only(exact.differences)["verdict"] == FIXED
    assert ranked(exact) == {"a": 2, "b": 1}
    assert np.isnan(one.means["high"]).all()


def test_rounding_is_no_difference():
    values = np.array([1e3, 2e3, 4e3])
    assert only(compare(kpis({"a": values, "b": values * (1 + 1e-12)})).differences)["verdict"] == SAME


def test_seeds_that_one_of_them_has_not_are_left_out():
    found = compare(kpis({"a": [1.0, 2.0, 4.0, np.nan], "b": [2.0, np.nan, 6.0, 9.0]}))
    row = only(found.differences)
    assert (row["n"], row["difference"]) == (2, 1.5)
    assert found.means.set_index("controller").loc["a", "n"] == 3


def test_figures_that_depend_on_the_machine_are_told_and_not_tested():
    row = only(compare(kpis({"a": np.zeros(9), "b": np.arange(1, 10)}, group="controller", better="")).differences)
    assert (row["verdict"], row["difference"]) == (UNTESTED, 5.0)
    assert np.isnan(row["p_raw"])


def test_holm_of_four():
    """Sorted p times 4, 3, 2, 1, never falling: 0.02, 0.03, 0.06, 0.06."""
    corrected = holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005]))
    assert corrected[[0, 1, 3, 4]] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert np.isnan(corrected[2])
    assert holm(np.array([0.9, 0.8])).max() == 1.0


def test_many_comparisons_of_equal_controllers_find_anything_in_no_more_than_five_percent():
    """100 comparisons of 3 equal controllers by 5 figures; without correction many would find something."""
    rng = np.random.default_rng(3)
    found = by_luck = 0
    for _ in range(100):
        tables = []
        for figure in range(5):
            base = rng.normal(100, 20, 6)
            values = {name: base + rng.normal(0, 1, 6) for name in "abc"}
            tables.append(kpis(values, name=f"kpi{figure}"))
        comparison = compare(pd.concat(tables))
        found += bool((comparison.ranks["rank"] > 1).any())
        by_luck += bool((comparison.differences["p_raw"] < 0.05).any())
    assert found <= 12  # P(more | 5 %) = 0.15 %
    assert by_luck > 25


def test_those_that_cannot_be_told_apart_share_a_rank():
    rng = np.random.default_rng(4)
    base = rng.normal(100, 20, 12)
    values = {"worst": base + 9, "good": base, "twin": base + rng.normal(0, 1, 12), "best": base - 9}
    noisy = {name: series + rng.normal(0, 0.5, 12) for name, series in values.items()}
    assert ranked(compare(kpis(noisy))) == {"worst": 4, "good": 2, "twin": 2, "best": 1}
    assert ranked(compare(kpis(noisy, better="more"))) == {"worst": 1, "good": 2, "twin": 2, "best": 4}
    assert compare(kpis(noisy, better="")).ranks.empty


@settings(max_examples=examples(30))
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=2, max_size=9))
def test_baseline_only_turns_the_sign(pairs):
    a, b = np.array(pairs).T
    table = kpis({"a": a, "b": b})
    one, other = only(compare(table, "a").differences), only(compare(table, "b").differences)
    assert one["difference"] == pytest.approx(-other["difference"])
    assert (one["low"], one["high"]) == pytest.approx((-other["high"], -other["low"]))
    assert one["p_raw"] == pytest.approx(other["p_raw"], nan_ok=True)
    assert {LOWER: HIGHER, HIGHER: LOWER}.get(one["verdict"], one["verdict"]) == other["verdict"]
    assert np.isnan(one["p_raw"]) or 0 < one["p_raw"] <= 1


def test_unknown_baseline_is_an_error():
    with pytest.raises(ValueError, match="baseline must be one of a, b, got 'c'"):
        compare(kpis({"a": 1.0, "b": 2.0}), "c")


# --- opened results ---------------------------------------------------------------------------------------------------


def run(folder: Path, name: str, seed: int, **more) -> Path:
    """A made-up result of a controller."""
    text = f"name: x\nhubs:\n  depot:\n    power: 5\nseed: {seed}\ncontroller:\n- type: {name}\n"
    path = folder / f"{name}-{seed}-{len(list(folder.iterdir()))}.h5"
    write_hubs(path, {"depot": 3}, name="x", seed=seed, **{"scenario": text, "controller": name} | more)
    with h5py.File(path, "a") as file:
        file.attrs["seed"] = seed
    return path


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"scenario": "name: y\nhubs:\n  depot:\n    power: 6\n"}, "the scenarios differ in hubs"),
        ({"controller": "a"}, "there is a run of a with seed 1 already"),
        ({"status": "failed"}, "only complete runs can be compared"),
    ],
)
def test_results_that_do_not_fit_together_are_one_clear_error(tmp_path, more, message):
    with (
        open_results(run(tmp_path, "a", 1)) as one,
        open_results(run(tmp_path, "b", 1, **more)) as other,
        pytest.raises(ResultError, match=message),
    ):
        collect([one, other])


def test_opened_results_are_compared_by_their_controllers_and_seeds(tmp_path):
    paths = [run(tmp_path, name, seed) for seed in (1, 2) for name in ("a", "b")]
    opened = [open_results(path) for path in paths]
    comparison = compare(collect(opened))
    assert (comparison.controllers, comparison.seeds) == (["a", "b"], [1, 2])
    value = comparison.means.query("kpi == 'pv_kwh' and controller == 'a'")["mean"].item()
    assert value == pytest.approx(np.mean([opened[k].summary().loc["pv_kwh", "total"] for k in (0, 2)]))
    assert len(comparison.table()) == len(comparison.means)


def test_page_is_whole_and_text_on_it_is_text(tmp_path):
    names = [EVIL, "plain"]
    paths = [run(tmp_path, f"c{n}", 1, title=EVIL) for n in range(2)]
    opened = [open_results(path) for path in paths]
    table = collect(opened, names)
    table.loc[(table["controller"] == EVIL) & (table["kpi"] == "cost_net"), "value"] += 10
    text = page(
        compare(table, random=False), dict(zip(names, opened, strict=True)), notes=[EVIL], failures=[(EVIL, 3, EVIL)]
    )
    parsed = Page(text)
    assert all(tag not in ("img", "link", "iframe") and "onerror" not in attrs for tag, attrs in parsed.tags)
    assert "<script>alert" not in text
    assert parsed.words.count(EVIL) >= 6
    charts = [attrs["data-figure"] for _, attrs in parsed.tags if attrs.get("class") == "chart"]
    assert charts == list(parsed.figures)
    layout = parsed.figures["figure-0"]["layout"]
    assert {key for key in layout if key.startswith("xaxis")} == {"xaxis"}  # one time axis for all panels
    assert layout["yaxis"]["range"] == layout["yaxis2"]["range"]


def test_plots_return_axes_with_what_they_are_of(tmp_path):
    opened = [open_results(run(tmp_path, name, 1)) for name in ("a", "b")]
    axes = plots.power_balance(opened[0])
    assert isinstance(axes.figure, Figure)
    assert "PV" in [text.get_text() for text in axes.get_legend().get_texts()]
    both = plots.state_of_charge({"a": opened[0], "b": opened[1]}, "depot")
    assert len(both.lines) == 2
    given_axes = Figure().subplots()
    assert plots.state_of_charge(opened[0], axes=given_axes) is given_axes
    comparison = compare(kpis({"a": np.zeros(5), "b": np.arange(1, 6), "c": np.zeros(5)}))
    axes = plots.kpi_differences(comparison, "cost")
    assert [text.get_text() for text in axes.get_yticklabels()] == ["b", "c"]
    (points, _, bars) = axes.containers[0]
    assert points.get_xdata().tolist() == [3.0]
    assert bars[0].get_segments()[0][:, 0].tolist() == pytest.approx([3 - 1.963, 3 + 1.963], abs=1e-3)
    for drawn in (axes, both):
        drawn.figure.savefig(tmp_path / "plot.pdf")
    with pytest.raises(ValueError, match="kpi must be one of cost, got 'peak'"):
        plots.kpi_differences(comparison, "peak")
    with pytest.raises(ValueError, match="hub must be one of depot, got 'mall'"):
        plots.power_balance(opened[0], "mall")


# --- the command ------------------------------------------------------------------------------------------------------

MINE = '''
import os
from dataclasses import replace

import numpy as np

from evhub.controllers import contract as base
from evhub.controllers.sharing.equal_share import EqualShare


class Plain(EqualShare):
    """Equal shares."""


class Twin(Plain):
    """The same under another name."""


class WithGenerator(Plain):
    """The same, and the generator makes half of what was charged when it last looked."""

    def decide(self, observation):
        decision = super().decide(observation)
        setpoints = {
            name: replace(one, dg_kw=0.5 * observation.hubs[name].p_cp_kw) for name, one in decision.setpoints.items()
        }
        return replace(decision, setpoints=setpoints)


class Draws(Plain):
    """The same, and the generator makes what it likes."""

    def decide(self, observation):
        decision = super().decide(observation)
        setpoints = {name: replace(one, dg_kw=self.rng.uniform(5, 10)) for name, one in decision.setpoints.items()}
        return replace(decision, setpoints=setpoints)


class Breaks(Plain):
    def decide(self, observation):
        if observation.t_s > 600:
            raise RuntimeError("no [more] ideas")
        return super().decide(observation)


class Dies(Plain):
    def decide(self, observation):
        os._exit(7)

'''


def scenario(folder: Path, sessions: dict, **changes) -> Path:
    data = {
        "name": "small",
        "start": "2024-05-14T09:00:00+02:00",
        "duration": "3h",
        "time_step": "1min",
        "seed": 7,
        "hubs": {
            "depot": {
                "grid": {"contracted_kw": 100},
                "dg": {"rated_kw": 100, "start": "0s", "fuel_capacity_l": 500},
                "connectors": {"count": 8, "rated_kw": 22},
                "sessions": sessions,
                "tariffs": {
                    "buy": {"type": "constant", "value": 0.3},
                    "sell": {"type": "constant", "value": 0.3},
                    "dg": {"type": "constant", "value": 0.1},
                },
            }
        },
        "controller": {"type": "equal_share", "period": "10min"},
    } | changes
    (folder / "mine.py").write_text(MINE)
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


RANDOM = {"type": "stochastic", "profile": "public", "scale": 4.0}
LISTED = {"type": "list", "items": [{"at": "5min", "stay": "1h", "energy_kwh": 12}]}


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> tuple[Path, Outcome]:
    """Three controllers, two of them the same, under eight seeds."""
    folder = tmp_path_factory.mktemp("compared")
    path = scenario(folder, RANDOM)
    names = "mine:Plain,mine:Twin,mine:WithGenerator"
    outcome = evhub(
        "compare", path, "--controllers", names, "--seeds", 8, "-o", folder / "out", "--workers", 1, "--json",
        "--kpis", "cost_net,delivered_kwh,dg_kwh,import_kwh",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    return folder / "out", outcome


def rows_of(outcome: Outcome, kpi: str) -> dict[str, dict]:
    return {row["controller"]: row for row in json.loads(outcome.out) if row["kpi"] == kpi}


def test_two_names_of_one_controller_are_declared_the_same(compared):
    twin = [row for row in json.loads(compared[1].out) if row["controller"] == "mine:Twin" and row["p_raw"] is not None]
    assert twin == []
    cost = rows_of(compared[1], "cost_net")
    assert (cost["mine:Twin"]["verdict"], cost["mine:Twin"]["difference"]) == (SAME, 0.0)
    assert cost["mine:Twin"]["rank"] == cost["mine:Plain"]["rank"]


def test_saving_of_the_generator_is_found_and_is_what_its_energy_costs_less(compared):
    cost, made = rows_of(compared[1], "cost_net"), rows_of(compared[1], "dg_kwh")
    saving = cost["mine:WithGenerator"]
    assert saving["verdict"] == LOWER
    assert saving["difference_low"] < saving["difference"] < saving["difference_high"] < 0
    assert saving["difference"] == pytest.approx(-0.2 * made["mine:WithGenerator"]["mean"])
    assert [cost[name]["rank"] for name in ("mine:Plain", "mine:Twin", "mine:WithGenerator")] == [2, 2, 1]


def test_all_controllers_meet_the_same_evs_and_every_seed_others(compared):
    def asked(controller: str, seed: int) -> list[tuple]:
        with open_results(compared[0] / "runs" / f"mine.{controller}-seed{seed}.h5") as results:
            assert results.attributes["seed"] == seed
            return list(results.sessions()[["id", "arrival_s", "departure_s", "requested_kwh"]].itertuples(index=False))

    assert asked("Plain", 7) == asked("WithGenerator", 7) != asked("Plain", 8)
    assert len(list((compared[0] / "runs").iterdir())) == 24


def test_every_run_and_every_difference_is_in_a_csv(compared):
    with (compared[0] / "kpis.csv").open() as file:
        runs = list(csv.DictReader(file))
    costs = {(row["controller"], int(row["seed"])): float(row["value"]) for row in runs if row["kpi"] == "cost_net"}
    assert len(costs) == 24
    assert len({row["kpi"] for row in runs}) > 30  # also those that were not asked for
    with (compared[0] / "differences.csv").open() as file:
        differences = {row["controller"]: row for row in csv.DictReader(file) if row["kpi"] == "cost_net"}
    assert float(differences["mine:WithGenerator"]["difference"]) == pytest.approx(
        np.mean([costs["mine:WithGenerator", seed] - costs["mine:Plain", seed] for seed in range(7, 15)])
    )
    assert differences["mine:Twin"]["p_raw"] == ""
    with (compared[0] / "means.csv").open() as file:
        assert {row["rank"] for row in csv.DictReader(file) if row["kpi"] == "cost_net"} == {"1.0", "2.0"}
    assert "mine:WithGenerator" in Page((compared[0] / "index.html").read_text()).words


def test_seeds_of_a_scenario_without_chance_are_not_run(tmp_path):
    path = scenario(tmp_path, LISTED)
    call = ("compare", path, "--workers", 1, "--seeds", 4, "-o")
    exact = evhub(*call, tmp_path / "a", "--controllers", "mine:Plain,mine:WithGenerator,mine:Twin")
    assert exact.status == 0, exact.err
    assert "4 times the same run" in " ".join(exact.out.split())
    assert len(list((tmp_path / "a" / "runs").iterdir())) == 3
    differences = pd.read_csv(tmp_path / "a" / "differences.csv").set_index(["kpi", "controller"])
    assert differences.loc[("cost_net", "mine:WithGenerator"), "verdict"] == FIXED
    assert differences["p_raw"].isna().all()

    drawn = evhub(*call, tmp_path / "b", "--controllers", "mine:Plain,mine:Draws", "--json")
    assert drawn.status == 0, drawn.err
    assert len(list((tmp_path / "b" / "runs").iterdir())) == 8
    assert rows_of(drawn, "dg_kwh")["mine:Draws"]["std"] > 0


def test_one_seed_of_a_scenario_with_chance_has_no_p_and_no_rank(tmp_path):
    call = ("compare", scenario(tmp_path, RANDOM), "--controllers", "mine:Plain,mine:WithGenerator", "--workers", 1)
    outcome = evhub(*call, "-o", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    assert "One seed cannot tell chance from difference" in " ".join(outcome.out.split())
    differences = pd.read_csv(tmp_path / "out" / "differences.csv").query("group != 'controller'")
    assert set(differences["verdict"]) == {SAME, ONE_SEED}
    assert pd.read_csv(tmp_path / "out" / "means.csv")["rank"].isna().all()


def test_failed_runs_and_dead_processes_do_not_lose_the_others(tmp_path):
    path = scenario(tmp_path, LISTED)
    names = "mine:Dies,mine:Breaks,mine:Plain"
    outcome = evhub("compare", path, "--controllers", names, "-o", tmp_path / "out", "--workers", 2)
    assert outcome.status == 1
    died, broke = outcome.err.strip().splitlines()
    assert died.startswith("mine:Dies, seed 7: the worker died every time")
    assert broke.startswith("mine:Breaks, seed 7: ControllerError: ")
    assert broke.endswith("RuntimeError: no [more] ideas")
    assert "compared with mine:Plain" in outcome.out
    assert set(pd.read_csv(tmp_path / "out" / "kpis.csv")["controller"]) == {"mine:Plain"}
    assert "no [more] ideas" in Page((tmp_path / "out" / "index.html").read_text()).words


GOOD = {"--controllers": "uncontrolled,equal_share", "--seeds": "1"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--controllers": "uncontrolled,equal_shre"}, "--controllers?: must be one of .*; did you mean equal_share"),
        ({"--controllers": "uncontrolled,emh,uncontrolled"}, "--controllers: must name uncontrolled only once, got"),
        ({"--controllers": "emh"}, "--controllers: must name at least two controllers, got 'emh'"),
        ({"--seeds": "0"}, "--seeds: must be >= 1, got 0"),
        ({"--baseline": "emh"}, "--baseline: must be one of uncontrolled, equal_share, got 'emh'"),
        ({"--kpis": "cost_nett"}, "--kpis: must be a key figure of the summary; did you mean cost_net"),
        ({"--test": "z"}, "--test: must be t or wilcoxon, got 'z'"),
        ({"--engine": "fast"}, "--engine: must be inprocess or mosaik, got 'fast'"),
        ({"-o": "full"}, "output: must be empty; --force replaces what is there, got '.*full'"),
        ({"-o": "small.yaml"}, "output: must be a folder, got '.*small.yaml'"),
    ],
)
def test_bad_input_is_one_clear_line_and_nothing_is_written(tmp_path, changes, message):
    path = scenario(tmp_path, LISTED)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep me")
    options = GOOD | {"-o": "out"} | changes
    options["-o"] = str(tmp_path / options["-o"])
    outcome = evhub("compare", path, *[text for option in options.items() for text in option])
    assert outcome.status == 2
    assert outcome.out == ""
    (line,) = outcome.err.strip().splitlines()
    assert pd.Series([line]).str.match(message).item(), line
    assert not (tmp_path / "out").exists()
    assert os.listdir(tmp_path / "full") == ["mine.txt"]


def test_what_depends_on_the_seed_is_known_from_the_scenario(tmp_path):
    hub: dict = {"grid": {"contracted_kw": 20}, "connectors": {"count": 2, "rated_kw": 11}, "sessions": LISTED}
    data = {"name": "x", "start": "2024-03-01T12:00:00-03:00", "duration": "1h"}

    def parts(**changes) -> tuple[str, ...]:
        return random_parts(parse(data | {"hubs": {"a": hub | changes}}, tmp_path / "x.yaml").scenario)

    assert parts() == ()
    assert parts(link={"poll": "1min", "measurement": {"type": "constant", "mean": "2s"}}) == ()
    assert parts(link={"poll": "1min", "loss": 0.1}) == ("hubs.a.link",)
    assert parts(link={"poll": "1min", "devices": {"cp": {"command": {"type": "normal", "spread": "1s"}}}}) == (
        "hubs.a.link",
    )
    assert parts(queue={"patience": "5min"}, sessions=RANDOM) == ("hubs.a.sessions", "hubs.a.queue.patience")
    assert parts(forecasts={"pv": {"type": "noisy", "std": 0.1}}) == ("hubs.a.forecasts.pv",)
