"""Stage IV: deviations from the plan are balanced by a decision table (Yan & Tu 2022, section 2.3, table 1, figure 5).

Figure 5 is only drawn. The table follows table 1 where it speaks, and the rules in the text elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ...simulators.units import energy_kwh, power_kw
from .ievcs_schedule import CONTROLLABLE, GENERAL, SHIFTABLE

_NOTHING_KW = 1e-9


class Deviation(Enum):
    """Sign of Dif: more is generated than the plan needs, or less."""

    SURPLUS = "surplus"
    DEFICIT = "deficit"


class Price(Enum):
    """Purchase price against its limit (sigma against sigma_lim)."""

    LOW = "low"
    HIGH = "high"


class Subsidy(Enum):
    """Discharge subsidy: as in stage I, or raised by stage II."""

    ORDINARY = "ordinary"
    RAISED = "raised"


class Measure(Enum):
    """A measure that can balance a part of the deviation."""

    LOAD_SERVED = "load that the plan cuts is served"
    BUY_LESS = "the grid supplies less"
    SELL = "the rest is sold"
    BUY = "the grid supplies more"
    STORAGE_TAKES_MORE = "storage charges more"
    STORAGE_TAKES_LESS = "storage charges less"
    STORAGE_GIVES_MORE = "storage discharges more"
    STORAGE_GIVES_LESS = "storage discharges less"
    FLEXIBLE_WAIT = "flexible EVs charge less"
    FLEXIBLE_GIVE = "flexible EVs discharge"
    PLANNED_WAIT = "EVs that follow the plan charge less"
    SHIFTABLE_WAITS = "shiftable load is put off"
    GENERAL_CUT = "general load is cut"
    CONTROLLABLE_CUT = "controllable load is cut within its band"
    URGENT_WAIT = "EVs that must charge now charge less"


class Charging(Enum):
    """Class of an EV (section 2.3, rule 3)."""

    NONE = 0
    """Nothing to decide."""
    MUST = 1
    """Must charge now, or will not have its energy at departure."""
    FLEXIBLE = 2
    """Has time, and is not where the plan has it."""
    PLANNED = 3
    """As the plan has it."""


_STORAGE_HELPS = (Measure.STORAGE_TAKES_LESS, Measure.STORAGE_GIVES_MORE)
_EVS_HELP = (Measure.FLEXIBLE_WAIT, Measure.FLEXIBLE_GIVE, Measure.PLANNED_WAIT, Measure.SHIFTABLE_WAITS)
# section 3.3: what costs more incentive comes later
_EVS_HELP_RAISED = (Measure.FLEXIBLE_WAIT, Measure.PLANNED_WAIT, Measure.SHIFTABLE_WAITS, Measure.FLEXIBLE_GIVE)
# section 1: internal load comes before sale
_TO_STORAGE = (Measure.LOAD_SERVED, Measure.STORAGE_GIVES_LESS, Measure.STORAGE_TAKES_MORE, Measure.SELL)
_TO_GRID = (Measure.LOAD_SERVED, Measure.BUY_LESS, Measure.SELL)

TABLE: Mapping[tuple[Deviation, Price, Subsidy], tuple[Measure, ...]] = {
    # rule 5; table 1, line 4
    (Deviation.SURPLUS, Price.LOW, Subsidy.ORDINARY): _TO_STORAGE,
    (Deviation.SURPLUS, Price.LOW, Subsidy.RAISED): _TO_STORAGE,
    (Deviation.SURPLUS, Price.HIGH, Subsidy.ORDINARY): _TO_GRID,
    (Deviation.SURPLUS, Price.HIGH, Subsidy.RAISED): _TO_GRID,
    # rule 6; table 1, line 5
    (Deviation.DEFICIT, Price.LOW, Subsidy.ORDINARY): (Measure.BUY, *_STORAGE_HELPS, *_EVS_HELP),
    (Deviation.DEFICIT, Price.LOW, Subsidy.RAISED): (Measure.BUY, *_STORAGE_HELPS, *_EVS_HELP_RAISED),
    (Deviation.DEFICIT, Price.HIGH, Subsidy.ORDINARY): (*_STORAGE_HELPS, *_EVS_HELP, Measure.BUY),
    (Deviation.DEFICIT, Price.HIGH, Subsidy.RAISED): (*_STORAGE_HELPS, *_EVS_HELP_RAISED, Measure.BUY),
}
"""What takes the deviation, in this order, each as far as it can."""

BASIC: Mapping[Deviation, tuple[Measure, ...]] = {
    Deviation.SURPLUS: _TO_STORAGE,
    Deviation.DEFICIT: (Measure.BUY,),
}
"""Basic control, the paper's yardstick (section 3.2)."""

RELIEF = (*_STORAGE_HELPS, *_EVS_HELP, Measure.GENERAL_CUT, Measure.CONTROLLABLE_CUT, Measure.URGENT_WAIT)
"""What keeps the import below its limit, whoever controls: what is only moved, then what is lost, the dearest last."""


@dataclass(frozen=True)
class TableSituation:
    """The powers that stage IV may change, and their limits; arrays have the shape (n_connectors,).

    Parameters
    ----------
    grid_kw : float
        Exchange at the PCC if nothing is done, > 0 imports [kW].
    import_kw : float
        Most that may be imported [kW].
    bess_kw, bess_min_kw, bess_max_kw : float
        Storage as planned, and what it can do until the next decision, > 0 discharges [kW].
    ev_kw : ndarray
        EVs as planned [kW].
    ev_min_kw : ndarray
        Power with which an EV still gets its energy if it charges at full power afterwards [kW]; where the owner
        accepts the subsidy it may be negative.
    ev_class : ndarray of int
        Values of `Charging`.
    load_kw, load_min_kw, load_max_kw : ndarray, shape (4,)
        Load of each class that would be served; the least of it: of the shiftable what cannot be made good later in
        the day, of the controllable the lower end of its band; the most: more where the plan cuts what is worth the
        purchase [kW].
    """

    grid_kw: float
    import_kw: float
    bess_kw: float
    bess_min_kw: float
    bess_max_kw: float
    ev_kw: np.ndarray
    ev_min_kw: np.ndarray
    ev_class: np.ndarray
    load_kw: np.ndarray
    load_min_kw: np.ndarray
    load_max_kw: np.ndarray


class Action:
    """The set points as they change from measure to measure.

    Parameters
    ----------
    situation : TableSituation
        Where it begins.

    Attributes
    ----------
    grid_kw, bess_kw : float
        Exchange at the PCC that follows, storage [kW].
    ev_kw : ndarray, shape (n_connectors,)
        EVs [kW].
    load_kw : ndarray, shape (4,)
        Load of each class [kW].
    taken : list of (Measure, float)
        What was done, and how much [kW].
    """

    def __init__(self, situation: TableSituation):
        self._s = situation
        self.grid_kw = situation.grid_kw
        self.bess_kw = situation.bess_kw
        self.ev_kw = situation.ev_kw.copy()
        self.load_kw = situation.load_kw.copy()
        self.taken: list[tuple[Measure, float]] = []

    def take(self, measures: tuple[Measure, ...], kw: float) -> float:
        """Apply measures in order until they have taken a power, and return what is left of it [kW].

        What the grid takes is only counted: `grid_kw` has the deviation in it from the begin, and the other measures
        move it back.
        """
        for measure in measures:
            if kw <= _NOTHING_KW:
                break
            moved = self._move(measure, kw)
            if moved > _NOTHING_KW:
                self.taken.append((measure, moved))
                kw -= moved
        return max(kw, 0.0)

    def _move(self, measure: Measure, kw: float) -> float:
        """Take as much as one measure can."""
        s = self._s
        if measure is Measure.SELL:
            return kw
        if measure is Measure.BUY_LESS:
            # the deviation is in the exchange already: without it this much would be bought
            return min(kw, max(self.grid_kw + kw, 0.0))
        if measure is Measure.BUY:
            return min(kw, max(s.import_kw - self.grid_kw + kw, 0.0))
        if measure is Measure.LOAD_SERVED:
            moved = 0.0
            for part in (CONTROLLABLE, GENERAL):
                room = min(float(s.load_max_kw[part] - self.load_kw[part]), s.import_kw - self.grid_kw, kw - moved)
                self.load_kw[part] += max(room, 0.0)
                self.grid_kw += max(room, 0.0)
                moved += max(room, 0.0)
            return moved
        if measure in _LOAD_CLASS:
            part = _LOAD_CLASS[measure]
            moved = min(kw, max(float(self.load_kw[part] - s.load_min_kw[part]), 0.0))
            self.load_kw[part] -= moved
            self.grid_kw -= moved
            return moved
        if measure in _EV_CLASS:
            return self._move_evs(measure, kw)
        return self._move_storage(measure, kw)

    def _move_storage(self, measure: Measure, kw: float) -> float:
        """Storage, between what it does now and rest, or between rest and its limit."""
        s, now = self._s, self.bess_kw
        up = measure in _STORAGE_HELPS
        if measure is Measure.STORAGE_TAKES_LESS:
            room = -now
        elif measure is Measure.STORAGE_GIVES_LESS:
            room = min(now, s.import_kw - self.grid_kw)
        elif up:
            room = s.bess_max_kw - max(now, 0.0)
        else:
            # what is stored must not push the import above its limit
            room = min(min(now, 0.0) - s.bess_min_kw, s.import_kw - self.grid_kw)
        moved = min(kw, max(room, 0.0))
        self.bess_kw += moved if up else -moved
        self.grid_kw -= moved if up else -moved
        return moved

    def _move_evs(self, measure: Measure, kw: float) -> float:
        """EVs of a class, in proportion to what each can leave."""
        s = self._s
        min_kw = s.ev_min_kw
        if measure is Measure.URGENT_WAIT:
            min_kw = np.zeros_like(min_kw)
        elif measure is not Measure.FLEXIBLE_GIVE:
            min_kw = np.maximum(min_kw, 0.0)
        room = np.where(s.ev_class == _EV_CLASS[measure].value, np.maximum(self.ev_kw - min_kw, 0.0), 0.0)
        total = float(room.sum())
        if total <= _NOTHING_KW:
            return 0.0
        moved = min(kw, total)
        self.ev_kw = self.ev_kw - room * (moved / total)
        self.grid_kw -= moved
        return moved


_EV_CLASS = {
    Measure.FLEXIBLE_WAIT: Charging.FLEXIBLE,
    Measure.FLEXIBLE_GIVE: Charging.FLEXIBLE,
    Measure.PLANNED_WAIT: Charging.PLANNED,
    Measure.URGENT_WAIT: Charging.MUST,
}


_LOAD_CLASS = {
    Measure.SHIFTABLE_WAITS: SHIFTABLE,
    Measure.GENERAL_CUT: GENERAL,
    Measure.CONTROLLABLE_CUT: CONTROLLABLE,
}


def control(situation: TableSituation, dif_kw: float, measures: tuple[Measure, ...]) -> Action:
    """Decide the set points that balance a deviation.

    Parameters
    ----------
    situation : TableSituation
        What can be moved; its exchange has the deviation in it.
    dif_kw : float
        Generation less use, against the plan (Dif) [kW].
    measures : tuple of Measure
        A cell of `TABLE`, or a line of `BASIC`.

    Returns
    -------
    Action
        The new set points. Import above its limit is relieved last, by everything that can.
    """
    action = Action(situation)
    action.take(measures, abs(dif_kw))
    action.take(RELIEF, action.grid_kw - situation.import_kw)
    return action


def storage_limits(
    soc: float, capacity_kwh: float, window: tuple[float, float], rated_kw: float, eta: tuple[float, float], dt_s: float
) -> tuple[float, float]:
    """Compute the powers that storage can hold until the next decision.

    Parameters
    ----------
    soc, capacity_kwh : float
        State of charge, and nominal energy [kWh].
    window : tuple of two float
        Lowest and highest state of charge.
    rated_kw : float
        Rating [kW].
    eta : tuple of two float
        Efficiency of charging and of discharging.
    dt_s : float
        Time until then [s].

    Returns
    -------
    min_kw, max_kw : float
        Powers, > 0 discharges [kW].
    """
    room_kwh = max(window[1] - soc, 0.0) * capacity_kwh / eta[0]
    stored_kwh = max(soc - window[0], 0.0) * capacity_kwh * eta[1]
    return -min(rated_kw, power_kw(room_kwh, dt_s)), min(rated_kw, power_kw(stored_kwh, dt_s))


def min_charging_kw(missing_kwh: np.ndarray, max_kw: np.ndarray, left_s: np.ndarray, dt_s: float) -> np.ndarray:
    """Compute the power now with which EVs still get their energy, if they charge at full power from the next decision.

    Parameters
    ----------
    missing_kwh : ndarray, shape (n,)
        Asked for and not delivered yet [kWh].
    max_kw : ndarray, shape (n,)
        Full power [kW].
    left_s : ndarray, shape (n,)
        Time to departure [s].
    dt_s : float
        Time between decisions [s]; one of them is kept in reserve.

    Returns
    -------
    ndarray, shape (n,)
        Powers [kW], negative where an EV could give back; above `max_kw` where it is too late.
    """
    later_kwh = energy_kwh(max_kw, np.maximum(left_s - 2.0 * dt_s, 0.0))
    # who leaves before the next decision has only the time until then, who is late none to lose
    now_s = np.where(left_s > 0.0, np.minimum(left_s, dt_s), dt_s)
    return power_kw(missing_kwh - later_kwh, now_s)
