"""Figures of sweeps: what is drawn are means with Student's t intervals, on axes that say what they measure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.image import imread
from scipy.special import stdtrit

from evhub.analysis.report.html.runs_panels import RUN_COLOURS
from evhub.analysis.report.print.field_figures import field_figure, field_figures, log_spaced, save_figure

from ...helpers.sweep_runs import CAPACITY, PERIOD, SEEDS, sweep_runs


def at_one_period(*controllers: str) -> pd.DataFrame:
    runs = sweep_runs(controllers or ("equal_share", "edf"))
    return runs[runs[PERIOD] == 60]


def drawn(axes) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """x, y and half widths of every line."""
    lines = []
    for points, _, (bars,) in axes.containers:
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        lines.append((points.get_xdata(), points.get_ydata(), (ends[:, 1] - ends[:, 0]) / 2))
    return lines


def shown(figure) -> list:
    return [axes for axes in figure.axes if axes.get_visible()]


def legend_of(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()] if figure.legends else []


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_points_are_means_and_bars_students_t_over_the_seeds(level):
    """Mean -+ t((1 + level) / 2, n - 1) s / sqrt(n)."""
    runs = at_one_period()
    (axes,) = shown(field_figure(runs, "cost_net", CAPACITY, level=level))
    assert len(drawn(axes)) == 2
    for name, (x, y, half) in zip(("equal_share", "edf"), drawn(axes), strict=True):
        assert x.tolist() == [50, 100, 200, 400]
        for place, mean, width in zip(x, y, half, strict=True):
            values = runs[(runs["controller"] == name) & (runs[CAPACITY] == place)]["value"].to_numpy()
            assert len(values) == SEEDS
            assert mean == pytest.approx(values.mean(), rel=1e-12)
            student = stdtrit(SEEDS - 1, (1 + level) / 2) * values.std(ddof=1) / np.sqrt(SEEDS)
            assert width == pytest.approx(student, rel=1e-9)


@pytest.mark.parametrize("field", [CAPACITY, "tariff"])
def test_axes_hold_all_points_and_bars(field):
    runs = at_one_period()
    runs = runs.rename(columns={CAPACITY: field}).assign(
        **{field: runs[CAPACITY].astype(int if field == CAPACITY else str)}
    )
    figure = field_figure(runs, "cost_net", field)
    (axes,) = shown(figure)
    (left, right), (low, high) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
    for x, y, half in drawn(axes):
        assert left < x.min() < x.max() < right
        assert low < (y - half).min() < (y + half).max() < high
        assert (y + half).max() - (y - half).min() > 0.5 * (high - low)


def test_axes_say_quantity_field_and_units_and_the_foot_what_bars_are():
    figure = field_figure(at_one_period(), "cost_net", CAPACITY)
    (axes,) = shown(figure)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("bess capacity [kWh]", "net cost [EUR]")
    assert figure.get_supxlabel() == "mean and 95 % confidence interval over 5 seeds"
    assert figure.legends[0].get_title().get_text() == "controller"
    assert legend_of(figure) == ["equal_share", "edf"]
    colours = [to_hex(points.get_color()).upper() for points, _, _ in axes.containers]
    assert colours == list(RUN_COLOURS[:2])


def test_units_of_the_table_and_long_times_and_names_of_the_user_are_shown():
    runs = sweep_runs()
    by_period = shown(field_figure(runs, "cost_net", PERIOD, CAPACITY))
    assert {axes.get_xlabel() for axes in by_period} == {"controller period [min]"}
    ticks = [by_period[0].xaxis.get_major_formatter()(x) for x in by_period[0].get_xticks()]
    assert ticks == ["1", "5"]
    named = field_figure(at_one_period(), "cost_net", CAPACITY, labels={CAPACITY: "storage $E$ [kWh]"})
    assert shown(named)[0].get_xlabel() == "storage $E$ [kWh]"


def test_labels_of_variants_and_what_is_said_of_a_run_are_no_fields():
    runs = at_one_period().reset_index(drop=True)
    variants = runs["controller"] + runs[CAPACITY].map(" {} kWh".format)
    more = {
        "variant": variants,
        "run": runs.index,
        "status": "ok",
        "wall_s": 0.1 * runs.index,
        "key": runs.index.map(hex),
    }
    (axes,) = shown(field_figure(runs.assign(scenario="depot", **more), "cost_net", CAPACITY))
    assert [x.tolist() for x, _, _ in drawn(axes)] == [[50, 100, 200, 400]] * 2


def test_one_controller_and_one_field_is_one_line_without_a_legend():
    figure = field_figure(at_one_period("edf"), "cost_net", CAPACITY)
    (axes,) = shown(figure)
    assert (len(axes.containers), legend_of(figure)) == (1, [])


def test_what_else_was_varied_has_panels_of_one_scale_and_is_not_averaged():
    figure = field_figure(sweep_runs(), "cost_net", CAPACITY)
    panels = shown(figure)
    assert [axes.get_title(loc="left") for axes in panels] == ["controller period 1 min", "controller period 5 min"]
    assert panels[0].get_ylim() == panels[1].get_ylim()
    runs = sweep_runs()
    part = runs[(runs[PERIOD] == 300) & (runs[CAPACITY] == 400) & (runs["controller"] == "edf")]
    assert drawn(panels[1])[1][1][-1] == pytest.approx(part["value"].mean())


def test_runs_of_a_design_that_fills_the_space_stand_for_themselves():
    rng = np.random.default_rng(1)
    points = [(50 * 10 ** rng.uniform(), rng.uniform(10, 100)) for _ in range(32)]
    runs = pd.DataFrame(
        [
            {
                "bess.capacity_kwh": c,
                "pv.scale": s,
                "controller": "a",
                "seed": 1,
                "kpi": "k",
                "value": c - s,
                "unit": "1",
            }
            for c, s in points
        ]
    )
    figure = field_figure(runs, "k", "bess.capacity_kwh")
    (axes,) = shown(figure)
    ((x, y, half),) = drawn(axes)
    assert sorted(zip(x, y, strict=True)) == sorted((c, c - s) for c, s in points)
    assert not half.any()
    assert axes.containers[0][0].get_linewidth() == 0.0
    assert figure.get_supxlabel() == "one seed; also varied: pv scale"
    assert axes.get_xscale() == "log"


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([1, 10, 100], True),
        ([50, 100, 200, 400], True),
        ([10, 20, 50, 100, 200], True),
        ([1, 2, 3], False),
        ([4, 6, 12], False),
        ([100, 110, 120, 130], False),
        ([0, 1, 10], False),
        ([-10, 1, 10], False),
        ([1, 100], False),
        (np.linspace(1, 100, 30), False),
        (np.geomspace(1, 100, 30), True),
    ],
)
def test_axis_is_logarithmic_where_values_are_spread_so(values, log):
    assert log_spaced(values) is log
    runs = pd.DataFrame({"n": values, "controller": "a", "seed": 0, "kpi": "k", "value": 1.0, "unit": "kW"})
    assert shown(field_figure(runs, "k", "n"))[0].get_xscale() == ("log" if log else "linear")
    assert shown(field_figure(runs, "k", "n", log=False))[0].get_xscale() == "linear"


def test_labels_are_categories_as_they_come_and_lines_stand_beside_each_other(tmp_path):
    names = ["time of use, two prices, negative at noon", "$x^$", "_spot"]
    runs = at_one_period()
    runs = runs[runs[CAPACITY] != 400].assign(tariff=runs[CAPACITY].map(dict(zip((50, 100, 200), names, strict=True))))
    runs = runs.drop(columns=[CAPACITY, PERIOD])
    figure = field_figure(runs, "cost_net", "tariff")
    (axes,) = shown(figure)
    assert [text.get_text().replace("\n", " ") for text in axes.get_xticklabels()] == names
    assert [x.tolist() for x, _, _ in drawn(axes)] == [[0, 1, 2]] * 2
    first, second = (points.get_transform().transform((0, 0))[0] for points, _, _ in axes.containers)
    assert second - first == pytest.approx(3.5 / 72 * figure.dpi)  # bars do not cover each other
    turned = field_figure(runs, "cost_net", "controller", "tariff")
    assert legend_of(turned) == names
    for number, each in enumerate((figure, turned)):
        save_figure(each, tmp_path / f"{number}.pdf")  # a $ is no formula, a name may begin with _


def test_every_field_is_drawn_with_lines_by_the_controller_and_by_every_other_field():
    names = [name for name, _ in field_figures(sweep_runs())]
    capacity, period = CAPACITY, PERIOD
    assert names == [
        f"cost_net-{capacity}-by-controller",
        f"cost_net-{capacity}-by-{period}",
        f"cost_net-{period}-by-controller",
        f"cost_net-{period}-by-{capacity}",
    ]
    one = list(field_figures(at_one_period("edf")))
    assert [name for name, _ in one] == [f"cost_net-{CAPACITY}"]


def test_unknown_values_are_left_out_and_a_figure_of_none_is_an_error():
    runs = at_one_period()
    runs.loc[runs[CAPACITY] == 50, "value"] = np.nan
    (axes,) = shown(field_figure(runs, "cost_net", CAPACITY))
    assert drawn(axes)[0][0].tolist() == [100, 200, 400]
    none = pd.concat([runs, runs.assign(kpi="co2_kg", value=np.nan)], ignore_index=True)
    with pytest.raises(ValueError, match="kpi must have a value in some run, got 'co2_kg'"):
        field_figure(none, "co2_kg", CAPACITY)
    assert {name.split("-")[0] for name, _ in field_figures(none)} == {"cost_net"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("peak", CAPACITY), "kpi must be one of cost_net, got 'peak'"),
        (("cost_net", "size"), "x must be one of controller, .*, got 'size'"),
        (("cost_net", CAPACITY, "size"), "lines must be one of controller, .*, got 'size'"),
        (("cost_net", CAPACITY, CAPACITY), "lines must be another field than x"),
    ],
)
def test_names_that_are_not_there_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        field_figure(sweep_runs(), *arguments)


def test_more_lines_than_can_be_told_apart_are_an_error():
    runs = pd.concat([sweep_runs().assign(size=n) for n in range(8)], ignore_index=True)
    with pytest.raises(ValueError, match="lines must be a field of at most 7 values, got 'size' with 8"):
        field_figure(runs, "cost_net", CAPACITY, "size")
    assert not any(name.endswith("by-size") for name, _ in field_figures(runs))


def test_format_is_that_of_the_ending_and_the_same_runs_give_the_same_bytes(tmp_path):
    def figure():
        return field_figure(at_one_period(), "cost_net", CAPACITY)

    for ending, begins in ((".pdf", b"%PDF"), (".svg", b"<?xml"), (".png", b"\x89PNG")):
        first = save_figure(figure(), tmp_path / "new" / f"a{ending}").read_bytes()
        assert first.startswith(begins)
        assert save_figure(figure(), tmp_path / f"b{ending}").read_bytes() == first
    assert imread(tmp_path / "b.png").min() < 0.5
    assert b"/Type3" not in (tmp_path / "b.pdf").read_bytes()  # journals refuse these fonts
    with pytest.raises(ValueError, match=r"path must end with \.pdf, \.svg, \.png, got '.*x\.gif'"):
        save_figure(figure(), tmp_path / "x.gif")
