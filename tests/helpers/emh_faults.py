"""Fault campaigns for `emh`: the hub of Leal et al. 2024 with faults as events, and the laws its results must keep."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from evhub.analysis import open_results

from .plants import run_data

EPS_KW = 0.02
CLEAR_S = 5.0
OVERCURRENT_A = 120.0
TIMEOUT_S = 5.0

PHASE_KW = 40.0
"""Of one phase: 173 A."""

CAUSES = {
    1: {"phase_load": {"phase": "b", "p_kw": PHASE_KW}},
    2: {"meter_fault": {"meter": "load"}},
    3: {"device_fault": {"device": "pv"}},
    4: {"device_fault": {"device": "bess"}},
    5: {"device_fault": {"device": "dg"}},
    6: {"connector_fault": {"connector": 1}},
    7: {"link_outage": {"device": "bess"}},
    8: {"link_outage": {"device": "cp"}},
}
"""What raises each alarm."""

ALONE = {f"alarm {number}": ((number,), [cause]) for number, cause in CAUSES.items()}
PAIRS = {
    f"alarms {one} and {other}": ((one, other), [CAUSES[one], CAUSES[other]]) for one, other in combinations(CAUSES, 2)
}
OTHERS = {
    "two connectors": ((6,), [CAUSES[6], {"connector_fault": {"connector": 2}}]),
    "grid meter": ((2,), [{"meter_fault": {"meter": "grid"}}]),
    "secondary meter": ((2,), [{"meter_fault": {"meter": "secondary"}}]),
    "load and grid meter": ((2,), [CAUSES[2], {"meter_fault": {"meter": "grid"}}]),
    "load and secondary meter": ((2,), [CAUSES[2], {"meter_fault": {"meter": "secondary"}}]),
    "links of PV and battery": ((3, 4, 7), [{"link_outage": {"device": "pv"}}, CAUSES[7]]),
    "link of the meters": ((2, 7), [{"link_outage": {"device": "grid"}}]),
}
"""Other devices of an alarm, and two of a kind."""


def event(at: int, until: int | None, what: dict) -> dict:
    ((kind, fields),) = what.items()
    return {"at": f"{at}s", kind: {"hub": "depot", **fields, **({} if until is None else {"until": f"{until}s"})}}


def hub(connectors: int = 3) -> dict:
    """The hub of the paper; everything over a link of one second each way."""
    return {
        "grid": {
            "contracted_kw": 50,
            "installed_kw": 60,
            "ats": {"transfer_s": 5, "retransfer_s": 5},
            "secondary": {"rated_kw": 60},
        },
        "pv": {"rated_kw": 20, "gamma_per_k": 0, "irradiance": {"type": "constant", "value": 600}},
        "bess": {"type": "ideal", "rated_kw": 20, "capacity_kwh": 40, "soc": 0.45, "soc_min": 0.1, "soc_max": 0.95},
        "dg": {"rated_kw": 30, "start": "2s"},
        "load": {"demand": {"type": "constant", "value": 5}},
        "connectors": {"count": connectors, "rated_kw": 20},
        "sessions": {
            "type": "list",
            "items": [
                {"at": f"{5 + n}s", "stay": "30min", "energy_kwh": 40, "connector": n + 1} for n in range(connectors)
            ],
        },
        "tariffs": prices(charging=1.0, dg=0.5, buy=0.6, bess=0.4),
        "link": {"poll": "1s", **delays(1.0, 0.0)},
    }


def prices(**values: float) -> dict:
    return {name: {"type": "constant", "value": value} for name, value in values.items()}


def delays(mean_s: float, spread_s: float) -> dict:
    delay = {"type": "uniform", "mean": f"{mean_s}s", "spread": f"{spread_s}s"}
    return {"measurement": delay, "command": delay}


def scenario(plant: dict, events: list[dict], duration_s: int = 400, seed: int = 0, **parameters) -> dict:
    controller = {
        "type": "emh",
        "period": "1s",
        "soc_min": 0.2,
        "soc_max": 0.85,
        "clear_s": CLEAR_S,
        "timeout_s": TIMEOUT_S,
        "overcurrent": {"max_a": OVERCURRENT_A, "clear_s": 30},
        **parameters,
    }
    return {
        "name": "faults",
        "start": "2024-03-01T12:00:00-03:00",
        "duration": f"{duration_s}s",
        "time_step": "1s",
        "seed": seed,
        "hubs": {"depot": plant},
        "events": events,
        "controller": controller,
    }


class Run:
    """A run second by second; powers have the shape (n_seconds,), those of connectors (n_seconds, n_connectors)."""

    def __init__(self, data: dict, folder: Path):
        self.data = data
        path = run_data(data, folder)
        with open_results(path) as results:
            frame = results.frame("depot/*/*", every="1s").fillna(0.0)
            frame.index = range(len(frame))
            self.events = results.events()
            self.asked_kwh = results.sessions().sort_values("session")["requested_kwh"].to_numpy(float)
        path.unlink()
        self.frame = frame
        link = data["hubs"]["depot"]["link"]
        self.slowest_s = 2 * (_s(link["command"]["mean"]) + _s(link["command"]["spread"]))
        # a poll and a step, and a lost message or two on the way
        self.late_s = int(self.slowest_s / 2 + 2 + 4 * bool(link.get("loss")))

    def __getitem__(self, name: str) -> np.ndarray:
        if f"depot/{name}" in self.frame:
            return self.frame[f"depot/{name}"].to_numpy()
        columns = [column for column in self.frame if re.fullmatch(rf"depot/{name}\[\d+\]", column)]
        return self.frame[columns].to_numpy()

    @property
    def islanded(self) -> np.ndarray:
        return self["ats/bus"] == 2

    def alarm(self, number: int) -> np.ndarray:
        """At which seconds an alarm is active."""
        return (self["controller/alarms"].astype(int) >> (number - 1)) % 2 == 1

    def during(self, kind: str, after_s: float = 0.0, **wanted) -> np.ndarray:
        """At which seconds an event of a kind is going on, or was within ``after_s``."""
        t, found = np.arange(len(self.frame)), np.zeros(len(self.frame), bool)
        for one in self.data["events"]:
            if kind in one and all(one[kind].get(key) == value for key, value in wanted.items()):
                until = _s(one[kind]["until"]) if "until" in one[kind] else np.inf
                found |= (t >= _s(one["at"])) & (t < until + after_s)
        return found

    def lost(self, *devices: str, after_s: float = 0.0) -> np.ndarray:
        """At which seconds the communication to one of some devices is lost."""
        return np.any([self.during("link_outage", after_s, device=device) for device in devices], axis=0)


def _s(text: str) -> float:
    return float(text.removesuffix("s"))


def lately(values: np.ndarray, seconds: int, most: bool = True) -> np.ndarray:
    """The largest (or smallest) of the last seconds, this one included."""
    rolling = pd.DataFrame(values.astype(float)).rolling(seconds + 1, min_periods=1)
    found = (rolling.max() if most else rolling.min()).to_numpy().reshape(values.shape)
    return found > 0 if values.dtype == bool else found


@dataclass(frozen=True)
class Law:
    """A law: where it fails, as seconds."""

    name: str
    fails: np.ndarray


def laws(run: Run) -> list[Law]:
    """What must hold of every run, see docs/emh.md."""
    late, islanded = run.late_s, run.islanded
    n = len(run.frame)
    cp_lost = run.lost("cp", after_s=late) | lately(run.alarm(8), late)
    limit = lately(run["cp/connector_limit_kw"], late)
    found = [
        Law("no connector above its limit", (run["cp/connector_p_kw"] > limit + EPS_KW).any(axis=1) & ~cp_lost),
        Law("the sum within what is allowed", _sum_above(run, late) & ~cp_lost),
        Law("no PV in an island beyond the battery", _pv_beyond(run, late)),
        Law("no generator in an island", islanded & (run["controller/dg_kw"] > 0.0)),
        Law("the import within its limit in steady state", _over_in_steady_state(run)),
        Law("every alarm has its cause", _unexplained(run)),
        Law("every cause raises its alarm", _unnoticed(run)),
        Law("no dead-lock", _locked(run)),
        Law("nothing flows back into the secondary source for long", _backwards(run, late)),
        Law("no trip by over-generation", _over_generation(run)),
        Law("generator and battery are not switched on and off", _switched(run)),
    ]
    for law in found:
        assert law.fails.shape == (n,)
    return found


def _sum_above(run: Run, late: int) -> np.ndarray:
    return run["cp/p_kw"] > lately(run["controller/p_limit_cp_kw"], late) + EPS_KW


def _pv_beyond(run: Run, late: int) -> np.ndarray:
    """PV above what the battery has taken lately, once the island is older than a message.

    Not where PV cannot be reached, nor while nobody knows that the battery is not heard of any more.
    """
    settled = lately(run.islanded, late + 2, most=False)
    charging = lately(np.maximum(0.0, -run["bess/p_kw"]), 2 * late)
    silent = run.lost("bess")
    unknown = silent & ~lately(silent, int(TIMEOUT_S) + 2 * late, most=False)
    return settled & (run["pv/p_kw"] > charging + EPS_KW) & ~run.lost("pv", after_s=late) & ~unknown


def _backwards(run: Run, late: int) -> np.ndarray:
    """Power into the secondary source for longer than messages need; not where battery or PV cannot be reached."""
    backwards = run.islanded & (run["secondary/p_kw"] < -EPS_KW)
    return lately(backwards, 2 * late + 2, most=False) & ~run.lost("bess", "pv", after_s=2 * late)


def _over_generation(run: Run) -> np.ndarray:
    """The source trips by what flows back although messages are quicker than its 5 s."""
    fails = np.zeros(len(run.frame), bool)
    trips = run.events[(run.events["kind"] == "trip") & run.events["text"].str.contains("over-generation")]
    if run.slowest_s <= 2.0 and not run.data["hubs"]["depot"]["link"].get("loss"):
        fails[trips["t_s"].astype(int)] = True
    return fails & ~run.lost("bess", "pv", after_s=run.late_s)


def _switched(run: Run) -> np.ndarray:
    """Started more than twice on the grid although nothing has changed for a minute."""
    fails = np.zeros(len(run.frame), bool)
    calm = ~lately(_changed(run, _inputs(run)), 60) & ~run.islanded
    for name in ("controller/dg_kw", "controller/bess_kw"):
        on = np.abs(run[name]) > EPS_KW
        starts = np.append(0, on[1:] & ~on[:-1])
        fails |= calm & (np.convolve(starts, np.ones(60))[: len(starts)] > 2)
    return fails


def _inputs(run: Run) -> list[np.ndarray]:
    """What the controller answers to."""
    given = [run["load/p_kw"], run["cp/session"].astype(float), run["pv/p_available_kw"], run["ats/bus"]]
    given += [run["controller/alarms"], run["controller/p_in_limit_kw"]]
    # a battery that is full or empty turns an island from charging to discharging or back
    limits = run.data["controller"]
    soc = run["bess/soc"]
    given += [(soc >= limits["soc_max"]).astype(float), (soc <= limits["soc_min"]).astype(float)]
    return [*given, run["tariffs/buy_per_kwh"], run["tariffs/dg_per_kwh"]]


def _over_in_steady_state(run: Run) -> np.ndarray:
    """Above the limit although nothing has changed for the time that messages need, and nobody is out of reach."""
    wait = int(2 * run.slowest_s) + 3 * run.late_s
    p_in = np.where(run.islanded, run["secondary/p_kw"], run["grid/p_kw"])
    steady = ~lately(_changed(run, [*_inputs(run), run["dg/p_kw"]]), wait)
    reached = ~(run.alarm(7) | run.alarm(8))
    # the ramp may try one more step of the battery before PV follows
    over = p_in > run["controller/p_in_limit_kw"] + EPS_KW
    return steady & reached & over & (run["load/p_kw"] < run["controller/p_in_limit_kw"] - 1e-6) & _blind(run)


def _changed(run: Run, given: list[np.ndarray]) -> np.ndarray:
    """At which seconds one of some values changes, or an event begins or ends."""
    changed = np.zeros(len(run.frame), bool)
    for one in given:
        column = one.reshape(len(run.frame), -1)
        changed[1:] |= (np.abs(np.diff(column, axis=0)) > 1e-9).any(axis=1)
    changed[0] = True
    for one in run.data["events"]:
        ((_, fields),) = [(kind, what) for kind, what in one.items() if kind != "at"]
        for edge in [_s(one["at"]), *([_s(fields["until"])] if "until" in fields else [])]:
            if edge < len(changed):
                changed[int(edge)] = True
    return changed


def _blind(run: Run) -> np.ndarray:
    """Where the load can be known: its meter, or the one of the source, works."""
    lost_source = run.during("meter_fault", meter="grid") | run.during("meter_fault", meter="secondary")
    return ~(run.during("meter_fault", meter="load") & lost_source)


def _rows(run: Run, kind: str) -> list[tuple[float, int, str]]:
    rows = run.events[run.events["kind"] == kind]
    pattern = re.compile(r"alarm (\d), ([^:]*):")
    found = [(t, pattern.match(text)) for t, text in zip(rows["t_s"], rows["text"], strict=True)]
    return [(t, int(match[1]), match[2]) for t, match in found if match]


def _unexplained(run: Run) -> np.ndarray:
    """Alarms without a cause in the scenario within the time that messages need."""
    fails = np.zeros(len(run.frame), bool)
    for t, number, about in _rows(run, "alarm"):
        fails[int(t)] |= not _explained(run, int(t), number, about)
    return fails


def _explained(run: Run, t: int, number: int, about: str) -> bool:
    recently = slice(max(0, t - run.late_s - 1), t + 1)
    link = run.data["hubs"]["depot"]["link"]
    slow = run.late_s > TIMEOUT_S - 1 or bool(link.get("loss"))
    device = about.split()[0].lower()
    lost = {"ocpp": "cp", "pv": "pv", "bess": "bess", "dg": "dg", "grid": "grid", "load": "load"}.get(device, "")
    silent = slow or (lost != "" and bool(run.lost(lost, after_s=run.late_s)[recently].any()))
    if number == 1:
        return bool((run["grid/i_a"].max(axis=1) > OVERCURRENT_A)[recently].any())
    if number == 2 and "meters" not in about:
        return bool(run.during("meter_fault", meter=device)[recently].any())
    if number in (3, 4, 5) and run.during("device_fault", device=device)[recently].any():
        return True
    if number == 6:
        connector = int(about.split()[1])
        return bool(run.during("connector_fault", connector=connector)[recently].any())
    return silent


def _unnoticed(run: Run) -> np.ndarray:
    """Causes that have lasted for the time that messages need, and of which no alarm tells."""
    n, wait = len(run.frame), run.late_s + 2
    fails = np.zeros(n, bool)

    def lasts(cause: np.ndarray, more: float = 0.0) -> np.ndarray:
        return lately(cause, wait + int(more), most=False)

    live = run["ats/bus"] > 0
    polled = ~run.lost("grid", after_s=wait)
    heard = polled.copy()
    # a meter that fails shows no currents either
    for meter, runs in (("grid", ~run.islanded), ("secondary", run.islanded)):
        heard &= ~(runs & run.during("meter_fault", after_s=wait, meter=meter))
    fails |= lasts((run["grid/i_a"].max(axis=1) > OVERCURRENT_A) & heard) & ~run.alarm(1)
    fails |= lasts(run.during("meter_fault"), TIMEOUT_S) & lasts(polled) & ~run.alarm(2)
    for number, device in ((3, "pv"), (4, "bess"), (5, "dg")):
        cause = run.during("device_fault", device=device) & ~run.lost(device, after_s=wait)
        if number == 5:
            cause &= ~run.islanded
        fails |= lasts(cause) & ~run.alarm(number)
    frozen = lately(run.alarm(8) | run.lost("cp"), wait)
    fails |= lasts(run.during("connector_fault") & ~frozen) & ~run.alarm(6)
    for device, number in (("grid", 2), ("load", 2), ("pv", 3), ("bess", 4), ("cp", 8)):
        cause = run.lost(device)
        fails |= lasts(cause, TIMEOUT_S + run.slowest_s) & ~run.alarm(number)
    return fails & live


def _locked(run: Run) -> np.ndarray:
    """At the end, all faults gone: an alarm that stays, or an EV that gets nothing although there is room."""
    fails = np.zeros(len(run.frame), bool)
    quick = run.late_s <= TIMEOUT_S - 1 and not run.data["hubs"]["depot"]["link"].get("loss")
    if quick and run["controller/alarms"][-1] > 0 and not run["grid/i_a"][-40:].max() > OVERCURRENT_A:
        fails[-1] = True
    room = run["controller/p_in_limit_kw"][-1] - run["load/p_kw"][-1]
    session = run["cp/session"][-1].astype(int)
    missing = (session >= 0) & (run["cp/energy_kwh"][-1] < np.append(run.asked_kwh, 0.0)[session] - 1e-3)
    waiting = missing.any() and run["ats/bus"][-1] > 0
    if waiting and room > 1.0 and run["cp/p_kw"][-20:].max() <= 0.0 and run["controller/alarms"][-1] == 0:
        fails[-1] = True
    return fails


@st.composite
def random_scenarios(draw) -> dict:
    """Random sessions, sun, loads, tariffs, outages, faults, delays of 0 to 8 s, messages that get lost."""
    count = draw(st.integers(1, 5))
    duration = 420
    plant = hub(count)
    plant["sessions"]["items"] = [
        {
            "at": f"{draw(st.integers(0, 300))}s",
            "stay": f"{draw(st.integers(20, 400))}s",
            "energy_kwh": draw(st.sampled_from([0.2, 40])),
            "p_max_kw": draw(st.sampled_from([7, 11, 20])),
        }
        for _ in range(draw(st.integers(0, 2 * count)))
    ]
    plant["pv"]["irradiance"] = _profile(draw, 0, 1000)
    plant["load"]["demand"] = _profile(draw, 0, 30)
    plant["bess"]["soc"] = draw(st.sampled_from([0.2, 0.45, 0.7, 0.849]))
    plant["bess"]["capacity_kwh"] = draw(st.sampled_from([0.5, 40]))
    plant["tariffs"] = prices(
        **{name: draw(st.sampled_from([0.3, 0.5, 0.7, 0.9])) for name in ("charging", "dg", "buy", "bess")}
    )
    slowest = draw(st.sampled_from([0.0, 1.0, 3.0, 8.0]))
    plant["link"] = {"poll": "1s", **delays(slowest / 2, slowest / 2), "loss": draw(st.sampled_from([0.0, 0.05]))}
    possible = [
        *CAUSES.values(),
        {"phase_load": {"phase": "a", "p_kw": 10}},
        {"meter_fault": {"meter": "grid"}},
        {"meter_fault": {"meter": "secondary"}},
        {"device_fault": {"device": "pv", "trips": False}},
        {"device_fault": {"device": "bess", "trips": False}},
        {"device_fault": {"device": "ats"}},
        {"device_fault": {"device": "secondary"}},
        {"link_outage": {"device": "grid"}},
        {"link_outage": {"device": "pv"}},
        {"load": {"scale": 2.0}},
        {"load": {"connected": False}},
        {"price": {"price": "buy", "value": 0.8}},
        {"parameters": {"controller": "emh", "set": {"tx_limit_connected": 0.7, "cp_islanded_kw": 25}}},
    ]
    events = []
    for what in draw(st.lists(st.sampled_from(possible), max_size=4)):
        at = draw(st.integers(10, 250))
        events.append(event(at, at + draw(st.integers(8, 80)), what))
    if draw(st.booleans()):
        at = draw(st.integers(0, 150))
        events.append(event(at, draw(st.sampled_from([None, at + 60, at + 170])), {"outage": {}}))
    peak = {"start": "12:01:00", "end": "12:03:00"} if draw(st.booleans()) else None
    more = {"peak": peak} if peak else {}
    every_s = draw(st.sampled_from([4, 10]))
    return scenario(plant, events, duration, draw(st.integers(0, 10_000)), ramp={"every_s": every_s}, **more)


def _profile(draw, low: int, high: int) -> dict:
    levels = draw(st.lists(st.integers(low, high), min_size=1, max_size=4))
    return {"type": "profile", "points": [[f"{n * 90}s", level] for n, level in enumerate(levels)]}
