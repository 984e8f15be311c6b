"""Tables for papers: what LaTeX, Markdown and CSV say is what was computed, whatever the names are."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.analysis.comparison.paired_statistics import compare
from evhub.analysis.comparison.rounded_text import DASH, p_value, with_interval
from evhub.analysis.comparison.tidy_runs import compare_fields
from evhub.analysis.report.print.paper_tables import (
    EXACT,
    FOUND,
    PaperTable,
    Value,
    comparison_table,
    differences_table,
    escaped,
    sweep_table,
    write_table,
)

from ...helpers.sizes import examples
from ...helpers.sweep_runs import CAPACITY, PERIOD, sweep_runs

LONG = "milp_dispatch horizon=4h, small_battery & 50 %"
SPECIALS = r"\{}$&#^_~%<>|" + '"[]*'


@pytest.fixture(scope="module")
def comparison():
    """Three controllers by three key figures: one that differs, one exactly, one unknown."""
    rng = np.random.default_rng(5)
    seeds = rng.normal(800, 100, 8)
    values = {
        "cost_net": ("net cost", "EUR", "less", (seeds, seeds - 40 + rng.normal(0, 2, 8), seeds + rng.normal(0, 9, 8))),
        "soc_min": ("lowest state of charge", "1", "", (np.full(8, 0.2), np.full(8, 0.3), np.full(8, 0.2))),
        "co2_kg": ("CO2", "kg", "less", (np.full(8, np.nan),) * 3),
    }
    rows = [
        (controller, seed, kpi, "cost", quantity, unit, better, value)
        for kpi, (quantity, unit, better, series) in values.items()
        for controller, of_seed in zip(("equal_share", LONG, "edf"), series, strict=True)
        for seed, value in enumerate(of_seed)
    ]
    columns = ["controller", "seed", "kpi", "group", "quantity", "unit", "better", "value"]
    return compare(pd.DataFrame(rows, columns=pd.Index(columns)))


def markdown_cells(text: str) -> list[list[str]]:
    """The cells of a Markdown table, its rule left out, and what is escaped as it was meant."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = []
    for line in (lines[0], *lines[2:]):
        cells = [""]
        for part in re.findall(r"\\.|.", line):
            if part == "|":
                cells.append("")
            else:
                cells[-1] += part[-1]
        rows.append([cell.strip(" ") for cell in cells[1:-1]])
    return rows


def latex_rows(text: str) -> list[list[str]]:
    """The cells of a LaTeX table: rows end with two backslashes, cells are parted by a bare ampersand."""
    body = text.split("\\toprule\n")[1].split("\\bottomrule")[0].replace("\\midrule\n", "")
    return [re.split(r"(?<!\\) & ", line.removesuffix(r" \\")) for line in body.splitlines()]


# --- words and numbers ------------------------------------------------------------------------------------------------


def test_means_stand_in_digits_of_their_intervals_with_their_marks(comparison):
    table = comparison_table(comparison)
    assert table.columns == ("quantity", "equal_share", LONG, "edf")
    cost, soc = table.rows  # nothing is known of CO2, so nothing differs
    means = comparison.means.query("kpi == 'cost_net'").set_index("controller")
    for name, cell in zip(table.columns[1:], cost[1:], strict=True):
        row = means.loc[name]
        assert (cell.mean, cell.half) == with_interval(row["mean"], row["high"] - row["mean"])
    assert [cell.mark for cell in cost[1:]] == ["", FOUND, ""]
    assert [str(cell) for cell in soc[1:]] == ["0.200", f"0.300{EXACT}", "0.200"]
    assert (cost[0], soc[0]) == ("net cost [EUR]", "lowest state of charge")


def test_notes_tell_test_correction_baseline_and_seeds_and_no_mark_that_is_not_there(comparison):
    table = comparison_table(comparison)
    words = " ".join((table.caption, *table.notes))
    for part in ("8 seeds", "95 % confidence interval", "paired t test", "Holm", "baseline equal_share", "p < 0.05"):
        assert part in words
    assert f"{EXACT} differs" in words
    assert EXACT not in " ".join(comparison_table(comparison, ["cost_net"]).notes)
    assert "Wilcoxon" in " ".join(comparison_table(compare(comparison.kpis, test="wilcoxon")).notes)


def test_unknown_values_are_dashes_with_a_note_and_no_nan(comparison):
    table = comparison_table(comparison, ["co2_kg"])
    assert [str(cell) for cell in table.rows[0]] == ["CO2 [kg]", DASH, DASH, DASH]
    assert any(note.startswith(f"{DASH} no value") for note in table.notes)
    assert "nan" not in table.latex() + table.markdown() + table.csv()
    assert table.csv().splitlines()[1] == "CO2 [kg]" + "," * 9


def test_rows_may_be_controllers(comparison):
    turned, table = comparison_table(comparison, controllers_as_rows=True), comparison_table(comparison)
    assert turned.columns == ("controller", "net cost [EUR]", "lowest state of charge")
    assert np.array(turned.rows)[:, 1:].tolist() == np.array(table.rows)[:, 1:].T.tolist()


def test_differences_have_both_p(comparison):
    table = differences_table(comparison, ["cost_net", "soc_min"])
    assert table.columns == ("quantity", "controller", "difference", "p", "p, corrected")
    told = {(row[0], row[1]): row for row in table.rows}
    for row in comparison.differences.query("kpi == 'cost_net'").to_dict("records"):
        _, _, difference, raw, corrected = told["net cost [EUR]", row["controller"]]
        assert (difference.mean, difference.half) == with_interval(row["difference"], row["high"] - row["difference"])
        assert (raw.mean, corrected.mean) == (p_value(row["p_raw"]), p_value(row["p_corrected"]))
        assert row["p_raw"] <= row["p_corrected"]
    assert [str(cell) for cell in told["lowest state of charge", LONG][2:]] == [f"0.100{EXACT}", DASH, DASH]


def test_unknown_key_figure_is_an_error(comparison):
    with pytest.raises(ValueError, match="kpis must be some of cost_net, soc_min, co2_kg, got 'peak'"):
        comparison_table(comparison, ["peak"])


# --- LaTeX ------------------------------------------------------------------------------------------------------------


def test_latex_has_a_cell_for_each_column_and_math_for_each_number(comparison):
    text = comparison_table(comparison).latex("tab:costs")
    assert [text.count(rf"\{word}") for word in ("toprule", "midrule", "bottomrule")] == [1, 1, 1]
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    assert r"\label{tab:costs}" in text
    (columns,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert columns == "lrrr"
    heads, cost, soc = latex_rows(text)
    assert {len(row) for row in (heads, cost, soc)} == {len(columns)}
    assert heads[2] == "(1)"  # a long name would push the table off the page
    assert rf"(1) {escaped(LONG)}." in text
    for cell in (*cost[1:], *soc[1:]):
        assert re.fullmatch(r"\$-?[\d.\\,]+( \\pm [\d.\\,]+)?(\^\{(\*|\\dagger)\})?\$", cell), cell
    assert cost[2].endswith(r"^{*}$")
    assert soc[2] == r"$0.300^{\dagger}$"


@settings(max_examples=examples(200))
@given(st.text(st.sampled_from(SPECIALS + "aé1 ±−–†°"), max_size=40))
def test_no_special_character_reaches_latex_bare(text):
    shown = escaped(text)
    harmless = re.sub(r"\\text\w+\{\}|\\[&%$#_{}]|\$(\\pm|-|\\dagger|\^\\circ)\$|\{[\[\]*]\}", "", shown)
    assert not set(harmless) & set(SPECIALS + "±−–†°"), shown
    assert shown.count("a") >= text.count("a")


def test_a_row_never_begins_with_what_a_line_break_would_take():
    table = PaperTable("c", ("x", "y"), (("[2ex] a", Value("1")), ("*b", Value("-1234.5", "", FOUND))))
    assert latex_rows(table.latex())[1:] == [["{[}2ex{]} a", "$1$"], ["{*}b", r"$-1\,234.5^{*}$"]]


# --- round trips ------------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)
VALUES = st.builds(
    lambda mean, half, mark: Value(*with_interval(mean, half), mark),
    st.floats(-1e7, 1e7),
    st.floats(1e-3, 1e7) | st.just(0.0),
    st.sampled_from(["", FOUND, EXACT]),
)


@settings(max_examples=examples(100))
@given(st.lists(NAMES, min_size=1, max_size=4), st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=4))
def test_markdown_and_csv_give_back_what_the_table_has(heads, pairs):
    columns = ("quantity", *heads)
    rows = tuple((name, *[value] * len(heads)) for name, value in pairs)
    table = PaperTable("Caption.", columns, rows)
    assert markdown_cells(table.markdown()) == [list(columns), *[[str(cell) for cell in row] for row in rows]]
    _, *lines = csv.reader(io.StringIO(table.csv()))
    for line, row in zip(lines, rows, strict=True):
        assert line[0] == row[0]
        parts = [line[n : n + 3] for n in range(1, len(line), 3)]
        assert [Value(mean or DASH, half, mark) for mean, half, mark in parts] == list(row[1:])


def test_csv_is_read_as_numbers(comparison, tmp_path):
    read = pd.read_csv(write_table(comparison_table(comparison), tmp_path / "new" / "t.csv"))
    means = comparison.means.query("kpi == 'cost_net'").set_index("controller")
    assert read.loc[0, "equal_share"] == pytest.approx(means.loc["equal_share", "mean"], abs=0.5)
    assert read.loc[0, f"{LONG} mark"] == FOUND


def test_format_is_that_of_the_ending(comparison, tmp_path):
    table = comparison_table(comparison)
    assert r"\label{tab:costs}" in write_table(table, tmp_path / "costs.tex").read_text()
    assert write_table(table, tmp_path / "costs.md").read_text() == table.markdown()
    with pytest.raises(ValueError, match=r"path must end with \.tex, \.md, \.csv, got '.*x\.docx'"):
        write_table(table, tmp_path / "new" / "x.docx")
    assert not (tmp_path / "new").exists()


# --- sweeps -----------------------------------------------------------------------------------------------------------


def test_sweep_has_a_row_for_each_point_with_means_over_its_seeds():
    runs = sweep_runs(("equal_share", "edf", LONG))
    table = sweep_table(runs, "cost_net")
    assert table.columns == ("bess capacity [kWh]", "controller period [min]", "equal_share", "edf", LONG)
    assert [row[:2] for row in table.rows] == [(c, p) for c in ("50", "100", "200", "400") for p in ("1", "5")]
    part = runs.query("controller == 'edf'")
    values = part[(part[CAPACITY] == 100) & (part[PERIOD] == 300)]["value"]
    assert float(table.rows[3][3].mean) == pytest.approx(values.mean(), abs=5.0)
    assert table.caption == "Net cost [EUR], mean ± 95 % confidence interval over 5 seeds."
    assert {row[4].mark for row in table.rows} == {FOUND}


def test_points_of_a_sweep_are_one_family_of_tests():
    """Of eight points with a p of 0.03 each, none counts; one by itself does."""
    d = np.array([1, 2, 3, 4, 5.0]) - 0.6
    runs = pd.DataFrame(
        [
            {"field": n, "controller": name, "seed": seed, "kpi": "k", "unit": "1", "value": 9.0**seed + add}
            for n in range(8)
            for name, series in (("a", np.zeros(5)), ("b", d))
            for seed, add in enumerate(series)
        ]
    )
    p = compare_fields(runs).comparison.differences["p_raw"]
    assert p.to_numpy() == pytest.approx(0.0272, abs=1e-3)
    assert {row[2].mark for row in sweep_table(runs).rows} == {""}
    assert {row[2].mark for row in sweep_table(runs[runs["field"] == 0]).rows} == {FOUND}


def test_columns_may_be_the_values_of_a_field():
    runs = sweep_runs()
    table = sweep_table(runs[runs[PERIOD] == 60], columns=CAPACITY, baseline="100")
    assert table.columns == ("controller", "50", "100", "200", "400")
    assert [row[0] for row in table.rows] == ["equal_share", "edf"]
    assert table.notes[0] == "Columns: bess capacity [kWh]."
    assert [cell.mark for cell in table.rows[0][1:]] == [FOUND, "", FOUND, FOUND]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda runs: runs.drop(columns="unit"), "runs must have the columns .*; unit is missing"),
        (lambda runs: runs.head(0), "runs must have at least one row"),
        (lambda runs: runs.drop(columns=PERIOD), "cost_net of equal_share with seed 0 is there twice"),
    ],
)
def test_table_that_is_not_tidy_is_an_error_that_says_why(change, message):
    with pytest.raises(ValueError, match=message):
        sweep_table(change(sweep_runs()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": "size"}, f"columns must be one of controller, {CAPACITY}, {PERIOD}, got 'size'"),
        ({"kpis": "peak"}, "kpi must be one of cost_net, got 'peak'"),
        ({"baseline": "emh"}, "baseline must be one of equal_share, edf, got 'emh'"),
    ],
)
def test_names_that_are_not_there_are_errors(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        sweep_table(sweep_runs(), **options)
