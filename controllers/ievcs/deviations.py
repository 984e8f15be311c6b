"""Deviations from the plan, reported once as events: EVs that are late, absent or leave early, and faulty chargers."""

from __future__ import annotations

from math import inf

from .. import contract
from .ievcs_schedule import IevcsSchedule

_MISSING_KWH = 0.05

EventText = tuple[str, str, str]


class Surprises:
    """Compares what is plugged in with the plan; the fallbacks are those of stage IV and of the next plan.

    Parameters
    ----------
    name : str
        The hub.
    period_s : float
        Time between decisions: who is later than that is told of [s].
    """

    def __init__(self, name: str, period_s: float):
        self._name, self._period_s = name, period_s
        self._here: dict[str, tuple[float, float]] = {}
        self._expected: dict[str, float] = {}
        self._came: set[str] = set()
        self._faulted: frozenset[int] = frozenset()

    def seen(self, hub: contract.Hub, schedule: IevcsSchedule | None, t_s: float) -> list[EventText]:
        """Report the events since the last call.

        Parameters
        ----------
        hub : Hub
            What is seen.
        schedule : IevcsSchedule or None
            The plan in force.
        t_s : float
            Now [s since the start].

        Returns
        -------
        list of (hub, kind, text)
        """
        seen = hub.connectors
        here = {
            name: (float(seen.departure_s[i]), float(seen.remaining_kwh[i]))
            for i, name in enumerate(seen.session_id)
            if name is not None
        }
        texts = [("left early", text) for text in self._left(here, t_s)]
        texts += [("charger fault", text) for text in self._out_of_order(seen)]
        messages = [(self._name, kind, text) for kind, text in texts] + self._late(here, schedule, t_s)
        self._here = here
        return messages

    def _left(self, here: dict[str, tuple[float, float]], t_s: float) -> list[str]:
        """EVs that are gone before the departure they announced, and without all they asked for."""
        gone = [(name, *announced) for name, announced in self._here.items() if name not in here]
        return [
            f"{name} left with {missing_kwh:.1f} kWh missing; what was planned for it is a surplus until the next plan"
            for name, departure_s, missing_kwh in gone
            if departure_s > t_s + self._period_s and missing_kwh > _MISSING_KWH
        ]

    def _late(
        self, here: dict[str, tuple[float, float]], schedule: IevcsSchedule | None, t_s: float
    ) -> list[EventText]:
        """EVs that were to come and have not: each is told of when it is later than a decision, and when given up."""
        coming: dict[str, float] = {}
        if schedule is not None:
            evs = schedule.evs
            coming = {evs.names[k]: float(evs.arrival_s[k]) for k, there in enumerate(evs.there) if not there}
        # the first time it was expected counts: later plans put it off again and again
        self._came |= here.keys()
        expected = {name: self._expected.get(name, coming[name]) for name in coming if name not in self._came}
        late = [name for name, at_s in expected.items() if t_s > at_s + self._period_s]
        gone = [
            name for name, at_s in self._expected.items() if at_s == inf and name not in self._came | expected.keys()
        ]
        self._expected = {**expected, **dict.fromkeys(late, inf)}
        texts = [("late", f"{name} has not come; what was planned for it is a surplus until it does") for name in late]
        texts += [("absent", f"{name} never came, and is planned for no more") for name in gone]
        return [(self._name, kind, text) for kind, text in texts]

    def _out_of_order(self, seen: contract.Connectors) -> list[str]:
        """Connectors that have become faulty with an EV plugged in."""
        faulted = frozenset(i for i, name in enumerate(seen.session_id) if seen.faulted[i] and name is not None)
        new, self._faulted = sorted(faulted - self._faulted), faulted
        return [f"{seen.session_id[i]} at connector {i + 1} counts with 0 kW until the fault is over" for i in new]
