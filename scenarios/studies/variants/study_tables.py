"""The runs of a study as plain tables: one row for each run and key figure, and means by what was varied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .study_file import Study, Variation, seconds_of
from .variant_plan import PlannedRun

if TYPE_CHECKING:
    import pandas as pd


def tidy(study: Study, runs: Iterable[PlannedRun], entries: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row for each run and key figure; runs that failed have none.

    Parameters
    ----------
    study : Study
        The study.
    runs : iterable of PlannedRun
        Its runs, of which all are finished.
    entries : mapping of str to mapping
        What the journal has of each, by its key.

    Returns
    -------
    DataFrame
        variant (label), scenario (label), a column for each field, controller (label), seed, kpi, value, unit. Fields
        have numbers, durations in seconds, or labels. Of key figures the study's, all when it names none; a hub's as
        HUB.NAME where there are several. ``attrs["units"]`` has the units of fields that have one.
    """
    import pandas as pd

    columns: dict[str, list[Any]] = {
        name: [] for name in ("variant", "scenario", *study.fields, "controller", "seed", "kpi", "value", "unit")
    }
    made = list({(run.variant.label, run.seed): run for run in runs}.values())
    fields = {
        name: field_column(field, [run.variant.fields[name] for run in made]) for name, field in study.fields.items()
    }
    for place, run in enumerate(made):
        kpis, variant = entries[run.key]["kpis"], run.variant
        names = [name for name in study.kpis or kpis if name in kpis]
        about = {"variant": variant.label, "scenario": variant.scenario, "controller": variant.controller}
        about |= {"seed": run.seed} | {name: values[place] for name, (values, _) in fields.items()}
        for name, value in about.items():
            columns[name] += [value] * len(names)
        columns["kpi"] += names
        columns["value"] += [kpis[name][0] for name in names]
        columns["unit"] += [kpis[name][1] for name in names]
    table = pd.DataFrame(columns).astype({"value": "float64"})
    table.attrs["units"] = {name: unit for name, (_, unit) in fields.items() if unit}
    return table


def field_column(field: Variation, values: Sequence[Any]) -> tuple[list[Any], str]:
    """Return values of a field as they stand in a column, and their unit.

    Parameters
    ----------
    field : Variation
        The field.
    values : sequence
        Values of it, as they would stand in a scenario.

    Returns
    -------
    values : list
        Labels where the study has labels or values are sections; else numbers, truth values or text, with durations
        in seconds.
    unit : str
        ``s`` for durations, else empty.
    """
    choices = field.values
    if choices is not None and (choices.named or any(isinstance(value, dict | list) for value in choices.values)):
        return [choices.label(value) for value in values], ""
    kinds = {type(value) for value in values}
    if kinds == {str}:
        seconds = [seconds_of(value) for value in values]
        return (list(values), "") if None in seconds else (seconds, "s")
    if kinds <= {int, float} or kinds == {bool}:
        return list(values), ""
    return [value if isinstance(value, str) or choices is None else choices.label(value) for value in values], ""


def varied(study: Study) -> list[str]:
    """Return the columns of `tidy` by whose values runs can be grouped: what has values and not a range.

    ``scenario`` and ``controller`` are among them where there are several.
    """
    fields = [name for name, field in study.fields.items() if field.values is not None]
    scenarios = ["scenario"] if len(study.targets) > 1 else []
    return [*scenarios, *fields, *(["controller"] if len(study.controllers or ()) > 1 else [])]


def points_table(study: Study, runs: pd.DataFrame) -> pd.DataFrame:
    """Return mean and 95 % interval of each key figure over the seeds, for every variant.

    Parameters
    ----------
    study : Study
        The study.
    runs : DataFrame
        From `tidy`.

    Returns
    -------
    DataFrame
        variant, scenario, the fields, controller, kpi, unit, n, mean, std, low, high; see `means_by`.
    """
    from ....analysis.comparison.factor_means import means_by

    return means_by(runs, ["variant", "scenario", *study.fields, "controller"])


def by_field_table(study: Study, runs: pd.DataFrame) -> pd.DataFrame:
    """Return mean and 95 % interval of each key figure for each value of what is varied.

    Parameters
    ----------
    study : Study
        The study.
    runs : DataFrame
        From `tidy`.

    Returns
    -------
    DataFrame
        field, field_value, kpi, unit, n, mean, std, low, high; see `means_by`.
    """
    import pandas as pd

    from ....analysis.comparison.factor_means import means_by

    tables = [
        pd.DataFrame(columns=pd.Index(["field", "field_value", "kpi", "unit", "n", "mean", "std", "low", "high"]))
    ]
    for name in varied(study):
        table = means_by(runs, [name]).rename(columns={name: "field_value"})
        table.insert(0, "field", name)
        tables.append(table)
    return pd.concat(tables[1:] or tables, ignore_index=True)
