"""Comparison of controllers: means, paired differences and ranks of their key figures, with tests of significance.

Runs are paired by their seed: with the same seed, controllers meet the same EVs, the same weather and the same errors
of forecasts, so that the difference of two runs is due to the controllers. Everything here works on plain tables;
`run_figures.collect` makes the table of key figures from opened results.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from math import nan
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp, wilcoxon

from .run_figures import MACHINE, OF_KPI

Test = Literal["t", "wilcoxon"]
TESTS = {"t": "paired t test", "wilcoxon": "Wilcoxon signed-rank test"}
LEVEL = 0.95
"""Default confidence level; a difference is significant if its corrected p is below 1 - LEVEL."""

HIGHER, LOWER, UNDECIDED, SAME, FIXED, ONE_SEED, UNTESTED = (
    "higher",
    "lower",
    "undecided",
    "same",
    "fixed",
    "one seed",
    "not tested",
)
"""Verdicts on a difference, see `differences`."""

_ROUNDING = 1e-5  # of the values, or of 1 if they are small; less is arithmetic, not a difference
_NOTHING = 1e-9  # of the values; arithmetic leaves as much


# --- means ------------------------------------------------------------------------------------------------------------


def means(kpis: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Compute the mean of each key figure over the seeds, with its confidence interval.

    Parameters
    ----------
    kpis : DataFrame
        Table of `run_figures.collect`.
    level : float
        Confidence level of the intervals (Student's t), not corrected for the number of figures.

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
            rows.append((*kpi, name, *interval(values, level)))
    return pd.DataFrame(rows, columns=pd.Index([*OF_KPI, "controller", "n", "mean", "std", "low", "high"]))


def _tables(kpis: pd.DataFrame) -> Iterable[tuple[tuple, pd.DataFrame]]:
    """Yield each key figure as its `OF_KPI` columns and a table of its values, seeds by controllers."""
    controllers, seeds = kpis["controller"].unique(), kpis["seed"].unique()
    for kpi, rows in kpis.groupby(list(OF_KPI), sort=False):
        table = rows.pivot(index="seed", columns="controller", values="value")
        yield tuple(kpi), table.reindex(index=seeds, columns=controllers)  # pyright: ignore[reportArgumentType]


def interval(values: np.ndarray, level: float) -> tuple[int, float, float, float, float]:
    """Compute the mean of values with its confidence interval (Student's t).

    Parameters
    ----------
    values : array, shape (n,)
        The values, all known.
    level : float
        Confidence level.

    Returns
    -------
    n, mean, std, low, high
        The last three are NaN with one value; the mean as well with none.
    """
    n = len(values)
    mean = float(values.mean()) if n else nan
    if n < 2:
        return n, mean, nan, nan, nan
    if np.ptp(values) <= _NOTHING * np.abs(values).max():  # the mean of equal values is rounded, too
        return n, mean, 0.0, mean, mean
    ends = ttest_1samp(values, 0.0).confidence_interval(level)
    return n, mean, float(values.std(ddof=1)), float(ends.low), float(ends.high)


# --- differences ------------------------------------------------------------------------------------------------------


def differences(
    kpis: pd.DataFrame,
    baseline: str | None = None,
    *,
    test: Test = "t",
    level: float = LEVEL,
    random: bool = True,
) -> pd.DataFrame:
    """Compute the paired differences of every controller from the baseline, with tests of significance.

    All comparisons that need a test are one family: p is corrected over all of them, also over those of two other
    controllers, which the ranks need (Holm 1979). So the chance to find any difference where there is none stays below
    1 - level.

    Parameters
    ----------
    kpis : DataFrame
        Table of `run_figures.collect`; take out rows to test fewer key figures.
    baseline : str, optional
        The controller the others are compared with; the first when left out.
    test : {"t", "wilcoxon"}
        Paired t test, which takes the differences as normal; or the signed-rank test, which does not, and needs at
        least 6 seeds to find anything at 5 %.
    level : float
        Confidence level of the intervals; 1 - level is the significance level of the tests.
    random : bool
        Whether anything in the runs depends on the seed. If not, one run of each controller suffices.

    Returns
    -------
    DataFrame
        One row for each key figure and controller: kpi, group, quantity, unit, better, controller, baseline, n (seeds
        both have), difference (mean of controller - baseline), low, high (interval of it, not corrected), p_raw (of the
        single test), p_corrected (for all tests), verdict. Verdicts:

        ``lower``, ``higher``: the difference is significant, p_corrected < 1 - level.
        ``undecided``: it may be chance.
        ``same``: equal in every run, to five digits; there is nothing to test.
        ``fixed``: it differs, and no seed changes either value. This is exact for this scenario, not a sample.
        ``one seed``: it differs, but one seed does not show whether by chance.
        ``not tested``: the figure depends on the machine, or is unknown.

        Both p are NaN where there was no test. Where all differences are equal but the values are not, p_raw is that
        of the sign test, 2^(1 - n): a t test would take the missing scatter for certainty.

    Raises
    ------
    ValueError
        If the baseline is not among the controllers.
    """
    first = _baseline(kpis, baseline)
    return _differences(_pairs(kpis, first, test, level, random), first)


def _baseline(kpis: pd.DataFrame, baseline: str | None) -> str:
    controllers = [str(name) for name in kpis["controller"].unique()]
    if baseline is not None and baseline not in controllers:
        raise ValueError(f"baseline must be one of {', '.join(controllers)}, got {baseline!r}")
    return controllers[0] if baseline is None else baseline


def _differences(pairs: pd.DataFrame, baseline: str) -> pd.DataFrame:
    columns = [*OF_KPI, "controller", "baseline", "n", "difference", "low", "high", "p_raw", "p_corrected", "verdict"]
    against_baseline = pairs.query("one == @baseline")
    return against_baseline.rename(columns={"one": "baseline", "other": "controller"}).reindex(columns=columns)


@dataclass(frozen=True)
class _Pair:
    """Comparison of two controllers by one key figure."""

    n: int = 0
    difference: float = nan
    low: float = nan
    high: float = nan
    p: float = nan
    verdict: str = UNTESTED


def _pairs(kpis: pd.DataFrame, first: str, test: Test, level: float, random: bool) -> pd.DataFrame:
    """Compare all pairs of controllers by all key figures; pairs with `first` have it in the column ``one``."""
    controllers = [first, *(name for name in kpis["controller"].unique() if name != first)]
    rows = []
    for kpi, table in _tables(kpis):
        tested = kpi[OF_KPI.index("group")] != MACHINE
        for one, other in combinations(controllers, 2):
            pair = _pair(table[one].to_numpy(float), table[other].to_numpy(float), test, level, random, tested)
            rows.append((*kpi, one, other, pair.n, pair.difference, pair.low, pair.high, pair.p, pair.verdict))
    names = [*OF_KPI, "one", "other", "n", "difference", "low", "high", "p_raw", "verdict"]
    pairs = pd.DataFrame(rows, columns=pd.Index(names))
    pairs["p_corrected"] = holm(pairs["p_raw"].to_numpy(float))
    decided = (pairs["p_corrected"] < 1 - level).to_numpy()
    pairs.loc[decided, "verdict"] = np.where(pairs.loc[decided, "difference"] > 0, HIGHER, LOWER)
    return pairs


def _pair(one: np.ndarray, other: np.ndarray, test: Test, level: float, random: bool, tested: bool) -> _Pair:
    """Compare two controllers by their values under the same seeds, shape (n,); NaN where there is none."""
    both = np.isfinite(one) & np.isfinite(other)
    one, other = one[both], other[both]
    if not len(one):
        return _Pair()
    scale = _ROUNDING * max(np.abs(one).max(), np.abs(other).max(), 1.0)
    d = other - one
    d[np.abs(d) <= scale] = 0.0
    n, mean, std, low, high = interval(d, level)
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
        # of differences: the paired test
        p = float(ttest_1samp(d, 0.0)[1])  # pyright: ignore[reportArgumentType]
    else:
        p = float(wilcoxon(d[d != 0])[1])  # pyright: ignore[reportArgumentType]
    return _Pair(n, mean, low, high, p, UNDECIDED)


def holm(p: np.ndarray) -> np.ndarray:
    """Compute p values corrected for the number of tests (Holm 1979).

    Parameters
    ----------
    p : array, shape (m,)
        p values of single tests; NaN where there was none.

    Returns
    -------
    array, shape (m,)
        Corrected p values: rejecting all below a level keeps the chance of any false rejection below it; NaN stays.
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
    tested in one family with all others, see `differences`): controllers without a proven difference share a rank.
    A key figure by which nobody is better has no ranks.

    Parameters
    ----------
    kpis : DataFrame
        Table of `run_figures.collect`.
    test, level, random
        See `differences`.

    Returns
    -------
    DataFrame
        One row for each such key figure and controller: kpi, controller, rank; NaN where no controller is better than
        another, or one could not be compared with all others: with one seed, or where the figure is unknown.
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
        differ = any(count > 0 for count in worse.values())
        rows += [(kpi, name, 1 + count if differ else nan) for name, count in worse.items()]
    return pd.DataFrame(rows, columns=pd.Index(["kpi", "controller", "rank"]))


# --- all of it --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """Comparison of controllers, see `compare`.

    Parameters
    ----------
    kpis, means, differences, ranks : DataFrame
        Tables of `run_figures.collect`, `means`, `differences` and `ranks`.
    baseline : str
        The controller the others are compared with.
    test : {"t", "wilcoxon"}
        See `differences`.
    level : float
        Confidence level of intervals and tests.
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
        """Names of the controllers, in the order of the table of key figures."""
        return list(self.kpis["controller"].unique())

    @property
    def seeds(self) -> list[int]:
        """The seeds, in the order of the table of key figures."""
        return [int(seed) for seed in self.kpis["seed"].unique()]

    def table(self) -> pd.DataFrame:
        """Return one row for each key figure and controller: mean, difference from the baseline, and rank."""
        keys = ["kpi", "controller"]
        pairs = self.differences.drop(columns=[*OF_KPI[1:], "baseline", "n"])
        pairs = pairs.rename(columns={"low": "difference_low", "high": "difference_high"})
        return self.means.merge(pairs, on=keys, how="left").merge(self.ranks, on=keys, how="left")


def compare(
    kpis: pd.DataFrame,
    baseline: str | None = None,
    *,
    test: Test = "t",
    level: float = LEVEL,
    random: bool = True,
) -> Comparison:
    """Compare controllers by means, differences and ranks; see `differences` for the parameters and errors."""
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
    """Return whether a difference is an improvement; None for no difference or a figure without a better direction."""
    if not better or not difference:
        return None
    return (difference < 0) == (better == "less")
