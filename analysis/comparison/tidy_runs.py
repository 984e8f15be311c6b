"""Key figures of runs with varied fields, as one plain table: what its columns are, and what may be said of it.

A tidy table has one row for each run and key figure:

=============  =========================================================================================
a field each   its value; every column that is not named below, by its path in the scenario
controller     the controller, or whatever was compared, as a label
seed           runs with one seed are paired
kpi, value     the key figure and its value; NaN where the run has none
unit           of the value
group,         of the key figure; may be left out: its name and direction are those of the registry then
quantity,
better
=============  =========================================================================================

``attrs["units"]`` of the table may have the units of fields. ``variant``, ``run``, ``status``, ``error``, ``wall_s``
and ``key`` are no fields either: they follow from the others, or say nothing of the plant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import pandas as pd

from ...simulators.units import S_PER_DAY, S_PER_H, S_PER_MIN
from ..kpis.key_figure_registry import key_figures
from .paired_statistics import LEVEL, Comparison, Test, compare

REQUIRED = ("controller", "seed", "kpi", "value", "unit")
_ABOUT = {*REQUIRED, "group", "quantity", "better", "variant", "run", "status", "error", "wall_s", "key"}
_UNITS = {unit.lower(): unit for unit in ("kWh", "kW", "kVA", "kvar", "V", "A", "Ah", "s", "h", "l", "pu")} | {
    "percent": "%",
    "c": "°C",
}
"""Units by the last part of a field's name."""
_LONG = {"d": S_PER_DAY, "h": S_PER_H, "min": S_PER_MIN}


def checked(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a tidy table with all its columns.

    Raises
    ------
    ValueError
        If a column is missing, there are no rows, or a run has a key figure twice.
    """
    missing = [name for name in REQUIRED if name not in runs]
    if missing:
        raise ValueError(f"runs must have the columns {', '.join(REQUIRED)}; {', '.join(missing)} is missing")
    if runs.empty:
        raise ValueError("runs must have at least one row")
    figures = key_figures()
    keys = [str(kpi).rpartition(".")[::2] for kpi in runs["kpi"]]
    known = [(hub, figures.get(key), key) for hub, key in keys]
    more = {
        "group": "",
        "quantity": [(figure.text if figure else key) + (f", {hub}" if hub else "") for hub, figure, key in known],
        "better": [figure.better if figure else "" for _, figure, _ in known],
    }
    whole = runs.assign(**{name: value for name, value in more.items() if name not in runs})
    whole[["group", "better"]] = whole[["group", "better"]].fillna("")
    twice = whole.duplicated([*_fields(whole), "controller", "seed", "kpi"])
    if twice.any():
        row = whole[twice].iloc[0]
        raise ValueError(
            f"runs must have each key figure of a run once; {row['kpi']} of {row['controller']} with seed "
            f"{row['seed']} is there twice (are all varied fields columns?)"
        )
    return whole


def _fields(runs: pd.DataFrame) -> list[str]:
    return [str(name) for name in runs.columns if name not in _ABOUT]


def varied_fields(runs: pd.DataFrame) -> list[str]:
    """Return the fields of a tidy table that have more than one value."""
    return [name for name in _fields(runs) if runs[name].nunique(dropna=False) > 1]


def known_kpis(runs: pd.DataFrame, kpis: Sequence[str] | str | None) -> list[str]:
    """Return the asked key figures; all of the table when none is asked for.

    Raises
    ------
    ValueError
        If the table has no such key figure.
    """
    names = [str(name) for name in runs["kpi"].unique()]
    asked = names if kpis is None else [kpis] if isinstance(kpis, str) else list(kpis)
    for name in asked:
        if name not in names:
            raise ValueError(f"kpi must be one of {', '.join(names)}, got {name!r}")
    return asked


def places(runs: pd.DataFrame, fields: Sequence[str]) -> list[pd.DataFrame]:
    """Return the rows of every combination of values of some columns, as the combinations come."""
    return [rows for _, rows in runs.groupby(list(fields), sort=False, dropna=False)] if fields else [runs]


def is_numeric(runs: pd.DataFrame, field: str) -> bool:
    """Return whether the values of a field are numbers, and not labels or yes and no."""
    values = runs[field]
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def in_order(runs: pd.DataFrame, field: str) -> list:
    """Return the values of a field: numbers from the lowest to the highest, labels as they come."""
    distinct = list(runs[field].drop_duplicates())
    return sorted(distinct) if is_numeric(runs, field) else distinct


@dataclass(frozen=True)
class Axis:
    """How a field is called and measured where it is shown.

    Parameters
    ----------
    name : str
        Its name, with the unit in brackets.
    factor : float
        Shown is the value divided by it: long times are shown in minutes, hours or days.
    """

    name: str
    factor: float = 1.0

    def shown(self, value: object) -> str:
        """Return a value as text."""
        if isinstance(value, bool) or not isinstance(value, Real):
            return str(value)
        return f"{float(value) / self.factor:.10g}"


def axis_of(runs: pd.DataFrame, field: str, labels: Mapping[str, str] | None = None) -> Axis:
    """Find how a field is called and measured.

    Parameters
    ----------
    runs : DataFrame
        Tidy table.
    field : str
        Its column.
    labels : mapping of str to str, optional
        Names of fields, taken as they are.

    Returns
    -------
    Axis
        Without a label: the last two parts of the path (``bess capacity [kWh]``). Its unit is that of the table, else
        what its name ends with.
    """
    if labels and field in labels:
        return Axis(labels[field])
    path = field.split(".")
    last, _, suffix = path[-1].rpartition("_")
    unit = runs.attrs.get("units", {}).get(field, "")
    if suffix in _UNITS and not last.endswith("per") and is_numeric(runs, field):
        unit, path = unit or _UNITS[suffix], [*path[:-1], last or path[-1]]
    factor = 1.0
    if unit == "s" and is_numeric(runs, field):
        for longer, seconds in _LONG.items():
            sizes = runs[field].to_numpy(float)
            if sizes.any() and not (sizes % seconds).any():
                unit, factor = longer, seconds
                break
    name = " ".join(path[-2:]).replace("_", " ")
    return Axis(f"{name} [{unit}]" if unit not in ("", "1") else name, factor)


@dataclass(frozen=True)
class FieldComparison:
    """Comparison of the values of one column at every point of the other fields.

    Parameters
    ----------
    comparison : Comparison
        What is compared is in its column ``controller``; its ``kpi`` is the number of a row of `points`.
    points : DataFrame
        One row for each key figure and point: kpi, and the other varied columns.
    """

    comparison: Comparison
    points: pd.DataFrame


def compare_fields(
    runs: pd.DataFrame,
    across: str = "controller",
    kpis: Sequence[str] | str | None = None,
    baseline: str | None = None,
    *,
    test: Test = "t",
    level: float = LEVEL,
    random: bool = True,
    labels: Mapping[str, str] | None = None,
) -> FieldComparison:
    """Compare controllers, or the values of a field, at every point of the other fields by runs with equal seeds.

    All comparisons of all points are one family of tests, see `paired_statistics.differences`.

    Parameters
    ----------
    runs : DataFrame
        Tidy table.
    across : str
        Column whose values are compared: ``controller`` or a field.
    kpis : sequence of str, optional
        Key figures to compare; all when left out.
    baseline : str, optional
        The value the others are compared with, as text; the first when left out.
    test, level, random
        See `paired_statistics.differences`.
    labels : mapping of str to str, optional
        Names of fields.

    Returns
    -------
    FieldComparison

    Raises
    ------
    ValueError
        If the table is not tidy, or there is no such column, key figure or baseline.
    """
    runs = checked(runs)
    fields = [name for name in ("controller", *varied_fields(runs)) if runs[name].nunique(dropna=False) > 1]
    if across not in (*fields, "controller"):
        raise ValueError(f"columns must be one of {', '.join(fields)}, got {across!r}")
    rest = [name for name in fields if name != across]
    axis = axis_of(runs, across, labels)
    asked = known_kpis(runs, kpis)
    parts, points = [], []
    values = in_order(runs, across)
    for kpi in asked:
        of_kpi = runs[runs["kpi"] == kpi]
        for here in places(pd.DataFrame(of_kpi), rest):
            here = here.sort_values(across, key=lambda column: column.map(values.index), kind="stable")
            label = here[across].map(axis.shown)
            parts.append(here.assign(kpi=str(len(points)), controller=label, unit=here["unit"].iloc[0]))
            points.append({"kpi": kpi, **here[rest].iloc[0].to_dict()})
    table = pd.concat(parts, ignore_index=True)
    order = {axis.shown(value): number for number, value in enumerate(values)}
    table = table.sort_values("controller", key=lambda column: column.map(order), kind="stable", ignore_index=True)
    comparison = compare(table, baseline, test=test, level=level, random=random)
    return FieldComparison(comparison, pd.DataFrame(points))
