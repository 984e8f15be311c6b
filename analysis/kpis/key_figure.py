"""The declaration of a key figure, and the part of a run that its formula sees.

A key figure is one declaration: what it is called, its unit, which direction is better, how it is computed of one hub
and what its total over the hubs is. `key_figure` makes one of a function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
Value = float | tuple[float, float] | None
"""What a formula returns: a number, (part, whole) of a ratio, or None where a hub has nothing of the kind."""
Better = Literal["less", "more", ""]
Total = Literal["sum", "max", "min", "mean", "ratio"]
TOTALS: tuple[str, ...] = ("sum", "max", "min", "mean", "ratio")
OWN_GROUP = "own figures"
MONEY = "money"
"""Stands in units for the currency of the tariffs."""


@dataclass(frozen=True, eq=False)
class HubRun:
    """One hub of a run, as the formulas of key figures see it.

    Parameters
    ----------
    name : str
        Name of the hub.
    start : Timestamp
        Instant of t_s = 0, with zone.
    end_s : float
        End of the run [s].
    sessions : DataFrame
        EV sessions of the hub, see `Results.sessions`.
    read : callable
        Gives a signal by its path within the hub, such as ``bess/soc``: times [s], shape (k,), and values, shape (k,)
        or (k, n), held until the next; None where the hub has no such signal.
    t_s : array, shape (k,)
        Times of the powers, prices and intensities: all at which one of them changes [s].
    powers : mapping of str to array, shape (k,)
        Powers that balance at the hub bus [kW], by device.
    kinds : mapping of str to str
        Kind of each device.
    signs : mapping of str to int
        1 for a device whose positive power feeds the hub bus, -1 for one that draws.
    prices : mapping of str to array, shape (k,)
        Any of buy, sell, dg, bess, charging, missed, unserved [1/kWh] and demand [1/kW].
    intensities : mapping of str to array, shape (k,)
        Any of grid and fuel [kg/kWh].
    supply : (array, array), shape (m,)
        Times [s] and states, see `kpi_formulas.supply`; empty if the hub has no power.
    """

    name: str
    start: pd.Timestamp
    end_s: float
    sessions: pd.DataFrame
    read: Callable[[str], tuple[np.ndarray, np.ndarray] | None]
    t_s: np.ndarray
    powers: Mapping[str, np.ndarray]
    kinds: Mapping[str, str]
    signs: Mapping[str, int]
    prices: Mapping[str, np.ndarray]
    intensities: Mapping[str, np.ndarray]
    supply: tuple[np.ndarray, np.ndarray]
    figures: Mapping[str, KeyFigure] = field(default_factory=dict, repr=False)
    """All key figures, for `value`."""
    _known: dict[Callable, Any] = field(default_factory=dict, repr=False)

    @property
    def by_kind(self) -> dict[str, list[np.ndarray]]:
        """Powers of the devices [kW], by kind."""
        powers: dict[str, list[np.ndarray]] = {}
        for device, p_kw in self.powers.items():
            powers.setdefault(self.kinds[device], []).append(p_kw)
        return powers

    def once(self, function: Callable[[HubRun], T]) -> T:
        """Return what a function gives for this hub; it is called only the first time."""
        if function not in self._known:
            self._known[function] = function(self)
        return self._known[function]

    def value(self, name: str) -> float:
        """Return another key figure of this hub; NaN where it does not apply.

        Raises
        ------
        KeyError
            If there is no key figure of this name.
        """
        if name not in self.figures:
            raise KeyError(f"no key figure is called {name}")
        figure = self.figures[name]
        return np.nan if figure.formula is None else figure.number(self.once(figure.formula))


@dataclass(frozen=True, eq=False)
class WholeRun:
    """All hubs of a run and the feeder, for key figures that belong to no hub.

    Parameters
    ----------
    hubs : sequence of HubRun
        The hubs.
    sessions : DataFrame
        EV sessions of all hubs.
    end_s : float
        End of the run [s].
    read : callable
        Gives a signal by its whole path, such as ``network/grid/losses_kw``; None where there is none.
    """

    hubs: Sequence[HubRun]
    sessions: pd.DataFrame
    end_s: float
    read: Callable[[str], tuple[np.ndarray, np.ndarray] | None]
    _known: dict[Callable, Any] = field(default_factory=dict, repr=False)

    def once(self, function: Callable[[WholeRun], T]) -> T:
        """Return what a function gives for this run; it is called only the first time."""
        if function not in self._known:
            self._known[function] = function(self)
        return self._known[function]


@dataclass(frozen=True)
class KeyFigure:
    """A row of the summary.

    Parameters
    ----------
    name : str
        Its key: small letters, digits and _.
    unit : str
        Its unit, ``1`` for none; ``money`` in it stands for the currency of the tariffs.
    text : str
        Its name in tables.
    formula : callable, optional
        Function of a `HubRun` that returns a number, None where it does not apply to the hub, or (part, whole) where
        the total is a ratio. None for a figure of the feeder alone.
    better : {"less", "more", ""}
        The better direction; empty where not everybody would agree.
    total : {"sum", "max", "min", "mean", "ratio"} or callable
        The figure of all hubs together: of the hubs' values, the ratio of the sums of parts and wholes, or a function
        of the `WholeRun`.
    group : str
        Group of the table.
    description : str
        Definition and source, for the documentation.
    feeder : callable, optional
        Function of the `WholeRun`: a value of the feeder, which takes part in the total like that of a hub.
    """

    name: str
    unit: str
    text: str
    formula: Callable[[HubRun], Value] | None
    better: Better = ""
    total: Total | Callable[[WholeRun], float] = "sum"
    group: str = OWN_GROUP
    description: str = ""
    feeder: Callable[[WholeRun], float | None] | None = None

    def number(self, value: Value) -> float:
        """Convert what the formula returned to the value of a hub: NaN for None, and of a ratio without a whole."""
        if value is None:
            return np.nan
        if isinstance(value, tuple):
            part, whole = value
            return (100.0 if self.unit == "%" else 1.0) * part / whole if whole > 0 else np.nan
        return float(value)


@dataclass(frozen=True)
class KeyFigureGroup:
    """Key figures of one subject, in the order of the table.

    Parameters
    ----------
    name : str
        Name of the group.
    about : str
        What holds for all of them: conventions and sources, for the documentation.
    figures : callable
        Returns the key figures.
    """

    name: str
    about: str
    figures: Callable[[], Sequence[KeyFigure]]


def part(function: Callable[[HubRun], Mapping[str, float]], key: str) -> Callable[[HubRun], float | None]:
    """Return a formula that takes one item of what a function computes for a hub; None where it is not there."""
    return lambda hub: hub.once(function).get(key)


def ratio(function: Callable[[HubRun], Mapping[str, float]], of: str, whole: str) -> Callable[[HubRun], Value]:
    """Return a formula that takes part and whole of what a function computes; None where one is not there."""

    def formula(hub: HubRun) -> Value:
        values = hub.once(function)
        return (values[of], values[whole]) if of in values and whole in values else None

    return formula


def key_figure(
    *,
    unit: str,
    better: Better = "",
    total: Total | Callable[[WholeRun], float] = "sum",
    text: str = "",
    group: str = OWN_GROUP,
) -> Callable[[Callable[[HubRun], Value]], KeyFigure]:
    """Make a key figure of a function of a `HubRun`; its name and its docstring are those of the figure.

    Parameters
    ----------
    unit, better, total, group
        See `KeyFigure`.
    text : str
        Name in tables; that of the function, in words, when left out.

    Returns
    -------
    callable
        Decorator.

    Raises
    ------
    ValueError
        If `better` or `total` is none of those allowed.
    """
    if better not in ("less", "more", ""):
        raise ValueError(f"better must be 'less', 'more' or '', got {better!r}")
    if not callable(total) and total not in TOTALS:
        raise ValueError(f"total must be {', '.join(TOTALS)} or a function, got {total!r}")

    def declare(function: Callable[[HubRun], Value]) -> KeyFigure:
        name = function.__name__
        described = inspect.getdoc(function) or ""
        return KeyFigure(name, unit, text or name.replace("_", " "), function, better, total, group, described)

    return declare
