"""Alarms 1 to 8: when they are raised, when they clear, and what is written down (Leal et al. 2024, table 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf, isnan

import numpy as np

from ..contract import Hub

Key = tuple[int, str]
"""Number of the alarm and what it is about."""

_METERS = {"grid": "p_grid_kw", "secondary": "p_secondary_kw", "load": "p_load_kw"}
_RAISED_BY_SILENCE = {"grid": 2, "load": 2, "pv": 3, "bess": 4, "dg": 5}
"""Alarm 7 raises these; all three meters are read through ``grid``."""
_ACTIONS = {
    1: "CP to its protection value, PV, BESS and DG to 0",
    2: "CP to its protection value, PV, BESS and DG to 0",
    3: "PV to 0",
    4: "BESS to 0",
    5: "DG to 0",
    6: "connector to 0 and out of the priority list",
    7: "as for alarms 2 to 5",
    8: "last EV status and references stay",
}
_ISLANDED_ACTIONS = {
    1: "CP to its protection value, PV to 0, then BESS to 0",
    2: "CP to its protection value, PV to 0, then BESS to 0",
    3: "PV to 0, then BESS to 0",
    4: "PV to 0, then BESS to 0",
}


@dataclass(frozen=True, slots=True)
class OvercurrentWatch:
    """The state of alarm 1 (figure 4).

    Parameters
    ----------
    level : int
        0 none, 1 protection value, 2 charge point stopped.
    since_s, last_s : float
        First and latest overcurrent of this occurrence [s].
    """

    level: int = 0
    since_s: float = -inf
    last_s: float = -inf


NO_OVERCURRENT = OvercurrentWatch()


def overcurrent(
    state: OvercurrentWatch, t_s: float, over: bool, t1_s: float, t2_s: float, clear_s: float
) -> OvercurrentWatch:
    """Advance the state of alarm 1.

    The first overcurrent gives level 1. Another one from ``t1_s`` to ``t2_s`` after it gives level 2; one that comes
    later is a new occurrence. Either level ends when there was no overcurrent for ``clear_s``, but not before ``t2_s``.

    Parameters
    ----------
    state : OvercurrentWatch
    t_s : float
        Now [s].
    over : bool
        A phase current is above its maximum.
    t1_s, t2_s, clear_s : float
        Evaluation window and clearing time [s].

    Returns
    -------
    OvercurrentWatch
    """
    if not over:
        ended = state.level and t_s - state.last_s >= clear_s and t_s - state.since_s > t2_s
        return NO_OVERCURRENT if ended else state
    if state.level == 2:
        return replace(state, last_s=t_s)
    after_s = t_s - state.since_s
    if state.level == 0 or after_s > t2_s:
        return OvercurrentWatch(1, t_s, t_s)
    return OvercurrentWatch(2 if after_s >= t1_s else 1, state.since_s, t_s)


def causes(
    hub: Hub, t_s: float, *, timeout_s: float, faulted: np.ndarray, overcurrent_level: int = 0
) -> dict[Key, str]:
    """List the alarms that have a cause now.

    Parameters
    ----------
    hub : Hub
        What is seen of the hub.
    t_s : float
        Now [s]. Over a link, meters may be silent for ``timeout_s`` after the start without an alarm.
    timeout_s : float
        A device whose last message is older is lost [s].
    faulted : ndarray of bool, shape (n_connectors,)
        Connectors out of order.
    overcurrent_level : int
        Level of alarm 1.

    Returns
    -------
    dict
        Cause of each alarm, by its number and what it is about.
    """
    cause_of: dict[Key, str] = {}
    if overcurrent_level:
        cause_of[1, "connection"] = "overcurrent of a phase"
        if overcurrent_level == 2:
            cause_of[1, "connection, second level"] = "overcurrent persists: CP stopped"
    for device, age_s in hub.age_s.items():
        # the kinds of table 3; of several devices of a kind the age of the kind is that of the oldest message
        if age_s > timeout_s and device in (*_RAISED_BY_SILENCE, "cp"):
            if device == "cp":
                cause_of[8, "OCPP"] = f"no message for {timeout_s:g} s"
                continue
            cause_of[7, device] = f"no message for {timeout_s:g} s"
            number = _RAISED_BY_SILENCE[device]
            if number != 5 or not hub.islanded:
                cause_of[number, device if number > 2 else f"{device} meters"] = "alarm 7, communication timeout"
    # until the first message, and when none came for long, a meter has not said anything
    if not hub.age_s or (t_s > timeout_s and hub.age_s.get("grid", 0.0) <= timeout_s):
        for meter, field in _METERS.items():
            if isnan(getattr(hub, field)):
                cause_of[2, f"{meter} meter"] = "meter reports an error"
    if hub.failed:
        for number, device in ((3, "pv"), (4, "bess"), (5, "dg")):
            if device in hub.failed and (number != 5 or not hub.islanded):
                cause_of.setdefault(
                    (number, device), "converter reports an error" if number < 5 else "DG reports an error"
                )
    if np.count_nonzero(faulted):
        for i in faulted.nonzero()[0].tolist():
            cause_of[6, f"connector {i + 1}"] = "connector reports a fault"
    return cause_of


@dataclass(slots=True)
class _Active:
    since_s: float
    seen_s: float
    cause: str
    action: str


class Log:
    """The active alarms of a hub, and their events."""

    def __init__(self):
        self._active: dict[Key, _Active] = {}
        self.numbers: frozenset[int] = frozenset()
        self.mask = 0
        """Bit n - 1 is set while alarm n is active."""

    def about(self, number: int) -> Iterable[str]:
        """List the subjects of the active alarms with a number."""
        return [about for n, about in self._active if n == number]

    def update(self, t_s: float, cause_of: Mapping[Key, str], clear_s: float, islanded: bool) -> list[tuple[str, str]]:
        """Raise and clear alarms.

        Parameters
        ----------
        t_s : float
            Now [s].
        cause_of : mapping
            See `causes`.
        clear_s : float
            An alarm ends when its cause has been away for this long [s]; alarm 1 has its own rule.
        islanded : bool
            For the action that is written down.

        Returns
        -------
        list of (kind, text)
            Events: ``alarm`` and ``alarm over``, with number, cause and action.
        """
        active = self._active
        if not cause_of and not active:
            return []
        events = []
        for key, cause in cause_of.items():
            if key in active:
                active[key].seen_s = t_s
                continue
            number, about = key
            action = (islanded and _ISLANDED_ACTIONS.get(number)) or _ACTIONS[number]
            if number == 1 and "second" in about:
                action = "CP to 0"
            active[key] = _Active(t_s, t_s, cause, action)
            events.append(("alarm", f"alarm {number}, {about}: {cause}; {action}"))
        over = [
            key
            for key, alarm in active.items()
            if key not in cause_of and (key[0] == 1 or t_s - alarm.seen_s >= clear_s)
        ]
        for key in over:
            alarm, (number, about) = active.pop(key), key
            lasted_s = t_s - alarm.since_s
            events.append(("alarm over", f"alarm {number}, {about}: {alarm.cause}; {alarm.action}; {lasted_s:g} s"))
        if events:
            self.numbers = frozenset(number for number, _ in active)
            self.mask = sum(1 << (number - 1) for number in self.numbers)
        return events
