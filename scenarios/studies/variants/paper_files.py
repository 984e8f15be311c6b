"""Tables and figures of a study for papers, in the folder of its results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError, Problem

if TYPE_CHECKING:
    import pandas as pd

    from ....analysis.comparison.paired_statistics import Comparison
    from ....analysis.report.print.paper_tables import PaperTable

TABLES = ("tex", "md", "csv")
"""Formats of tables."""
FIGURES = ("pdf", "svg", "png")
"""Formats of figures."""
MAIN_KPIS = ("cost_net", "import_kwh", "peak_demand_kw", "delivered_kwh", "missed_kwh", "unserved_kwh")
"""Key figures that are told of a study that names none, where they are not 0."""


def check_formats(option: str, formats: Sequence[str], known: Sequence[str]) -> None:
    """Refuse formats that there are not.

    Raises
    ------
    InputError
        Naming the option.
    """
    problems = [Problem("", option, name, f"must be of {', '.join(known)}") for name in formats if name not in known]
    if problems:
        raise InputError(problems)


def write_paper_files(
    runs: pd.DataFrame,
    output: Path,
    kpis: Sequence[str],
    *,
    tables: Sequence[str] = (),
    figures: Sequence[str] = (),
    comparison: Comparison | None = None,
) -> list[Path]:
    """Write tables into ``tables`` and figures into ``figures`` in the folder of a study.

    Parameters
    ----------
    runs : DataFrame
        From `study_tables.tidy`.
    output : Path
        Folder of the study.
    kpis : sequence of str
        Key figures to tell; all that differ, and figures of `MAIN_KPIS`, when empty.
    tables, figures : sequence of str
        Of `TABLES` and `FIGURES`, the formats to write.
    comparison : Comparison, optional
        Of the variants; tables of means and differences are made of it.

    Returns
    -------
    list of Path
        The files.
    """
    test = {}
    if comparison is not None:  # the controller of the baseline is what others are compared with at each point
        of_baseline = runs.loc[runs["variant"] == comparison.baseline, "controller"]
        test = {"baseline": of_baseline.iloc[0], "test": comparison.test, "random": comparison.random}
    runs = _described(runs)
    values = {name: runs.loc[runs["kpi"] == name, "value"].dropna() for name in kpis or MAIN_KPIS}
    names = [name for name, known in values.items() if len(known) and (kpis or bool(known.any()))]
    written = []
    if tables:
        from ....analysis.report.print.paper_tables import write_table

        for name, table in _tables(runs, names, list(kpis) or None, comparison, test):
            written += [write_table(table, output / "tables" / f"{name}.{ending}") for ending in tables]
    if figures:
        from ....analysis.report.print.field_figures import save_figure

        for name, figure in _figures(runs, names, comparison):
            written += [save_figure(figure, output / "figures" / f"{name}.{ending}") for ending in figures]
    return written


def _described(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with what key figures are called, and which direction is better."""
    from ....analysis.kpis.key_figure_registry import key_figures

    figures = key_figures()
    quantities, directions = {}, {}
    for kpi in runs["kpi"].unique():
        hub, _, name = str(kpi).rpartition(".")
        text = figures[name].text if name in figures else name
        quantities[kpi] = f"{text}, {hub}" if hub else text
        directions[kpi] = figures[name].better if name in figures else ""
    return runs.assign(
        quantity=[quantities[kpi] for kpi in runs["kpi"]], better=[directions[kpi] for kpi in runs["kpi"]]
    )


def _tables(
    runs: pd.DataFrame,
    names: list[str],
    kpis: list[str] | None,
    comparison: Comparison | None,
    test: dict[str, Any],
) -> Iterator[tuple[str, PaperTable]]:
    from ....analysis.comparison.tidy_runs import varied_fields
    from ....analysis.report.print.paper_tables import comparison_table, differences_table, sweep_table

    if comparison is not None:
        yield "means", comparison_table(comparison, kpis)
        yield "differences", differences_table(comparison, kpis)
    fields = varied_fields(runs)
    if fields and names:
        if runs["controller"].nunique() < 2:
            test = {**test, "columns": fields[-1], "baseline": None}
        yield "points", sweep_table(runs, names, **test)


def _figures(runs: pd.DataFrame, names: list[str], comparison: Comparison | None) -> Iterator[tuple[str, Any]]:
    from ....analysis.comparison.tidy_runs import varied_fields
    from ....analysis.report.print.field_figures import field_figures
    from ....analysis.report.print.paper_plots import kpi_differences

    if varied_fields(runs):
        yield from field_figures(runs, names)
    if comparison is not None:  # runs of equal seeds are compared in pairs, which intervals of means cannot show
        for name in names:
            if name in set(comparison.kpis["kpi"]):
                yield f"{name}-differences", kpi_differences(comparison, name).figure
