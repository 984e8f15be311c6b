"""Tables for papers: LaTeX, Markdown and CSV of comparisons and sweeps, in digits that fit their intervals.

``write_table(comparison_table(comparison), "table.tex")`` writes what stands between two paragraphs of a paper; the
package booktabs is all it needs.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pandas as pd

from ...comparison.paired_statistics import FIXED, HIGHER, LEVEL, LOWER, SAME, TESTS, UNTESTED, Comparison, Test
from ...comparison.rounded_text import DASH, p_value, typographic, with_interval
from ...comparison.run_figures import MACHINE
from ...comparison.tidy_runs import axis_of, compare_fields

FOUND, EXACT = "*", "†"
"""Marks of a significant difference from the baseline, and of one that no seed changes."""
_MARKS = {LOWER: FOUND, HIGHER: FOUND, FIXED: EXACT}
_LONGEST_HEADER = 24
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # a row may begin with them, and \\ would take them for its own
    "]": "{]}",
    "*": "{*}",
    "±": r"$\pm$",
    "−": r"$-$",
    "†": r"$\dagger$",
    "°": r"$^\circ$",
    "–": "--",
    "\u202f": r"\,",
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~$])")


@dataclass(frozen=True)
class Value:
    """A number of a table.

    Parameters
    ----------
    mean : str
        Plain decimal, or `DASH` where it is unknown.
    half : str
        Half the width of its interval; empty where there is none.
    mark : str
        `FOUND`, `EXACT`, or empty.
    """

    mean: str
    half: str = ""
    mark: str = ""

    def __str__(self) -> str:
        return " ± ".join(_thousands(text) for text in (self.mean, self.half) if text) + self.mark

    def latex(self) -> str:
        """Return the number in math mode."""
        if self.mean == DASH:
            return "--"
        text = r" \pm ".join(_thousands(part) for part in (self.mean, self.half) if part)
        text = text.replace("\u2212", "-").replace("\u202f", r"\,")
        return f"${text}{f'^{{{self.mark}}}' if self.mark else ''}$".replace(EXACT, r"\dagger")


def _thousands(text: str) -> str:
    return text if text.startswith("<") else typographic(text)


@dataclass(frozen=True)
class PaperTable:
    """A table with its caption and notes.

    Parameters
    ----------
    caption : str
        What the numbers are.
    columns : tuple of str
        Heads of the columns.
    rows : tuple of tuple of (str or Value)
        A cell for each column; text cells and numbers do not share a column.
    notes : tuple of str
        What stands below the table: marks, test and correction, baseline.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | Value, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"rows must have {len(self.columns)} cells each, as many as there are columns")

    def latex(self, label: str = "") -> str:
        """Return the table as LaTeX.

        Parameters
        ----------
        label : str
            For ``\\ref``; none when left out.

        Returns
        -------
        str
            A ``table`` environment; it needs ``\\usepackage{booktabs}``. Columns with long heads are numbered, and a
            note says what the numbers stand for.
        """
        heads, notes = _short_heads(self.columns)
        lines = [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escaped(self.caption)}}}",
            *([rf"\label{{{label}}}"] if label else []),
            rf"\begin{{tabular}}{{{''.join('r' if number else 'l' for number in self._numbers())}}}",
            r"\toprule",
            " & ".join(escaped(head) for head in heads) + r" \\",
            r"\midrule",
            *(" & ".join(escaped(c) if isinstance(c, str) else c.latex() for c in row) + r" \\" for row in self.rows),
            r"\bottomrule",
            r"\end{tabular}",
            *(rf"\par\smallskip{{\footnotesize {escaped(note)}\par}}" for note in (*notes, *self.notes)),
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"

    def markdown(self) -> str:
        """Return the table in Markdown, with its caption above and its notes below."""
        rule = ["---:" if number else "---" for number in self._numbers()]
        cells = [[_MARKDOWN.sub(r"\\\1", str(cell)) for cell in row] for row in self.rows]
        heads = [_MARKDOWN.sub(r"\\\1", head) for head in self.columns]
        table = ["| " + " | ".join(_one_line(cell) for cell in row) + " |" for row in (heads, rule, *cells)]
        notes = [_MARKDOWN.sub(r"\\\1", _one_line(note)) for note in self.notes]
        return "\n".join([_MARKDOWN.sub(r"\\\1", self.caption), "", *table, *(f"\n{note}" for note in notes)]) + "\n"

    def csv(self) -> str:
        """Return the table as CSV, for programs: of a number its mean, ``±`` (half the width) and ``mark``.

        The mark is ``*`` or ``†``; unknown numbers are empty. Caption and notes are left out.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        numbers = self._numbers()
        heads = [_split(head) if number else [head] for head, number in zip(self.columns, numbers, strict=True)]
        writer.writerow(chain.from_iterable(heads))
        for row in self.rows:
            cells = [
                [cell] if isinstance(cell, str) else [cell.mean.replace(DASH, ""), cell.half, cell.mark] for cell in row
            ]
            writer.writerow(chain.from_iterable(cells))
        return out.getvalue()

    def _numbers(self) -> list[bool]:
        """Return for each column whether it has numbers."""
        return [any(isinstance(row[n], Value) for row in self.rows) for n in range(len(self.columns))]


def _split(head: str) -> list[str]:
    return [head, f"{head} ±", f"{head} mark"]


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))


def _short_heads(columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return heads that are numbers where some are long, and notes on what they stand for."""
    long = [head for head in columns if len(head) > _LONGEST_HEADER]
    numbers = {head: f"({n})" for n, head in enumerate(long, 1)}
    notes = ["; ".join(f"{number} {head}" for head, number in numbers.items()) + "."] if long else []
    return [numbers.get(head, head) for head in columns], notes


def escaped(text: str) -> str:
    """Return text in which LaTeX sees no commands."""
    return "".join(_LATEX.get(character, character) for character in _one_line(text))


def write_table(table: PaperTable, path: str | os.PathLike) -> Path:
    """Write a table in the format its ending names: .tex, .md or .csv.

    Parameters
    ----------
    table : PaperTable
        The table.
    path : str or Path
        File to write; missing folders are made. A LaTeX table gets the label ``tab:`` and the file's name.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the file has another ending.
    """
    path = Path(path)
    texts = {".tex": lambda: table.latex(f"tab:{path.stem}"), ".md": table.markdown, ".csv": table.csv}
    if path.suffix.lower() not in texts:
        raise ValueError(f"path must end with {', '.join(texts)}, got {str(path)!r}")
    text = texts[path.suffix.lower()]()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# --- comparisons ------------------------------------------------------------------------------------------------------


def comparison_table(
    comparison: Comparison, kpis: Sequence[str] | None = None, *, controllers_as_rows: bool = False
) -> PaperTable:
    """Make the table of the means of a comparison with their intervals, marked where they differ from the baseline.

    Parameters
    ----------
    comparison : Comparison
        Comparison by `paired_statistics.compare`.
    kpis : sequence of str, optional
        Keys of the key figures, in their order; when left out, all that differ and do not depend on the machine.
    controllers_as_rows : bool
        Whether a row is a controller, and a column a key figure; the other way round when left out.

    Returns
    -------
    PaperTable

    Raises
    ------
    ValueError
        If the comparison has no such key figure.
    """
    figures = _figures(comparison, kpis)
    cells = {(row["kpi"], row["controller"]): _mean(row) for rows in figures for row in rows}
    heads = [_with_unit(rows[0]["quantity"], rows[0]["unit"]) for rows in figures]
    names = comparison.controllers
    unknown = Value(DASH)
    if controllers_as_rows:
        columns = ("controller", *heads)
        rows = [(name, *(cells.get((f[0]["kpi"], name), unknown) for f in figures)) for name in names]
    else:
        columns = ("quantity", *names)
        rows = [
            (h, *(cells.get((f[0]["kpi"], n), unknown) for n in names)) for h, f in zip(heads, figures, strict=True)
        ]
    return PaperTable(_caption(comparison), columns, tuple(rows), tuple(_notes(comparison, cells.values())))


def differences_table(comparison: Comparison, kpis: Sequence[str] | None = None) -> PaperTable:
    """Make the table of the paired differences from the baseline, with intervals, raw and corrected p.

    Parameters
    ----------
    comparison, kpis
        See `comparison_table`.

    Returns
    -------
    PaperTable
        One row for each key figure and controller but the baseline; p is unknown where there was no test.

    Raises
    ------
    ValueError
        If the comparison has no such key figure.
    """
    rows = []
    for figures in _figures(comparison, kpis):
        for row in figures:
            if row["controller"] != comparison.baseline:
                p_raw, p_corrected = Value(p_value(row["p_raw"])), Value(p_value(row["p_corrected"]))
                head = _with_unit(row["quantity"], row["unit"])
                rows.append((head, row["controller"], _difference(row), p_raw, p_corrected))
    columns = ("quantity", "controller", "difference", "p", "p, corrected")
    caption = f"Paired differences to {comparison.baseline}{_over_seeds(comparison)}."
    return PaperTable(caption, columns, tuple(rows), tuple(_notes(comparison, [row[2] for row in rows])))


def _figures(comparison: Comparison, kpis: Sequence[str] | None) -> list[list[dict]]:
    """Return the rows of `Comparison.table` of each key figure that is shown."""
    table = comparison.table()
    by_kpi = {str(kpi): rows.to_dict("records") for kpi, rows in table.groupby("kpi", sort=False)}
    if kpis is None:
        return [rows for rows in by_kpi.values() if rows[0]["group"] != MACHINE and _differ(rows)]
    unknown = [kpi for kpi in kpis if kpi not in by_kpi]
    if unknown:
        raise ValueError(f"kpis must be some of {', '.join(by_kpi)}, got {unknown[0]!r}")
    return [by_kpi[kpi] for kpi in kpis]


def _differ(rows: list[dict]) -> bool:
    return any(isinstance(row["verdict"], str) and row["verdict"] not in (SAME, UNTESTED) for row in rows)


def _mean(row: dict) -> Value:
    mean, half = with_interval(row["mean"], row["high"] - row["mean"], row["unit"])
    return Value(mean, half, _MARKS.get(row["verdict"], ""))


def _difference(row: dict) -> Value:
    mean, half = with_interval(row["difference"], row["difference_high"] - row["difference"], row["unit"])
    return Value(mean, half, _MARKS.get(row["verdict"], ""))


def _with_unit(name: str, unit: str) -> str:
    return name if unit in ("", "1") else f"{name} [{unit}]"


def _over_seeds(comparison: Comparison) -> str:
    seeds = comparison.seeds
    if not comparison.random:
        return "; nothing depends on the seed"
    if len(seeds) == 1:
        return f" with seed {seeds[0]}"
    return f", mean ± {100 * comparison.level:g} % confidence interval over {len(seeds)} seeds"


def _caption(comparison: Comparison) -> str:
    return f"Key figures{_over_seeds(comparison)}."


def _tested(comparison: Comparison) -> int:
    """Count the key figures that are tested: those that do not depend on the machine."""
    kpis = comparison.kpis
    return len(set(kpis.loc[kpis["group"] != MACHINE, "kpi"]))


def _notes(comparison: Comparison, values, corrected: str = "") -> list[str]:
    """Say what is marked, how it was tested, and what a dash is; no more than the table has."""
    values = list(values)
    marks = {value.mark for value in values}
    notes = []
    tested = bool(comparison.differences["p_raw"].notna().any())
    if tested:
        level = f"{1 - comparison.level:.2g}"
        scope = corrected or f"by {_tested(comparison)} key figures"
        meaning = f"{FOUND} differs from {comparison.baseline}" if FOUND in marks else "No difference is significant"
        notes.append(
            f"{meaning}: {TESTS[comparison.test]} of runs with equal seeds, p corrected for all comparisons "
            f"{scope} (Holm), p < {level}; baseline {comparison.baseline}."
        )
    if EXACT in marks:
        notes.append(f"{EXACT} differs from {comparison.baseline} by a value that no seed changes.")
    if not tested and comparison.random and len(comparison.seeds) == 1:
        notes.append("One seed: no test of significance.")
    if any(value.half for value in values):
        notes.append("Intervals (Student's t) are rounded to two significant digits, means to the same place.")
    if any(value.mean == DASH for value in values):
        notes.append(f"{DASH} no value: the plant has no such device or data, or it never happened.")
    return notes


# --- sweeps -----------------------------------------------------------------------------------------------------------


def sweep_table(
    runs: pd.DataFrame,
    kpis: Sequence[str] | str | None = None,
    *,
    columns: str = "controller",
    baseline: str | None = None,
    test: Test = "t",
    level: float = LEVEL,
    random: bool = True,
    labels: Mapping[str, str] | None = None,
) -> PaperTable:
    """Make the table of the means of a sweep: a row for each point, a column for each controller or value of a field.

    Marked is what differs from the baseline at the same point, all comparisons of the table being one family.

    Parameters
    ----------
    runs : DataFrame
        Tidy table, see `tidy_runs`.
    kpis : sequence of str, optional
        Keys of the key figures; all when left out.
    columns : str
        What the columns are: ``controller``, or a field.
    baseline : str, optional
        The column the others are compared with, as its head reads; the first when left out.
    test, level, random
        See `paired_statistics.differences`.
    labels : mapping of str to str, optional
        Names of fields, with their units.

    Returns
    -------
    PaperTable

    Raises
    ------
    ValueError
        If the table is not tidy, or there is no such column, key figure or baseline.
    """
    compared = compare_fields(runs, columns, kpis, baseline, test=test, level=level, random=random, labels=labels)
    comparison, points = compared.comparison, compared.points
    fields = [str(name) for name in points.columns if name != "kpi"]
    axes = [axis_of(runs, field, labels) for field in fields]
    table = {key: rows.to_dict("records") for key, rows in comparison.table().groupby("kpi", sort=False)}
    names = comparison.controllers
    rows = []
    for number, point in enumerate(points.to_dict("records")):
        at_point = table[str(number)]
        cells = {row["controller"]: _mean(row) for row in at_point}
        place = [axis.shown(point[field]) for axis, field in zip(axes, fields, strict=True)]
        head = _with_unit(at_point[0]["quantity"], at_point[0]["unit"])
        rows.append((head, *place, *(cells.get(name, Value(DASH)) for name in names)))
    cells = [cell for row in rows for cell in row[1 + len(axes) :]]
    caption, notes = _caption(comparison), _notes(comparison, cells, "of the table")
    heads = ("quantity", *(axis.name for axis in axes), *names)
    if points["kpi"].nunique() == 1 and fields:  # its name stands in the caption
        head = str(rows[0][0])
        caption = f"{head[0].upper()}{head[1:]}{_over_seeds(comparison)}."
        heads, rows = heads[1:], [row[1:] for row in rows]
    if columns != "controller":
        notes = [f"Columns: {axis_of(runs, columns, labels).name}.", *notes]
    ns = [n for n in comparison.means["n"] if n]
    if len(set(ns)) > 1:
        notes.append(f"Some runs are missing: {min(ns)} to {max(ns)} seeds.")
    return PaperTable(caption, heads, tuple(rows), tuple(notes))
