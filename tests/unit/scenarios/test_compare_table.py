"""The terminal table of a comparison: no name and no number is broken, however narrow the terminal is."""

from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from evhub.analysis.comparison.paired_statistics import Comparison, compare
from evhub.scenarios.cli import compare_table, terminal

NAMES = (
    "equal_share", "uncontrolled", "milp_dispatch", "round_robin", "basic_control", "edf", "llf", "fcfs", "emh",
)  # fmt: skip
FIGURES = {
    "import_kwh": ("grid import", "kWh", 81234.0, 900.0),
    "self_consumption": ("self-consumption of PV", "%", 99.0, 0.3),
    "v_min_pu": ("lowest voltage", "pu", 0.98284, 1e-4),
    "trafo_loading_percent": ("highest transformer loading", "%", 45.0, 0.7),
    "cost_net": ("net cost", "EUR", -299.0, 48.0),
}


def comparison(names: tuple[str, ...], unknown: bool = False) -> Comparison:
    rng = np.random.default_rng(8)
    rows = [
        (name, seed, kpi, "power", quantity, unit, "less", mean + scatter * rng.normal())
        for kpi, (quantity, unit, mean, scatter) in FIGURES.items()
        for name in names
        for seed in range(6)
    ]
    rows += [
        (name, seed, "co2_kg", "emissions", "CO2", "kg", "less", np.nan)
        for name in names
        for seed in range(6 * unknown)
    ]
    columns = ["controller", "seed", "kpi", "group", "quantity", "unit", "better", "value"]
    return compare(pd.DataFrame(rows, columns=pd.Index(columns)))


def lines_of(compared: Comparison, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(compare_table.table(compared))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("count", [2, 5, 9])
def test_every_name_and_number_is_whole_and_every_line_fits(count, width):
    names = NAMES[:count]
    compared = comparison(names)
    lines = lines_of(compared, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    heads = [line.split()[2:] for line in lines if line.split()[:2] == ["quantity", "unit"]]
    assert [name for n, head in enumerate(heads) for name in (head[1:] if n else head)] == list(names)
    assert {head[0] for head in heads} == {"equal_share"}  # what the others are compared with begins every block
    for row in compared.means.to_dict("records"):
        cell = compare_table.mean_and_interval(row["mean"], row["high"] - row["mean"], row["unit"])
        for part in cell.split(" ± "):
            assert re.search(rf"(?<!\S){re.escape(part)}[*?]?(?!\S)", text), part
    for word in ("self-consumption", "transformer"):
        assert word in text


def test_wide_terminals_have_one_block_with_means_and_intervals_side_by_side():
    lines = lines_of(comparison(NAMES[:5]), 140)
    assert sum("quantity" in line for line in lines) == 1
    assert all(line.count("±") in (0, 5) for line in lines)


def test_long_names_are_numbered_and_told_once():
    long = "milp_dispatch horizon=4h, small [battery], no V2G, and so on"
    lines = lines_of(comparison(("equal_share", long)), 80)
    assert [line.rstrip() for line in lines[:2]] == ["#1  equal_share", f"#2  {long}"]
    assert any(line.split() == ["quantity", "unit", "#1", "#2"] for line in lines)


def test_unknown_values_are_dashes_and_the_legend_says_so():
    compared = comparison(NAMES[:3], unknown=True)
    (row,) = (line for line in lines_of(compared, 120) if "CO2" in line)
    assert row.split() == ["CO2", "kg", "–", "–", "–"]
    assert "– no value" in compare_table.legend(compared)
    assert "–" not in compare_table.legend(comparison(NAMES[:3]))


def test_tables_of_rows_have_a_dash_where_a_value_is_unknown(capsys):
    terminal.show([{"key figure": "co2_kg", "mean": np.nan}, {"key figure": "cost_net", "mean": 12.5}], "", False)
    printed = capsys.readouterr().out
    assert "nan" not in printed
    assert printed.count("–") == 1
