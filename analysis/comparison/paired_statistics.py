"""Controllers side by side: key figures of paired runs, their differences, and what can be said of them.

Runs are paired by their seed: with the same seed, controllers meet the same EVs, the same weather and the same errors
of forecasts, so that the difference of two runs is due to the controllers. Everything here works on plain tables;
`collect` makes the first of them from opened results.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from math import nan
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from ..results.result_store import ResultError
from ..results.summary_table import better, decision_times, summary

if TYPE_CHECKING:
    from ..results.result_reader import Results

Test = Literal["t", "wilcoxon"]
TESTS = {"t": "paired t test", "wilcoxon": "Wilcoxon signed-rank test"}
LEVEL = 0.95
"""Of confidence intervals; a difference is found when its corrected p is below 1 - LEVEL."""

HIGHER, LOWER, UNDECIDED, SAME, FIXED, ONE_SEED, UNTESTED = (
    "higher",
    "lower",
    "undecided",
    "same",
    "fixed",
    "one seed",
    "not tested",
)
"""What can be said of a difference, see `differences`."""

MACHINE = "controller"
"""Group of the key figures that depend on the machine; they are told, not tested."""

_COLUMNS = ["controller", "seed", "kpi", "group", "quantity", "unit", "better", "value"]
_OF_KPI = ["kpi", "group", "quantity", "unit", "better"]
_ROUNDING = 1e-5  # of the values, or of 1 if they are small; less is arithmetic, not a difference
_NOTHING = 1e-9  # of the values; arithmetic leaves as much
_MS_PER_S = 1e3
_FOUND = (0.0, 1.0)  # optimal and feasible, see controllers.optimization.solution.Status
_OWN_SECTIONS = {"name", "title", "source", "seed", "controller", "expect"}


def collect(runs: Iterable[Results], names: Iterable[str] | None = None) -> pd.DataFrame:
    """Key figures of runs of one plant under several controllers and seeds.

    Parameters
    ----------
    runs : iterable of Results
        Opened results; each is read before the next is asked for.
    names : iterable of str, optional
        What to call the controller of each run; its type in the scenario when left out.

    Returns
    -------
    DataFrame
        One row for each run and key figure: controller, seed, kpi (the key in `summary.summary`), group, quantity,
        unit, better (less, more, or empty), value (the total over the hubs). Figures of the group `MACHINE` depend on
        the machine: mean and longest time of a decision [ms], and means of what controllers tell of themselves.

    Raises
    ------
    ResultError
        If a run is not complete, is of another plant than the first, or was given twice.
    """
    frames: dict[tuple[str, int], pd.DataFrame] = {}
    first: Results | None = None
    given = iter(names) if names is not None else None
    for results in runs:
        first = first or results
        name = str(results.attributes.get("controller", "")) if given is None else next(given)
        seed = int(results.attributes.get("seed", 0))
        if results.status != "complete":
            raise ResultError(f"{results.path}: {results.note}; only complete runs can be compared")
        check_same_plant(first, results)
        if (name, seed) in frames:
            raise ResultError(f"{results.path}: there is a run of {name} with seed {seed} already")
        frames[name, seed] = _figures(results).assign(controller=name, seed=seed)
    if not frames:
        return pd.DataFrame(columns=pd.Index(_COLUMNS))
    return pd.concat(frames.values(), ignore_index=True).reindex(columns=_COLUMNS)


def check_same_plant(one: Results, other: Results) -> None:
    """Refuse two results that cannot be compared.

    Raises
    ------
    ResultError
        If the scenarios differ in more than name, seed, controller and expectations; it names the sections.
    """
    mine, yours = _sections(one.scenario), _sections(other.scenario)
    mine["hubs' names"], yours["hubs' names"] = str(one.hubs), str(other.hubs)
    differ = [key for key in {**mine, **yours} if mine.get(key) != yours.get(key)]
    if differ:
        raise ResultError(
            f"{other.path}: must be a run of the same plant as {one.path}; the scenarios differ in {', '.join(differ)}"
        )


def _sections(scenario: str) -> dict[str, str]:
    """The sections of a resolved scenario that make the plant, as text."""
    found = {}
    for block in re.split(r"^(?=\w)", scenario, flags=re.MULTILINE):
        key = block.partition(":")[0]
        if block and key not in _OWN_SECTIONS:
            found[key] = block
    return found


def _figures(results: Results) -> pd.DataFrame:
    table, directions = summary(results), better()
    rows = [
        (key, row["group"], row["quantity"], row["unit"], directions[key], float(row["total"]))
        for key, row in zip(table.index, table.to_dict("records"), strict=True)
    ]
    return pd.DataFrame(rows + _machine_figures(results), columns=pd.Index([*_OF_KPI, "value"]))


def _machine_figures(results: Results) -> list[tuple]:
    """Times of decisions, and what controllers tell of themselves, over all controllers of the run."""
    times = decision_times(results)
    names = [str(name).rpartition("/")[2] for name in times.index]
    rows = []
    for name in dict.fromkeys(names):
        part = [row for own, row in zip(names, times.to_dict("records"), strict=True) if own == name]
        mean = sum(row["mean"] * row["count"] for row in part) / sum(row["count"] for row in part)
        if name == "decision_s":
            rows.append(("decision_mean_ms", MACHINE, "mean time of a decision", "ms", "", mean * _MS_PER_S))
            longest = max(row["max"] for row in part) * _MS_PER_S
            rows.append(("decision_max_ms", MACHINE, "longest time of a decision", "ms", "", longest))
        elif name == "status":  # a code, whose mean says nothing
            samples = results.diagnostics().to_dict("records")
            codes = [row["value"] for row in samples if str(row["name"]).endswith("/status")]
            found = 100.0 * float(np.isin(codes, _FOUND).mean())
            rows.append(("plans_found", MACHINE, "attempts to plan that gave a plan", "%", "", found))
        elif name.endswith("_s"):
            own = name.removesuffix("_s")
            rows.append((f"{own}_ms", MACHINE, f"{own}, mean", "ms", "", mean * _MS_PER_S))
        else:
            rows.append((name, MACHINE, f"{name}, mean", "1", "", mean))
    return rows


# --- means ------------------------------------------------------------------------------------------------------------


def means(kpis: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Mean of each key figure over the seeds, with its confidence interval.

    Parameters
    ----------
    kpis : DataFrame
        Of `collect`.
    level : float
        Of the interval (Student's t), which is one for each figure: no correction for several.

    Returns
    -------
    DataFrame
        One row for each key figure and controller: kpi, group, quantity, unit, better, controller, n (seeds for which
        the figure exists), mean, std, low, high. std, low and high are NaN with one seed.
    """
    rows = []
    for kpi, table in _tables(kpis):
        for name in table:
            values = table[name].dropna().to_numpy()
            rows.append((*kpi, name, *_interval(values, level)))
    return pd.DataFrame(rows, columns=pd.Index([*_OF_KPI, "controller", "n", "mean", "std", "low", "high"]))


def _tables(kpis: pd.DataFrame) -> Iterable[tuple[tuple, pd.DataFrame]]:
    """For each key figure what it is, and its values: seeds down, controllers across."""
    controllers, seeds = kpis["controller"].unique(), kpis["seed"].unique()
    for kpi, rows in kpis.groupby(_OF_KPI, sort=False):
        table = rows.pivot(index="seed", columns="controller", values="value")
        yield tuple(kpi), table.reindex(index=seeds, columns=controllers)  # pyright: ignore[reportArgumentType]


def _interval(values: np.ndarray, level: float) -> tuple[int, float, float, float, float]:
    """n, mean, standard deviation and the ends of the mean's interval."""
    n = len(values)
    mean = float(values.mean()) if n else nan
    if n < 2:
        return n, mean, nan, nan, nan
    # the mean of equal values is rounded, too
    std = float(values.std(ddof=1)) if np.ptp(values) > _NOTHING * np.abs(values).max() else 0.0
    half = float(stdtrit(n - 1, (1 + level) / 2)) * std / np.sqrt(n)  # quantile of Student's t
    return n, mean, std, mean - half, mean + half


# --- differences ------------------------------------------------------------------------------------------------------


def differences(
    kpis: pd.DataFrame,
    baseline: str | None = None,
    *,
    test: Test = "t",
    level: float = LEVEL,
    random: bool = True,
) -> pd.DataFrame:
    """Paired differences of every controller against one of them.

    All comparisons that need a test are one family: p is corrected over all of them, also over those of two other
    controllers, which the ranks need (Holm 1979). So the chance to find any difference where there is none stays below
    1 - level.

    Parameters
    ----------
    kpis : DataFrame
        Of `collect`; take out rows to test fewer key figures.
    baseline : str, optional
        The controller the others are compared with; the first when left out.
    test : {"t", "wilcoxon"}
        Paired t test, which takes the differences as normal; or the signed-rank test, which does not, and needs at
        least 6 seeds to find anything at 5 %.
    level : float
        Of intervals and, as 1 - level, of the tests.
    random : bool
        Whether anything in the runs depends on the seed. If not, one run tells all there is.

    Returns
    -------
    DataFrame
        One row for each key figure and controller: kpi, group, quantity, unit, better, controller, baseline, n (seeds
        both have), difference (mean of controller - baseline), low, high (interval of it, not corrected), p, p_holm,
        verdict. Verdicts:

        ``lower``, ``higher``: the difference was found, p_holm < 1 - level.
        ``undecided``: it may be chance.
        ``same``: equal in every run, to five digits; there is nothing to test.
        ``fixed``: it differs, and no seed changes either value. This is exact for this scenario, not a sample.
        ``one seed``: it differs, but one seed cannot tell chance from difference.
        ``not tested``: the figure depends on the machine, or is unknown.

        p is NaN where there was no test. Where all differences are equal but the values are not, p is that of the sign
        test, 2^(1 - n): a t test would take the missing scatter for certainty.

    Raises
    ------
    ValueError
        If the baseline is not among the controllers.
    """
    first = _baseline(kpis, baseline)
    return _differences(_pairs(kpis, first, test, level, random), first)


def _baseline(kpis: pd.DataFrame, given: str | None) -> str:
    controllers = [str(name) for name in kpis["controller"].unique()]
    if given is not None and given not in controllers:
        raise ValueError(f"baseline must be one of {', '.join(controllers)}, got {given!r}")
    return controllers[0] if given is None else given


def _differences(pairs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    columns = [*_OF_KPI, "controller", "baseline", "n", "difference", "low", "high", "p", "p_holm", "verdict"]
    found = pairs.query("one == @baseline")
    return found.rename(columns={"one": "baseline", "other": "controller"}).reindex(columns=columns)


@dataclass(frozen=True)
class _Pair:
    """Two controllers by one key figure."""

    n: int = 0
    difference: float = nan
    low: float = nan
    high: float = nan
    p: float = nan
    verdict: str = UNTESTED


def _pairs(kpis: pd.DataFrame, first: str, test: Test, level: float, random: bool) -> pd.DataFrame:
    """All pairs of controllers by all key figures; of a pair with the first controller, it is ``one``."""
    controllers = [first, *(name for name in kpis["controller"].unique() if name != first)]
    rows = []
    for kpi, table in _tables(kpis):
        tested = kpi[_OF_KPI.index("group")] != MACHINE
        for one, other in combinations(controllers, 2):
            pair = _pair(table[one].to_numpy(float), table[other].to_numpy(float), test, level, random, tested)
            rows.append((*kpi, one, other, pair.n, pair.difference, pair.low, pair.high, pair.p, pair.verdict))
    names = [*_OF_KPI, "one", "other", "n", "difference", "low", "high", "p", "verdict"]
    found = pd.DataFrame(rows, columns=pd.Index(names))
    found["p_holm"] = holm(found["p"].to_numpy(float))
    decided = (found["p_holm"] < 1 - level).to_numpy()
    found.loc[decided, "verdict"] = np.where(found.loc[decided, "difference"] > 0, HIGHER, LOWER)
    return found


def _pair(one: np.ndarray, other: np.ndarray, test: Test, level: float, random: bool, tested: bool) -> _Pair:
    """Compare two controllers by their values under the same seeds, shape (n,); NaN where there is none."""
    both = np.isfinite(one) & np.isfinite(other)
    one, other = one[both], other[both]
    if not len(one):
        return _Pair()
    scale = _ROUNDING * max(np.abs(one).max(), np.abs(other).max(), 1.0)
    d = other - one
    d[np.abs(d) <= scale] = 0.0
    n, mean, std, low, high = _interval(d, level)
    if not tested:
        return _Pair(n, mean, low, high)
    if not d.any():
        return _Pair(n, 0.0, low, high, verdict=SAME)
    if not random or (n > 1 and np.ptp(one) <= scale and np.ptp(other) <= scale):
        return _Pair(n, mean, low, high, verdict=FIXED)
    if n == 1:
        return _Pair(n, mean, verdict=ONE_SEED)
    if std <= scale:
        p = 2.0 ** (1 - n)
    elif test == "t":
        p = 2.0 * float(stdtr(n - 1, -abs(mean) / (std / np.sqrt(n))))
    else:
        from scipy.stats import wilcoxon  # takes longer to import than a comparison takes

        p = float(wilcoxon(d[d != 0])[1])  # pyright: ignore[reportArgumentType]
    return _Pair(n, mean, low, high, p, UNDECIDED)


def holm(p: np.ndarray) -> np.ndarray:
    """Correct p values for the number of tests (Holm 1979).

    Parameters
    ----------
    p : array, shape (m,)
        Of single tests; NaN where there was none.

    Returns
    -------
    array, shape (m,)
        Those that are below a level are found with no more than this chance of any error; NaN stays.
    """
    corrected = np.full(len(p), nan)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return corrected


# --- ranks ------------------------------------------------------------------------------------------------------------


def ranks(kpis: pd.DataFrame, *, test: Test = "t", level: float = LEVEL, random: bool = True) -> pd.DataFrame:
    """Rank the controllers by each key figure of which less or more is better.

    A rank is 1 + the number of controllers that are better beyond doubt (verdict ``lower``, ``higher`` or ``fixed``,
    tested in one family with all others, see `differences`): those that cannot be told apart share a rank.

    Parameters
    ----------
    kpis : DataFrame
        Of `collect`.
    test, level, random
        See `differences`.

    Returns
    -------
    DataFrame
        One row for each such key figure and controller: kpi, controller, rank; NaN where a controller could not be
        compared with all others: with one seed, or where the figure is unknown.
    """
    controllers = list(kpis["controller"].unique())
    return _ranks(_pairs(kpis, controllers[0], test, level, random), controllers, random)


def _ranks(pairs: pd.DataFrame, controllers: list[str], random: bool) -> pd.DataFrame:
    rows = []
    for kpi, compared in pairs.query("better != ''").groupby("kpi", sort=False):
        worse = dict.fromkeys(controllers, 0.0)
        for pair in compared.to_dict("records"):
            if pair["verdict"] == UNTESTED or (random and pair["n"] < 2):
                worse[pair["one"]] = worse[pair["other"]] = nan
            elif pair["verdict"] in (LOWER, HIGHER, FIXED):
                worse[pair["one"] if improves(pair["difference"], pair["better"]) else pair["other"]] += 1
        rows += [(kpi, name, 1 + count) for name, count in worse.items()]
    return pd.DataFrame(rows, columns=pd.Index(["kpi", "controller", "rank"]))


# --- all of it --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """Controllers side by side, see `compare`.

    Parameters
    ----------
    kpis, means, differences, ranks : DataFrame
        Of `collect`, `means`, `differences` and `ranks`.
    baseline : str
        The controller the others are compared with.
    test : {"t", "wilcoxon"}
        See `differences`.
    level : float
        Of intervals and tests.
    random : bool
        Whether anything in the runs depends on the seed.
    """

    kpis: pd.DataFrame
    means: pd.DataFrame
    differences: pd.DataFrame
    ranks: pd.DataFrame
    baseline: str
    test: Test
    level: float
    random: bool

    @property
    def controllers(self) -> list[str]:
        """The controllers, in the order they were given."""
        return list(self.kpis["controller"].unique())

    @property
    def seeds(self) -> list[int]:
        """The seeds, in the order they were run."""
        return [int(seed) for seed in self.kpis["seed"].unique()]

    def table(self) -> pd.DataFrame:
        """One row for each key figure and controller: its mean, its difference to the baseline, and its rank."""
        own = ["kpi", "controller"]
        pairs = self.differences.drop(columns=[*_OF_KPI[1:], "baseline", "n"])
        pairs = pairs.rename(columns={"low": "difference_low", "high": "difference_high"})
        return self.means.merge(pairs, on=own, how="left").merge(self.ranks, on=own, how="left")


def compare(
    kpis: pd.DataFrame,
    baseline: str | None = None,
    *,
    test: Test = "t",
    level: float = LEVEL,
    random: bool = True,
) -> Comparison:
    """Means, differences and ranks of controllers; see `differences` for the parameters and what is raised."""
    first = _baseline(kpis, baseline)
    pairs = _pairs(kpis, first, test, level, random)
    return Comparison(
        kpis=kpis,
        means=means(kpis, level),
        differences=_differences(pairs, first),
        ranks=_ranks(pairs, list(kpis["controller"].unique()), random),
        baseline=first,
        test=test,
        level=level,
        random=random,
    )


def improves(difference: float, better: str) -> bool | None:
    """Whether a difference is for the better; None where there is none, or nobody can say."""
    if not better or not difference:
        return None
    return (difference < 0) == (better == "less")
