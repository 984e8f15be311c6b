"""Whatever is wrong with the input is told in lines that name file, key, value and what is allowed; nothing is written.

Every case changes a scenario that is fine, or a file it names, and goes through the command itself: exit status 2, one
line that begins with the file and the key, no traceback, no words of a library, no result file.
"""

from __future__ import annotations

import copy
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest
import yaml

from evhub.analysis import open_results
from evhub.scenarios.errors import InputError
from evhub.scenarios.schema.controller_registry import controller_class
from evhub.scenarios.schema.scenario_loader import load_scenario, parse
from evhub.simulators.network.network_sources import lv_feeder

from ...helpers.command import Outcome, evhub

GOOD: dict[str, Any] = {
    "name": "good",
    "start": "2024-03-01T12:00:00-03:00",
    "time_zone": "America/Belem",
    "duration": "30min",
    "time_step": "1min",
    "seed": 1,
    "hubs": {
        "depot": {
            "grid": {"contracted_kw": 50, "installed_kw": 60, "secondary": {"rated_kw": 30}},
            "pv": {"rated_kw": 20, "irradiance": {"type": "profile", "points": [["0s", 900], ["20min", 300]]}},
            "bess": {"type": "ideal", "rated_kw": 20, "capacity_kwh": 10, "soc": 0.5},
            "dg": {"rated_kw": 30},
            "load": {"demand": {"type": "constant", "value": 5}},
            "connectors": {"count": 2, "rated_kw": 20},
            "sessions": {
                "type": "list",
                "items": [
                    {"at": "2min", "until": "25min", "energy_kwh": 8},
                    {"at": "5min", "until": "20min", "energy_kwh": 6},
                ],
            },
            "tariffs": {"buy": {"type": "constant", "value": 0.3}},
        }
    },
    "events": [{"at": "10min", "outage": {"hub": "depot", "until": "20min"}}],
    "controller": {"type": "equal_share", "period": "1min"},
}
GONE = object()
"""Takes a key out."""


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The good scenario with other values; ``depot.x`` stands for ``hubs.depot.x``."""
    data = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *way, last = re.sub(r"^depot\b", "hubs.depot", path).replace("[", ".").replace("]", "").split(".")
        place: Any = data
        for key in way:
            place = place[int(key) if isinstance(place, list) else key]
        if value is GONE:
            del place[last]
        else:
            place[int(last) if isinstance(place, list) else last] = value
    return data


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def run(folder: Path, data: dict[str, Any], files: dict[str, str | bytes] | None = None, *more: str) -> Outcome:
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    write(folder, {"case.yaml": text, **(files or {})})
    return evhub("run", folder / "case.yaml", "-o", folder / "out.h5", "--quiet", *more)


JARGON = re.compile(
    r"traceback|pydantic|validation error|input should|value error|assertion|type=|nonetype|keyerror|typeerror", re.I
)


def assert_refused(folder: Path, outcome: Outcome, place: str, *told: str) -> None:
    """One line begins with the place and holds all that is told; nothing was written."""
    assert outcome.status == 2, outcome.err
    assert outcome.out == ""
    assert not JARGON.search(outcome.err), outcome.err
    assert outcome.err.replace("\n", "").isprintable()
    lines = [line.removeprefix(f"{folder}/") for line in outcome.err.splitlines()]
    assert any(line.startswith(f"{place}: ") and all(text in line for text in told) for line in lines), outcome.err
    assert not list(folder.rglob("*.h5"))


def test_the_scenario_that_is_changed_below_is_fine(tmp_path):
    assert run(tmp_path, GOOD, None, "--engine", "inprocess") == Outcome(0, "", "")


# --- values in the scenario -------------------------------------------------------------------------------------------

NAN, INF = math.nan, math.inf
CLEAR_SKY = {"type": "clear_sky", "latitude": 1, "longitude": 0}
SESSION = {"at": "1min", "until": "10min", "energy_kwh": 2}
NETWORK = {"type": "pandapower", "net": "lv_feeder", "hub_bus": {"depot": 3}}


def one_event(**event) -> dict[str, Any]:
    return {"events": [{"at": "1min", **event}]}


def sessions(*items) -> dict[str, Any]:
    return {"depot.sessions.items": list(items)}


def load(**section) -> dict[str, Any]:
    return {"depot.load": section}


VALUES: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    # numbers
    "a negative rating": ({"depot.pv.rated_kw": -5}, "hubs.depot.pv.rated_kw", ("must be > 0", "got -5")),
    "a rating of zero": ({"depot.grid.contracted_kw": 0}, "hubs.depot.grid.contracted_kw", ("must be > 0", "got 0")),
    "NaN": ({"depot.bess.capacity_kwh": NAN}, "hubs.depot.bess.capacity_kwh", ("must be a finite number", "got nan")),
    "infinite": ({"depot.dg.rated_kw": INF}, "hubs.depot.dg.rated_kw", ("must be a finite number", "got inf")),
    "a number as text": ({"depot.pv.rated_kw": "20"}, "hubs.depot.pv.rated_kw", ("must be a number", "got '20'")),
    "a number with unit": ({"depot.pv.rated_kw": "20 kW"}, "hubs.depot.pv.rated_kw", ("number", "got '20 kW'")),
    "a decimal comma": ({"depot.pv.rated_kw": "20,5"}, "hubs.depot.pv.rated_kw", ("a number", "got '20,5'")),
    "a truth value": ({"depot.pv.rated_kw": True}, "hubs.depot.pv.rated_kw", ("must be a number", "got true")),
    "nothing": ({"depot.pv.rated_kw": None}, "hubs.depot.pv.rated_kw", ("must be a number", "got null")),
    "a list": ({"depot.pv.rated_kw": [20]}, "hubs.depot.pv.rated_kw", ("must be a number", "got [20]")),
    "a mapping": ({"depot.pv.rated_kw": {"a": 1}}, "hubs.depot.pv.rated_kw", ("must be a number", "got {'a': 1}")),
    "too large": ({"depot.pv.rated_kw": 1e300}, "hubs.depot.pv.rated_kw", ("1e-09 and 1e+09", "got 1e+300")),
    "a long integer": ({"depot.pv.rated_kw": 10**400}, "hubs.depot.pv.rated_kw", ("1e-09 and 1e+09", "got 1000")),
    "too small": ({"depot.bess.capacity_kwh": 1e-300}, "hubs.depot.bess.capacity_kwh", ("1e-09", "got 1e-300")),
    "per cent for a ratio": ({"depot.bess.soc": 50}, "hubs.depot.bess.soc", ("must be <= 1", "got 50")),
    "no angle": (
        {"depot.pv.irradiance": CLEAR_SKY | {"latitude": 91}},
        "hubs.depot.pv.irradiance.latitude",
        ("90", "got 91"),
    ),
    # sections
    "a section in a list": ({"depot.pv": [1]}, "hubs.depot.pv[0]", ("must be a mapping", "got 1")),
    "a list without sections": ({"depot.pv": []}, "hubs.depot.pv", ("at least 1", "got []")),
    "a section that is text": ({"depot.pv": "large"}, "hubs.depot.pv", ("must be a mapping", "got 'large'")),
    "a number for a series": ({"depot.load.demand": 5}, "hubs.depot.load.demand", ("must be a mapping", "got 5")),
    "a missing key": ({"depot.pv.rated_kw": GONE}, "hubs.depot.pv.rated_kw", ("is required",)),
    "no start": ({"start": GONE}, "start", ("is required",)),
    "a misspelt key": ({"durration": "1h"}, "durration", ("is not a key", "did you mean duration?")),
    "a misspelt key inside": ({"depot.bess.soc_mx": 1}, "hubs.depot.bess.soc_mx", ("did you mean soc_max?", "known: ")),
    "a key of another model": ({"depot.bess.pack": "x"}, "hubs.depot.bess.pack", ("is not a key", "known: rated_kw")),
    "no type": ({"depot.bess.type": GONE}, "hubs.depot.bess", ("needs a type", "tremblay, ideal")),
    "an unknown type": (
        {"depot.bess.type": "lithium"},
        "hubs.depot.bess.type",
        ("'tremblay', 'ideal'", "got 'lithium'"),
    ),
    "a type that is a list": ({"depot.bess.type": [5]}, "hubs.depot.bess.type", ("'ideal'", "got [5]")),
    # names
    "no hubs": ({"hubs": {}, "events": []}, "hubs", ("at least 1", "got {}")),
    "hubs as a list": ({"hubs": [], "events": []}, "hubs", ("must be a mapping", "got []")),
    "an empty hub": ({"depot": None}, "hubs.depot", ("must be a mapping", "got null")),
    "a hub with a slash": ({"hubs": {"a/b": {}}}, "hubs.a/b", ("small letters, digits", "got 'a/b'")),
    "a hub with a dot": ({"hubs": {"a.b": {}}}, "hubs.a.b", ("small letters, digits", "got 'a.b'")),
    "a hub with an accent": ({"hubs": {"dépôt": {}}}, "hubs.dépôt", ("small letters, digits", "got 'dépôt'")),
    "a hub without name": ({"hubs": {"": {}}}, "hubs.''", ("small letters, digits", "got ''")),
    "a long name": ({"name": "a" * 50}, "name", ("at most 40 characters", "got 'aaaa")),
    "a hub called network": ({"hubs": {"network": {"grid": {"contracted_kw": 9}}}}, "hubs.network", ("another name",)),
    "a name that climbs": ({"name": "../x"}, "name", ("small letters, digits", "got '../x'")),
    "a name that is a number": ({"name": 12}, "name", ("must be text", "got 12")),
    # time
    "a start without offset": ({"start": "2024-03-01T12:00:00"}, "start", ("UTC offset", "got '2024-03-01T12:00:00'")),
    "a start in month 13": ({"start": "2024-13-01T12:00:00Z"}, "start", ("a date and time", "got '2024-13")),
    "a start that is a number": ({"start": 1709294400}, "start", ("a date and time", "got 1709294400")),
    "a start that is a number as text": ({"start": "1709294400"}, "start", ("a date and time", "got '1709294400'")),
    "a start before the calendar": ({"start": "0001-01-01T00:00:00+05:00"}, "start", ("1900 to 2199", "got '0001")),
    "an unknown zone": ({"time_zone": "Mars/Base"}, "time_zone", ("IANA time zone", "got 'Mars/Base'")),
    "a zone that is a path": ({"time_zone": "/etc/passwd"}, "time_zone", ("IANA time zone", "got '/etc/passwd'")),
    "a duration of nothing": ({"duration": "0s"}, "duration", ("longer than 0s", "got '0s'")),
    "a negative duration": ({"duration": "-1h"}, "duration", ("90s, 15min, 2h", "got '-1h'")),
    "a duration without unit": ({"duration": 3600}, "duration", ("such as 3600s", "got 3600")),
    "a duration that is NaN": ({"duration": NAN}, "duration", ("with its unit", "got nan")),
    "a duration of a million years": ({"duration": "365000000d"}, "duration", ("at most 36525d", "got '365000000d'")),
    "a step longer than the run": ({"time_step": "2h"}, "duration", ("a multiple of time_step 7200s", "got '1800s'")),
    "a run that is no multiple": ({"time_step": "7min"}, "duration", ("a multiple of time_step 420s", "got '1800s'")),
    "a step of nothing": ({"time_step": "0s"}, "time_step", ("longer than 0s", "got '0s'")),
    "a period that is no multiple": ({"controller.period": "90s"}, "controller.period", ("time_step 60s", "got '90s'")),
    "a negative seed": ({"seed": -1}, "seed", ("must be >= 0", "got -1")),
    "a seed with a fraction": ({"seed": 1.5}, "seed", ("must be a whole number", "got 1.5")),
    "a seed that no file holds": ({"seed": 10**40}, "seed", ("must be <= 9.2", "got 1000")),
    # devices
    "SoC out of its window": (
        {"depot.bess.soc": 0.1},
        "hubs.depot.bess",
        ("between soc_min 0.2 and soc_max 0.8", "got 0.1"),
    ),
    "a window upside down": ({"depot.bess.soc_min": 0.9}, "hubs.depot.bess", ("soc_min must be below", "0.9 and 0.8")),
    "an unknown pack": (
        {"depot.bess": {"type": "tremblay", "rated_kw": 9, "capacity_kwh": 9, "pack": "nissan_leaf"}},
        "hubs.depot.bess",
        ("pack must be one of", "got 'nissan_leaf'", "did you mean nissan_leaf_2013?"),
    ),
    "an unknown pack of EVs": ({"depot.ev": {"pack": "../x"}}, "hubs.depot.ev", ("pack must be one of", "got '../x'")),
    "a minimum above the rating": ({"depot.dg.minimum_kw": 40}, "hubs.depot.dg", ("at most rated_kw 30", "got 40")),
    "more fuel than the tank holds": ({"depot.dg.fuel_l": 900}, "hubs.depot.dg", ("fuel_capacity_l 200", "got 900")),
    "a contract above the installation": (
        {"depot.grid.installed_kw": 40},
        "hubs.depot.grid",
        ("at least contracted_kw 50", "got 40"),
    ),
    "a delay with its unit where seconds stand": (
        {"depot.grid.ats": {"transfer_s": "5s"}},
        "hubs.depot.grid.ats.transfer_s",
        ("must be a number", "got '5s'"),
    ),
    "unknown ATS settings": (
        {"depot.grid.ats": {"settings": "asco"}},
        "hubs.depot.grid",
        ("ats.settings must be one of asco_165", "got 'asco'"),
    ),
    "no connectors": ({"depot.connectors.count": 0}, "hubs.depot.connectors.count", ("must be >= 1", "got 0")),
    "a billion connectors": (
        {"depot.connectors.count": 10**9},
        "hubs.depot.connectors.count",
        ("must be <= 10000", "got 1000000000"),
    ),
    "one and a half connectors": (
        {"depot.connectors.count": 1.5},
        "hubs.depot.connectors.count",
        ("whole number", "got 1.5"),
    ),
    "two phases": ({"depot.connectors.phases": 2}, "hubs.depot.connectors.phases", ("must be one of 1 or 3", "got 2")),
    "capital letters": (
        {"depot.connectors.current": "DC"},
        "hubs.depot.connectors.current",
        ("'ac' or 'dc'", "got 'DC'"),
    ),
    "yes for true": ({"depot.connectors.v2g": "yes"}, "hubs.depot.connectors.v2g", ("true or false", "got 'yes'")),
    "one for true": ({"depot.connectors.v2g": 1}, "hubs.depot.connectors.v2g", ("true or false", "got 1")),
    "a load without demand": (load(), "hubs.depot.load", ("needs demand, or at least one of critical",)),
    "a band upside down": (
        load(controllable={"demand": {"type": "constant", "value": 1}, "band": [0.9, 0.1]}),
        "hubs.depot.load.controllable.band",
        ("the least share must be at most the largest", "got 0.9 and 0.1"),
    ),
    "a band of one": (
        load(controllable={"demand": {"type": "constant", "value": 1}, "band": [0.9]}),
        "hubs.depot.load.controllable.band[1]",
        ("is required",),
    ),
    "a negative load": ({"depot.load.demand.value": -5}, "hubs.depot.load.demand", (">= 0 at all times", "got -5")),
    "a power factor of zero": ({"depot.load.power_factor": 0}, "hubs.depot.load.power_factor", ("> 0", "got 0")),
    "sessions without connectors": ({"depot.connectors": GONE}, "hubs.depot", ("sessions need connectors",)),
    "connectors without sessions": ({"depot.sessions": GONE}, "hubs.depot", ("connectors need sessions",)),
    "a link that loses everything": (
        {"depot.link": {"poll": "1min", "loss": 1}},
        "hubs.depot.link.loss",
        ("must be < 1", "got 1"),
    ),
    "a delay narrower than its spread": (
        {"depot.link": {"poll": "1min", "command": {"type": "uniform", "mean": "1s", "spread": "5s"}}},
        "hubs.depot.link",
        ("spread_s must be at most mean_s 1.0", "got 5.0"),
    ),
    # profiles and prices
    "a profile that starts late": (
        {"depot.pv.irradiance.points": [["1min", 5]]},
        "hubs.depot.pv.irradiance.points",
        ("must be at 0s", "got 60s"),
    ),
    "a profile out of order": (
        {"depot.pv.irradiance.points": [["0s", 5], ["2min", 4], ["1min", 4]]},
        "hubs.depot.pv.irradiance.points",
        ("times must rise", "got 60s after 120s"),
    ),
    "a time twice": (
        {"depot.pv.irradiance.points": [["0s", 5], ["2min", 4], ["2min", 4]]},
        "hubs.depot.pv.irradiance.points",
        ("times must rise", "got 120s after 120s"),
    ),
    "no points": ({"depot.pv.irradiance.points": []}, "hubs.depot.pv.irradiance.points", ("at least 1", "got []")),
    "a point that is NaN": (
        {"depot.pv.irradiance.points[0]": ["0s", NAN]},
        "hubs.depot.pv.irradiance.points[0][1]",
        ("finite number", "got nan"),
    ),
    "a point of three": (
        {"depot.pv.irradiance.points[0]": ["0s", 1, 2]},
        "hubs.depot.pv.irradiance.points[0]",
        ("at most 2", "got ['0s', 1, 2]"),
    ),
    "a time without unit": (
        {"depot.pv.irradiance.points[0]": [0, 1]},
        "hubs.depot.pv.irradiance.points[0][0]",
        ("such as 0s", "got 0"),
    ),
    "points as a mapping": (
        {"depot.pv.irradiance.points": {"0s": 1}},
        "hubs.depot.pv.irradiance.points",
        ("must be a list", "got {'0s': 1}"),
    ),
    "a profile longer than its period": (
        {"depot.pv.irradiance": {"type": "profile", "points": [["0s", 4], ["2h", 5]], "every": "1h"}},
        "hubs.depot.pv.irradiance",
        ("within one period of 3600 s", "got 7200 s"),
    ),
    "a million points a second": (
        {"depot.pv.irradiance": {"type": "profile", "points": [["0s", 4]], "every": "0.001s"}},
        "hubs.depot.pv.irradiance.every",
        ("at least 1s", "got '0.001s'"),
    ),
    "a negative sun": (
        {"depot.pv.irradiance.points[1]": ["5min", -4]},
        "hubs.depot.pv.irradiance",
        (">= 0 at all times", "got -4"),
    ),
    "colder than anywhere": (
        {"depot.pv.temperature": {"type": "constant", "value": -400}},
        "hubs.depot.pv.temperature",
        (">= -90", "got -400"),
    ),
    "kelvin": (
        {"depot.pv.temperature": {"type": "constant", "value": 300}},
        "hubs.depot.pv.temperature",
        ("<= 70", "got 300"),
    ),
    "a price that is a number": (
        {"depot.tariffs.buy": 0.3},
        "hubs.depot.tariffs.buy",
        ("must be a mapping", "got 0.3"),
    ),
    "a price that is infinite": (
        {"depot.tariffs.buy.value": INF},
        "hubs.depot.tariffs.buy.value",
        ("finite", "got inf"),
    ),
    "an unknown tariff": (
        {"depot.tariffs.buy": {"type": "tou", "tariff": "sce_tou_ev_4"}},
        "hubs.depot.tariffs.buy.tariff",
        ("must be one of sce_tou_ev_4_2019", "did you mean", "got 'sce_tou_ev_4'"),
    ),
    "no currency": ({"depot.tariffs.currency": ""}, "hubs.depot.tariffs.currency", ("at least 1 character", "got ''")),
    # sessions
    "a departure before the arrival": (
        sessions(SESSION | {"at": "12min"}),
        "hubs.depot.sessions.items[0]",
        ("until must be after at", "600s", "720s"),
    ),
    "a departure at the arrival": (
        sessions(SESSION | {"at": "10min"}),
        "hubs.depot.sessions.items[0]",
        ("until must be after at",),
    ),
    "no departure": (
        sessions({"at": "1min", "energy_kwh": 2}),
        "hubs.depot.sessions.items[0]",
        ("either until or stay", "got none"),
    ),
    "two departures": (
        sessions(SESSION | {"stay": "5min"}),
        "hubs.depot.sessions.items[0]",
        ("until or stay", "got both"),
    ),
    "a negative energy": (
        sessions(SESSION | {"energy_kwh": -2}),
        "hubs.depot.sessions.items[0].energy_kwh",
        (">= 0", "got -2"),
    ),
    "an arrival after the end": (
        sessions({"at": "40min", "until": "50min", "energy_kwh": 1}),
        "hubs.depot.sessions.items[0].at",
        ("before the end of the run at 1800s", "got '2400s'"),
    ),
    "overlapping sessions": (
        sessions(SESSION | {"connector": 1}, SESSION | {"connector": 1, "at": "5min"}),
        "hubs.depot.sessions",
        ("session s2, at", "after session s1 has left connector 1 at 600 s", "got '300 s'"),
    ),
    "a connector that does not exist": (
        sessions(SESSION | {"connector": 3}),
        "hubs.depot",
        ("items[0].connector must be at most 2", "got 3"),
    ),
    "a session twice": (
        sessions(SESSION | {"id": "a"}, SESSION | {"id": "a"}),
        "hubs.depot.sessions.items[1].id",
        ("the only one", "got 'a'"),
    ),
    "more energy than the pack holds": (
        sessions(SESSION | {"capacity_kwh": 1}),
        "hubs.depot.sessions",
        ("session s1, energy_kwh", "fit into its pack", "got 2.0"),
    ),
    "an unknown profile of arrivals": (
        {"depot.sessions": {"type": "stochastic", "profile": "publik"}},
        "hubs.depot.sessions.profile",
        ("must be one of public, workplace", "did you mean public?", "got 'publik'"),
    ),
    "a crowd": (
        {"depot.sessions": {"type": "stochastic", "scale": 1e8}},
        "hubs.depot.sessions.scale",
        ("<= 1000", "got 100000000.0"),
    ),
    # events
    "an event after the end": (
        {"events[0]": {"at": "30min", "outage": {"hub": "depot"}}},
        "events[0].at",
        ("before the end", "1800s", "got '1800s'"),
    ),
    "an event without time": ({"events[0].at": GONE}, "events[0].at", ("is required",)),
    "an event that ends before it begins": (
        {"events[0].outage.until": "5min"},
        "events[0]",
        ("until must be after at 600s", "got 300s"),
    ),
    "an event of no kind": (one_event(), "events[0]", ("needs exactly one of outage, planned_island", "got none")),
    "an event of two kinds": (
        one_event(outage={"hub": "depot"}, load={"hub": "depot"}),
        "events[0]",
        ("exactly one of", "got outage, load"),
    ),
    "an event of an unknown kind": (
        one_event(blackout={"hub": "depot"}),
        "events[0].blackout",
        ("is not a key", "known: at"),
    ),
    "an event at an unknown hub": (
        one_event(outage={"hub": "nope"}),
        "events[0].outage.hub",
        ("one of depot", "got 'nope'"),
    ),
    "a fault of an unknown connector": (
        one_event(connector_fault={"hub": "depot", "connector": 3}),
        "events[0].connector_fault.connector",
        ("one of the 2 connectors of depot", "got 3"),
    ),
    "a fault of an unknown device": (
        one_event(device_fault={"hub": "depot", "device": "heater"}),
        "events[0].device_fault.device",
        ("one of secondary, pv, bess", "got 'heater'"),
    ),
    "a link outage without link": (
        one_event(link_outage={"hub": "depot", "device": "cp"}),
        "events[0].link_outage",
        ("a link section in hubs.depot",),
    ),
    "a line without network": (one_event(line_out={"line": 1}), "events[0].line_out", ("with a network", "got 1")),
    "events as a mapping": ({"events": {"at": "1min"}}, "events", ("must be a list", "got {'at': '1min'}")),
    # controllers
    "an unknown controller": (
        {"controller.type": "equal_shar"},
        "controller.type",
        ("must be one of ", "module:Class", "did you mean equal_share?", "got 'equal_shar'"),
    ),
    "an unknown parameter": ({"controller.bes": "idle"}, "controller.bes", ("is not a key", "did you mean bess?")),
    "a parameter out of range": (
        {"controller.bess": "sell"},
        "controller.bess",
        ("'self_consumption' or 'idle'", "got 'sell'"),
    ),
    "a controller that is a name": (
        {"controller": "equal_share"},
        "controller",
        ("must be a mapping", "got 'equal_share'"),
    ),
    "no controller": ({"controller": []}, "controller", ("exactly one for each of depot", "got '0 for hub depot'")),
    "two controllers for a hub": (
        {"controller": [{"type": "equal_share"}, {"type": "uncontrolled"}]},
        "controller",
        ("exactly one", "got '2 for hub depot'"),
    ),
    "a controller of an unknown hub": (
        {"controller.hubs": ["x"]},
        "controller.hubs",
        ("must be one of depot", "got 'x'"),
    ),
    "a controller of no hub": ({"controller.hubs": []}, "controller.hubs", ("at least 1", "got []")),
    # network
    "an unknown network": (
        {"network": NETWORK | {"net": "case33bww"}},
        "network.net",
        ("no network 'case33bww'", "close to it: case33bw"),
    ),
    "a network that is code": ({"network": NETWORK | {"net": "os.system"}}, "network.net", ("no network 'os.system'",)),
    "a bus that does not exist": (
        {"network": NETWORK | {"hub_bus": {"depot": 99}}},
        "network.hub_bus",
        ("'depot'", "no bus with index 99", "0 to 4"),
    ),
    "a bus of no such name": (
        {"network": NETWORK | {"hub_bus": {"depot": "feder 1"}}},
        "network.hub_bus",
        ("no bus named 'feder 1'", "feeder 1"),
    ),
    "a bus with a fraction": (
        {"network": NETWORK | {"hub_bus": {"depot": 1.5}}},
        "network.hub_bus.depot",
        ("bus index", "got 1.5"),
    ),
    "no buses": ({"network": {"type": "pandapower", "net": "lv_feeder"}}, "network.hub_bus", ("is required",)),
    "a hub without bus": (
        {"network": NETWORK | {"hub_bus": {}}},
        "network.hub_bus",
        ("a bus for each of depot", "no bus for depot"),
    ),
    "a bus of an unknown hub": (
        {"network": NETWORK | {"hub_bus": {"depot": 1, "x": 2}}},
        "network.hub_bus",
        ("one of depot", "got 'x'"),
    ),
    "a line that does not exist": (
        {"network": NETWORK, **one_event(line_out={"line": 99})},
        "events[0].line_out.line",
        ("0 to 2", "got 99"),
    ),
    "no load to replace": (
        {"network": NETWORK | {"hub_bus": {"depot": 0}, "replaces_load": True}},
        "network.hub_bus",
        ("bus 0 has no load",),
    ),
    "a negative scale of loads": (
        {"network": NETWORK | {"load_scale": {"type": "constant", "value": -1}}},
        "network.load_scale",
        (">= 0", "got -1"),
    ),
    # forecasts
    "an unknown forecast": (
        {"depot.forecasts": {"pv": {"type": "oracle"}}},
        "hubs.depot.forecasts.pv.type",
        ("'perfect', 'persistence', 'noisy', 'csv'", "got 'oracle'"),
    ),
    "a forecast of something else": (
        {"depot.forecasts": {"wind": {"type": "perfect"}}},
        "hubs.depot.forecasts.wind",
        ("is not a key", "known: pv, load, prices, sessions"),
    ),
    "a forecast error of negative size": (
        {"depot.forecasts": {"load": {"type": "noisy", "std": -0.2}}},
        "hubs.depot.forecasts.load.std",
        ("must be >= 0", "got -0.2"),
    ),
    "a forecast error of negative length": (
        {"depot.forecasts": {"sessions": {"type": "noisy", "arrival_std": "-5min"}}},
        "hubs.depot.forecasts.sessions.arrival_std",
        ("a duration", "got '-5min'"),
    ),
    "a forecast without lead": (
        {"depot.forecasts": {"pv": {"type": "noisy", "std": 0.2, "lead": "0s"}}},
        "hubs.depot.forecasts.pv.lead",
        ("longer than 0s", "got '0s'"),
    ),
    "a lag of nothing": (
        {"depot.forecasts": {"prices": {"type": "persistence", "lag": "0s"}}},
        "hubs.depot.forecasts.prices.lag",
        ("at least 1s", "got '0s'"),
    ),
    "a forecast in a missing file": (
        {"depot.forecasts": {"pv": {"type": "csv", "file": "x.csv", "column": "w"}}},
        "hubs.depot.forecasts.pv.file",
        ("an existing file", "got 'x.csv'"),
    ),
    "an expected schedule in a missing file": (
        {"depot.forecasts": {"sessions": {"type": "csv", "file": "x.csv"}}},
        "hubs.depot.forecasts.sessions.file",
        ("an existing file", "got 'x.csv'"),
    ),
    "a forecast of no column": (
        {"depot.forecasts": {"pv": {"type": "csv", "file": "x.csv"}}},
        "hubs.depot.forecasts.pv.column",
        ("is required",),
    ),
    "a forecast of no load class": (
        {"depot.forecasts": {"load": {"type": "csv", "file": "x.csv", "columns": {}}}},
        "hubs.depot.forecasts.load.columns",
        ("at least 1", "got {}"),
    ),
    "a forecast of an unknown price": (
        {"depot.forecasts": {"prices": {"type": "csv", "file": "x.csv", "columns": {"bye": "w"}}}},
        "hubs.depot.forecasts.prices.columns.bye",
        ("'buy'", "got 'bye'"),
    ),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_wrong_value_is_told_under_its_key(tmp_path, case):
    changes, key, told = VALUES[case]
    assert_refused(tmp_path, run(tmp_path, changed(changes)), f"case.yaml: {key}", *told)


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    outcome = run(tmp_path, changed({"depot.pv.rated_kw": -1, "seed": -1, "depot.bess.soc": 2, "events": 5, "x": 1}))
    keys = {line.removeprefix(f"{tmp_path}/case.yaml: ").split(":")[0] for line in outcome.err.splitlines()}
    assert keys == {"hubs.depot.pv.rated_kw", "seed", "hubs.depot.bess.soc", "events", "x"}
    outcome = run(tmp_path, changed({"depot.load.demand.value": -1, "depot.pv.irradiance.points[0]": ["0s", -1]}))
    assert len(outcome.err.splitlines()) == 2


def leaves(data: Any, key: str = "") -> list[str]:
    """The keys of all values in a scenario."""
    if isinstance(data, dict):
        return [leaf for name, value in data.items() for leaf in leaves(value, f"{key}.{name}" if key else name)]
    if isinstance(data, list):
        return [leaf for n, value in enumerate(data) for leaf in leaves(value, f"{key}[{n}]")]
    return [key]


@pytest.mark.parametrize("wrong", [{"x": 1}, [[]], NAN, -1e300, True, "", "☃\n", "1" * 5000], ids=repr)
def test_a_value_of_the_wrong_kind_anywhere_is_told_under_its_own_key(tmp_path, wrong):
    anyone = ("title", "name", "id")  # text that may be anything
    for key in leaves(GOOD):
        try:
            parse(changed({key: wrong}), tmp_path / "case.yaml")
        except InputError as error:
            text = str(error)
            assert not JARGON.search(text), text
            assert all(len(line) < 400 for line in text.splitlines())
            assert any(key.startswith(problem.key.removesuffix(".type")) for problem in error.problems), (key, text)
        else:
            assert isinstance(wrong, str) and (key.endswith(anyone) or key == "controller.type"), (key, wrong)


# --- the file itself --------------------------------------------------------------------------------------------------

TEXT = yaml.safe_dump(GOOD, sort_keys=False)
LAST = f"line {len(TEXT.splitlines()) + 1}"
UNTIL = f"line {TEXT[: TEXT.index('25min')].count(chr(10)) + 1}"
FILES: dict[str, tuple[str | bytes, str, tuple[str, ...]]] = {
    "an empty file": ("", "file", ("must be a mapping", "got null")),
    "a list": ("- a\n", "file", ("must be a mapping", "got ['a']")),
    "two documents": (TEXT + "---\n" + TEXT, LAST, ("valid YAML", "another document")),
    "a tab": ("name:\n\tx: 1\n", "line 2", ("valid YAML", "cannot start any token")),
    "another encoding": (TEXT.encode() + b"title: \xf6\n", "file", ("UTF-8", "0xf6")),
    "a picture": (bytes(range(256)), "file", ("UTF-8",)),
    "a key twice": (TEXT + "name: b\n", f"{LAST}: name", ("must stand once", "line 1 has it already")),
    "12:30": (
        TEXT.replace("25min", "12:30"),
        f"{UNTIL}: hubs.depot.sessions.items[0].until",
        ("base 60", "got '12:30'"),
    ),
    "off": (TEXT + "title: off\n", f"{LAST}: title", ("true or false", '"off" in quotes')),
    "010": (TEXT.replace("seed: 1", "seed: 010"), "line 6: seed", ("base 8", "got '010'")),
    ".nan": (
        TEXT.replace("contracted_kw: 50", "contracted_kw: .nan"),
        "hubs.depot.grid.contracted_kw",
        ("finite", "got nan"),
    ),
    ".inf": (
        TEXT.replace("contracted_kw: 50", "contracted_kw: -.inf"),
        "hubs.depot.grid.contracted_kw",
        ("finite", "got -inf"),
    ),
    "a value left out": (
        TEXT.replace("contracted_kw: 50", "contracted_kw:"),
        "hubs.depot.grid.contracted_kw",
        ("number", "got null"),
    ),
    "code": (TEXT + "title: !!python/object/apply:os.getcwd []\n", f"{LAST}: title", ("without a tag", "os.getcwd")),
    "half a character": (TEXT + 'title: "\\ud800"\n', f"{LAST}: title", ("control characters", "ud800")),
}


@pytest.mark.parametrize("case", FILES)
def test_a_wrong_file_is_told_with_its_line(tmp_path, case):
    content, place, told = FILES[case]
    assert content != TEXT
    write(tmp_path, {"case.yaml": content})
    outcome = evhub("run", tmp_path / "case.yaml", "-o", tmp_path / "out.h5")
    assert_refused(tmp_path, outcome, f"case.yaml: {place}", *told)


@pytest.mark.parametrize("target", ["island-evenin", ".", "nothing.yaml", "a" * 5000, "\x01"])
def test_what_is_no_scenario_is_told_with_those_there_are(tmp_path, target, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = evhub("run", target)
    assert outcome.status == 2
    (line,) = outcome.err.splitlines()
    assert "must be a file or a shipped scenario" in line
    assert "island-evening" in line
    assert not list(tmp_path.iterdir())


# --- series in files --------------------------------------------------------------------------------------------------

STAMPS = "time,w\n2024-03-01T12:00:00{z},1\n2024-03-01T12:15:00{z},2\n2024-03-01T12:30:00{z},3\n"
SERIES: dict[str, tuple[str | bytes, str, tuple[str, ...]]] = {
    "an empty file": ("", "file", ("needs a header",)),
    "only a header": ("t_s,w\n", "file", ("needs a header and at least two lines",)),
    "no such column": ("t_s,x\n0,1\n900,2\n", "header", ("needs a column w", "there are t_s, x")),
    "no times": ("a,w\n0,1\n900,2\n", "header", ("needs a column time", "there are a, w")),
    "a column twice": ("t_s,w,w\n0,1,1\n900,2,2\n", "header", ("once", "got 'w'")),
    "NaN": ("t_s,w\n0,1\n900,nan\n1800,2\n", "line 3, w", ("must be a number", "got 'nan'")),
    "infinite": ("t_s,w\n0,1\n900,inf\n1800,2\n", "line 3, w", ("must be a number", "got 'inf'")),
    "an empty cell": ("t_s,w\n0,1\n900,\n1800,2\n", "line 3, w", ("must be a number", "got ''")),
    "text": ("t_s,w\n0,1\n900,n/a\n1800,2\n", "line 3, w", ("must be a number", "got 'n/a'")),
    "too large": ("t_s,w\n0,1\n900,1e300\n1800,2\n", "line 3, w", ("must be a number", "got '1e300'")),
    "an underscore": ("t_s,w\n0,1\n900,1_0\n1800,2\n", "line 3, w", ("must be a number", "got '1_0'")),
    "a thousands separator": ('t_s,w\n0,1\n900,"1,200"\n1800,2\n', "line 3, w", ("must be a number", "got '1,200'")),
    "a decimal comma": ("t_s,w\n0,1\n900,1,5\n1800,2\n", "line 3, cells", ("must have 2 cells", "got 3")),
    "semicolons": ("t_s;w\n0;1\n900;2\n", "header", ("needs a column w", "there are t_s;w")),
    "an open quote": ('t_s,w\n0,"1\n900,2\n', "file", ("comma-separated",)),
    "a quote over two lines": ('t_s,w\n0,"1\n900,2"\n1800,2\n', "file", ("one row on each line",)),
    "out of order": ("t_s,w\n0,1\n1800,2\n900,3\n", "line 4, t_s", ("later than the line before", "got '900'")),
    "a time twice": ("t_s,w\n0,1\n900,2\n900,3\n", "line 4, t_s", ("later than the line before", "got '900'")),
    "shorter than the run": ("t_s,w\n0,1\n60,2\n", "t_s", ("covers 0 s..120 s", "the run needs 0 s..1800 s")),
    "from later on": ("t_s,w\n60,1\n900,2\n1740,3\n", "t_s", ("covers 60 s", "the run needs 0 s")),
    "another day": (STAMPS.format(z="Z"), "time", ("covers 2024-03-01T09:00", "needs 2024-03-01T12:00")),
    "no time zone": (STAMPS.format(z=""), "line 2, time", ("UTC offset, or time_zone", "got '2024-03-01T12:00:00'")),
    "dates as people write them": (
        "time,w\n01.03.2024,1\n02.03.2024,2\n",
        "line 2, time",
        ("such as 2024", "got '01.03.2024'"),
    ),
    "another encoding": (b"t_s,w,gr\xf6\n0,1,1\n900,2,1\n", "file", ("UTF-8", "0xf6")),
    "UTF-16": ("t_s,w\n0,1\n900,2\n".encode("utf-16"), "file", ("UTF-8", "0xff")),
}


@pytest.mark.parametrize("case", SERIES)
def test_a_wrong_series_is_told_with_its_line(tmp_path, case):
    content, place, told = SERIES[case]
    data = changed({"depot.pv.irradiance": {"type": "csv", "file": "w.csv", "column": "w"}})
    assert_refused(tmp_path, run(tmp_path, data, {"w.csv": content}), f"w.csv: {place}", *told)


@pytest.mark.parametrize(
    ("stamps", "told"),
    [
        ("time,w\n2024-11-03T01:00:00,1\n2024-11-03T01:30:00,2\n", "shows this time twice"),
        ("time,w\n2024-03-10T02:30:00,1\n2024-03-10T03:30:00,2\n", "shows this time never"),
    ],
)
def test_times_that_the_change_of_the_clock_makes_unclear_are_refused(tmp_path, stamps, told):
    series = {"type": "csv", "file": "w.csv", "column": "w", "time_zone": "America/New_York"}
    outcome = run(tmp_path, changed({"depot.pv.irradiance": series}), {"w.csv": stamps})
    assert_refused(tmp_path, outcome, "w.csv: line 2, time", "UTC offset", f"New_York {told}")


def test_a_price_that_is_nan_and_a_negative_irradiance_are_told(tmp_path):
    series = {"type": "csv", "file": "w.csv", "column": "w"}
    outcome = run(tmp_path, changed({"depot.tariffs.buy": series}), {"w.csv": "t_s,w\n0,1\n900,NaN\n1800,1\n"})
    assert_refused(tmp_path, outcome, "w.csv: line 3, w", "must be a number", "got 'NaN'")
    outcome = run(tmp_path, changed({"depot.pv.irradiance": series}), {"w.csv": "t_s,w\n0,1\n900,-2\n"})
    assert_refused(tmp_path, outcome, "case.yaml: hubs.depot.pv.irradiance", ">= 0 at all times", "got -2")


def test_a_byte_order_mark_and_line_ends_of_windows_are_fine(tmp_path):
    series = {"type": "csv", "file": "w.csv", "column": "w"}
    text = "\ufefft_s,w\r\n0,1\r\n900,2\r\n"
    outcome = run(tmp_path, changed({"depot.pv.irradiance": series}), {"w.csv": text}, "--engine", "inprocess")
    assert outcome.status == 0, outcome.err


# --- sessions in files ------------------------------------------------------------------------------------------------

HEADER = "arrival,departure,energy_kwh\n"
WITH_CONNECTOR = "arrival,departure,energy_kwh,connector\n"
ITEM = {
    "connectionTime": "Fri, 01 Mar 2024 15:00:00 GMT",
    "disconnectTime": "Fri, 01 Mar 2024 15:20:00 GMT",
    "kWhDelivered": 5,
    "userInputs": None,
    "sessionID": "a",
}
CSV_SESSIONS: dict[str, tuple[str | bytes, str, tuple[str, ...]]] = {
    "an empty file": ("", "must hold sessions, and is empty", ()),
    "only a header": (HEADER, "must have at least one session", ()),
    "a missing column": ("arrival,departure\n0,900\n", "column energy_kwh", ("is missing", "has arrival, departure")),
    "an unknown column": (
        "arrival,departure,energy_kwh,colour\n0,900,1,red\n",
        "column colour",
        ("is not known", "known are arrival"),
    ),
    "a departure before the arrival": (
        HEADER + "900,0,1\n",
        "row 2, departure",
        ("after the arrival at 900", "got '0'"),
    ),
    "a departure at the arrival": (
        HEADER + "900,900,1\n",
        "row 2, departure",
        ("after the arrival at 900", "got '900'"),
    ),
    "a negative energy": (HEADER + "0,900,-1\n", "row 2, energy_kwh", (">= 0", "got '-1'")),
    "NaN": (HEADER + "0,900,nan\n", "row 2, energy_kwh", ("finite number", "got 'nan'")),
    "too large": (HEADER + "0,900,1e300\n", "row 2, energy_kwh", ("at most 1e+12", "got '1e300'")),
    "a decimal comma": (HEADER + '0,900,"1,5"\n', "row 2, energy_kwh", ("finite number", "got '1,5'")),
    "semicolons": (
        "arrival;departure;energy_kwh\n0;900;1\n",
        "column arrival",
        ("is missing", "has arrival;departure"),
    ),
    "out of order": (HEADER + "600,900,1\n0,900,1\n", "row 3, arrival", ("before that of row 2, 600", "got '0'")),
    "no time zone": (
        HEADER + "2024-03-01T12:00:00,2024-03-01T12:20:00,1\n",
        "column arrival",
        ("UTC offset", "time_zone", "got '2024"),
    ),
    "no time": (HEADER + "noon,900,1\n", "row 2, arrival", ("a time such as", "got 'noon'")),
    "overlapping sessions": (
        WITH_CONNECTOR + "0,900,1,1\n300,1200,1,1\n",
        "row 3, arrival",
        ("row 2 leaves connector 1 at 900", "got '300'"),
    ),
    "a connector that does not exist": (WITH_CONNECTOR + "0,900,1,3\n", "row 2, connector", ("at most 2", "got '3'")),
    "connectors from 0": (WITH_CONNECTOR + "0,900,1,0\n", "row 2, connector", ("whole number >= 1", "got '0'")),
    "a session twice": (
        "arrival,departure,energy_kwh,id\n0,900,1,a\n300,1200,1,a\n",
        "row 3, id",
        ("unique", "got 'a'"),
    ),
    "per cent": (
        "arrival,departure,energy_kwh,soc_arrival\n0,900,1,80\n",
        "row 2, soc_arrival",
        ("0 to 1", "got '80'"),
    ),
    "a row too short": (HEADER + "0,900\n", "row 2", ("must have 3 values", "got 2")),
    "another encoding": (HEADER.encode() + b"0,900,1\xf6\n", "must be a readable UTF-8 text file", ("0xf6",)),
    "half a gzip file": (b"\x1f\x8bgarbage", "must be a whole gzip file", ()),
    "JSON": ('{"_items": []}', "column arrival", ("is missing",)),
}
ACN_SESSIONS: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "half of it": ('{"_items": [', "must be JSON", ("line 1",)),
    "another shape": ({"items": [ITEM]}, "_items", ("must be a list with at least one session",)),
    "a mapping for the list": ({"_items": {"a": ITEM}}, "_items", ("must be a list",)),
    "no sessions": ({"_items": []}, "_items", ("at least one session",)),
    "sessions that are numbers": ([1, 2], "_items[0]", ("must be an object", "got 1")),
    "a missing key": ([{"connectionTime": ITEM["connectionTime"]}], "_items[0], disconnectTime", ("not be empty",)),
    "NaN": ([ITEM | {"kWhDelivered": NAN}], "_items[0], kWhDelivered", ("finite number", "got nan")),
    "a number as text": ([ITEM | {"kWhDelivered": "5"}], "_items[0], kWhDelivered", ("finite number", "got '5'")),
    "no time": (
        [ITEM | {"connectionTime": "yesterday"}],
        "_items[0], connectionTime",
        ("a time such as", "got 'yesterday'"),
    ),
    "inputs that are text": ([ITEM | {"userInputs": "x"}], "_items[0], userInputs", ("null or a list", "got 'x'")),
    "a name that is a number": ([ITEM | {"sessionID": 5}], "_items[0], sessionID", ("must be text", "got 5")),
    "brackets without end": ("[" * 100_000, "must be JSON", ("recursion",)),
}


@pytest.mark.parametrize("case", CSV_SESSIONS)
def test_a_wrong_session_file_is_told_with_its_row(tmp_path, case):
    content, place, told = CSV_SESSIONS[case]
    outcome = run(tmp_path, changed({"depot.sessions": {"type": "csv", "file": "s.csv"}}), {"s.csv": content})
    if told:
        assert_refused(tmp_path, outcome, f"s.csv: {place}", *told)
    else:
        assert outcome.status == 2
        assert f"s.csv: {place}" in outcome.err


@pytest.mark.parametrize("case", ACN_SESSIONS)
def test_a_wrong_answer_of_the_acn_api_is_told_with_its_item(tmp_path, case):
    content, place, told = ACN_SESSIONS[case]
    files = {"s.json": content if isinstance(content, str) else json.dumps(content)}
    outcome = run(tmp_path, changed({"depot.sessions": {"type": "acn", "file": "s.json"}}), files)
    assert_refused(tmp_path, outcome, f"s.json: {place}", *told)


# --- other files ------------------------------------------------------------------------------------------------------

FLAT = "weekday: [[0, 0.1]], weekend: [[0, 0.1]]"
YEAR = "months: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]"
TARIFFS = {
    "another key": ("seasons: []\nprices: 5\n", "prices", "is not a key that is known here"),
    "no seasons": ("seasons: []\n", "", "every month must belong to exactly one season"),
    "seasons that are a number": ("seasons: 5\n", "seasons", "must be a list, got 5"),
    "a price that is NaN": (
        f"seasons: [{{{YEAR}, {FLAT.replace('0.1', '.nan', 1)}}}]\n",
        "seasons[0].weekday[0][1]",
        "finite number",
    ),
    "an hour twice": (
        f"seasons: [{{{YEAR}, {FLAT.replace('[[0, 0.1]]', '[[0, 1], [0, 2]]', 1)}}}]\n",
        "",
        "seasons[0]: weekday must have hours that rise",
    ),
    "a month twice": (f"seasons: [{{{YEAR}, {FLAT}}}, {{months: [1], {FLAT}}}]\n", "", "exactly one season"),
    "month 13": (f"seasons: [{{months: [13], {FLAT}}}]\n", "", "seasons[0]: months must be 1..12"),
    "a day that does not exist": (
        f"seasons: [{{{YEAR}, {FLAT}}}]\nholidays: [2024-02-30]\n",
        "",
        "holidays must be dates",
    ),
}


@pytest.mark.parametrize("case", TARIFFS)
def test_a_wrong_tariff_file_is_told(tmp_path, case):
    content, key, told = TARIFFS[case]
    data = changed({"depot.tariffs.buy": {"type": "tou", "tariff": "t.yaml"}})
    outcome = run(tmp_path, data, {"t.yaml": content})
    assert_refused(tmp_path, outcome, "t.yaml" + (f": {key}" if key else ""), told)


NETWORKS = {
    "no JSON": ("hello", "is not a pandapower network"),
    "an empty file": ("", "is not a pandapower network"),
    "other JSON": ('{"a": 1}', "is not a pandapower network as pandapower.to_json writes it"),
    "a list": ("[1, 2]", "is not a pandapower network"),
    "code": ('{"_module": "os", "_class": "system", "_object": "touch hacked"}', "is not a pandapower network"),
    "a picture": (b"\xff\xfe\x00", "is not a pandapower network"),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_a_wrong_network_file_is_told(tmp_path, case, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, told = NETWORKS[case]
    outcome = run(tmp_path, changed({"network": NETWORK | {"net": "n.json"}}), {"n.json": content})
    assert_refused(tmp_path, outcome, "case.yaml: network.net", "n.json", told)
    assert not (tmp_path / "hacked").exists()


def _damaged_network(damage) -> str | bytes:
    net = lv_feeder()
    damage(net)
    return pp.to_json(net)


DAMAGES = {
    "a line to no bus": (lambda net: net.line.__setitem__("to_bus", 99), "line 0 has the to_bus 99"),
    "no buses": (lambda net: net.bus.drop(net.bus.index, inplace=True), "which is no bus of it"),
    "no voltages": (lambda net: net.bus.drop(columns="vn_kv", inplace=True), "the table bus has no vn_kv"),
    "no resistance": (lambda net: net.line.__setitem__("r_ohm_per_km", np.nan), "line 0 must have a number as r_ohm"),
    "a text": (lambda net: net.load.__setitem__("p_mw", "much"), "load 0 must have a number as p_mw, got much"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_network_file_is_told(tmp_path, case):
    damage, told = DAMAGES[case]
    outcome = run(tmp_path, changed({"network": NETWORK | {"net": "n.json"}}), {"n.json": _damaged_network(damage)})
    assert_refused(tmp_path, outcome, "case.yaml: network.net", "n.json", told)


@pytest.mark.parametrize("text", ["hello\nworld\n", "LOCATION,a,b\n1\n", '{"inputs": {}}'])
def test_a_wrong_weather_file_is_told(tmp_path, text):
    data = changed({"depot.pv.irradiance": {"type": "tmy", "file": "w.epw", "latitude": 1, "longitude": 0}})
    write(tmp_path, {"case.yaml": yaml.safe_dump(data), "w.epw": text})
    outcome = evhub("run", tmp_path / "case.yaml", "-o", tmp_path / "out.h5")
    assert outcome.status == 2
    assert outcome.err.splitlines()[-1].startswith(f"{tmp_path}/w.epw: file: must be ")
    assert not (tmp_path / "out.h5").exists()


def test_a_wrong_arrival_profile_is_told(tmp_path):
    data = changed({"depot.sessions": {"type": "stochastic", "profile": "a.yaml"}})
    outcome = run(tmp_path, data, {"a.yaml": "name: a\nsource: x\nvehicles: [{weight: 2}]\nstay_h: []\n"})
    assert_refused(tmp_path, outcome, "a.yaml: vehicles[0].weight", "must be <= 1", "got 2")
    assert_refused(tmp_path, outcome, "a.yaml: arrivals_per_h", "is required")


PLACES = {
    "hubs.depot.pv.irradiance.file": {"depot.pv.irradiance": {"type": "csv", "file": ..., "column": "w"}},
    "hubs.depot.sessions.file": {"depot.sessions": {"type": "csv", "file": ...}},
    "hubs.depot.sessions.profile": {"depot.sessions": {"type": "stochastic", "profile": ...}},
    "hubs.depot.tariffs.buy.tariff": {"depot.tariffs.buy": {"type": "tou", "tariff": ...}},
    "network.net": {"network": {**NETWORK, "net": ...}},
}


OUT, NOT_THERE = "must stay inside the scenario's folder", "must be an existing file; looked for "
SESSION_FILE = "hubs.depot.sessions.file"


@pytest.mark.parametrize(
    ("key", "way", "told"),
    [
        *((key, "../there", OUT) for key in PLACES),
        *((key, "nothing", NOT_THERE) for key in PLACES),
        (SESSION_FILE, "x/../../there", OUT),
        (SESSION_FILE, "folder", NOT_THERE),
        (SESSION_FILE, "/nothing", f"{NOT_THERE}/nothing"),
        (SESSION_FILE, "a" * 300, "must be the path of a file (File name too long)"),
    ],
)
def test_a_path_must_name_a_file_in_the_folder_of_the_scenario(tmp_path, key, way, told):
    ending = {"network.net": ".json", "hubs.depot.sessions.profile": ".yaml", "hubs.depot.tariffs.buy.tariff": ".yaml"}
    name = way + ending.get(key, ".csv")
    ((place, section),) = PLACES[key].items()
    study = tmp_path / "study"
    write(tmp_path, {f"there{ending.get(key, '.csv')}": "x", f"study/folder{ending.get(key, '.csv')}/x": ""})
    section = {field: name if value is ... else value for field, value in section.items()}
    outcome = run(study, changed({place: section}))
    assert_refused(study, outcome, f"case.yaml: {key}", told, f"got '{name[:20]}")


def test_a_link_that_someone_put_into_the_folder_is_followed(tmp_path):
    write(tmp_path, {"there.csv": HEADER, "study/x": ""})
    (tmp_path / "study" / "s.csv").symlink_to(tmp_path / "there.csv")
    outcome = run(tmp_path / "study", changed({"depot.sessions": {"type": "csv", "file": "s.csv"}}))
    assert_refused(tmp_path / "study", outcome, "s.csv", "must have at least one session")


# --- controllers of one's own -----------------------------------------------------------------------------------------

IMPORTS = "import numpy as np\nfrom evhub.controllers import contract as base\n"
PARAMETERS = """class Mine(base.Controller):
    class Parameters(base.Parameters):
        reserve_kw: float
        names: list[str] = []
    def decide(self, observation): ...
"""
CONTROLLERS: dict[str, tuple[str, dict[str, Any], str, tuple[str, ...]]] = {
    "broken syntax": ("def (:", {}, "controller.type", ("must be importable", "SyntaxError", "line 1")),
    "a missing module": ("import not_there", {}, "controller.type", ("No module named 'not_there'",)),
    "an error on import": ("raise RuntimeError('boom')", {}, "controller.type", ("RuntimeError: boom",)),
    "an exit on import": ("import sys; sys.exit(0)", {}, "controller.type", ("must be importable", "SystemExit: 0")),
    "a misspelt name inside": (IMPORTS + "base.Controler", {}, "controller.type", ("has no attribute 'Controler'",)),
    "no such class": (IMPORTS, {}, "controller.type", ("must name a class of", "it has no 'Mine'")),
    "another class": (
        "class Mine: pass",
        {},
        "controller.type",
        ("must be a subclass of evhub.controllers.contract.Controller",),
    ),
    "a function": ("def Mine(*a): pass", {}, "controller.type", ("must be a subclass of",)),
    "no decision": (IMPORTS + "class Mine(base.Controller): pass", {}, "controller.type", ("must implement decide",)),
    "wrong Parameters": (
        IMPORTS + "class Mine(base.Controller):\n Parameters = dict\n def decide(self, o): ...",
        {},
        "controller.type",
        ("Parameters that are a subclass of evhub.controllers.contract.Parameters",),
    ),
    "a wrong __init__": (
        IMPORTS
        + "class Mine(base.Controller):\n def __init__(self, x): raise LookupError('no')\n def decide(self, o): ...",
        {},
        "controller",
        ("cannot be made",),
    ),
    "a missing parameter": (IMPORTS + PARAMETERS, {}, "controller.reserve_kw", ("is required",)),
    "a parameter of the wrong type": (
        IMPORTS + PARAMETERS,
        {"reserve_kw": "much", "names": 5},
        "controller.reserve_kw",
        ("must be a valid number", "got 'much'"),
    ),
    "an unknown parameter": (
        IMPORTS + PARAMETERS,
        {"reserve_kw": 1, "reserv_kw": 2},
        "controller.reserv_kw",
        ("is not a key", "did you mean reserve_kw?"),
    ),
}


@pytest.mark.parametrize("case", CONTROLLERS)
def test_a_controller_that_cannot_be_used_is_told(tmp_path, case):
    code, parameters, key, told = CONTROLLERS[case]
    data = changed({"controller": {"type": "mine:Mine", "period": "1min", **parameters}})
    outcome = run(tmp_path, data, {"mine.py": code})
    assert outcome.status == 2
    lines = [line.removeprefix(f"{tmp_path}/case.yaml: ") for line in outcome.err.splitlines()]
    assert any(line.startswith(f"{key}: ") and all(text in line for text in told) for line in lines), outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("name", ["nothing:Mine", "a.b.c:Mine", ":Mine", "json:", "json:loads"])
def test_a_controller_that_is_not_there_is_told(tmp_path, name):
    outcome = run(tmp_path, changed({"controller.type": name}))
    assert_refused(tmp_path, outcome, "case.yaml: controller.type", "must ", f"got '{name}'")


def test_studies_with_modules_of_the_same_name_are_not_mixed_up(tmp_path):
    for study in ("a", "b"):
        code = f"{IMPORTS}import parts\nclass Mine(base.Controller):\n word = parts.WORD\n def decide(self, o): ...\n"
        write(tmp_path, {f"{study}/mine.py": code, f"{study}/parts.py": f"WORD = {study!r}\n"})
    for study in ("a", "b", "a"):
        assert controller_class("mine:Mine", tmp_path / study, "", "").word == study  # type: ignore[attr-defined]


def test_a_module_of_a_former_study_that_comes_back_does_not_stand_in_for_another(tmp_path):
    code = f"{IMPORTS}class Mine(base.Controller):\n def decide(self, o): ...\n"
    write(tmp_path, {f"{study}/mine.py": f"{code} word = {study!r}\n" for study in ("a", "b")})
    controller_class("mine:Mine", tmp_path / "a", "", "")
    kept = sys.modules["mine"]  # as test runners keep and restore what is imported
    controller_class("mine:Mine", tmp_path / "b", "", "")
    sys.modules["mine"] = kept
    assert controller_class("mine:Mine", tmp_path / "b", "", "").word == "b"  # type: ignore[attr-defined]


ANSWERS = {
    "nothing": ("None", "must answer with a Decision"),
    "no Decision": ("[1, 2]", "must answer with a Decision"),
    "another hub": ("base.Decision({'x': base.Setpoints(np.zeros(2))})", "Setpoints for every hub"),
    "no Setpoints": ("base.Decision({'depot': None})", "Setpoints for every hub"),
    "NaN": (
        "base.Decision({'depot': base.Setpoints(np.array([np.nan, 1]))})",
        "connector_kw must be a number, got [nan",
    ),
    "a wrong shape": (
        "base.Decision({'depot': base.Setpoints(np.zeros(3))})",
        "connector_kw must have the shape (2,), got (3,)",
    ),
    "text": ("base.Decision({'depot': base.Setpoints(['a', 'b'])})", "connector_kw must be an array of numbers"),
    "complex": (
        "base.Decision({'depot': base.Setpoints(np.zeros(2) + 1j)})",
        "connector_kw must be an array of numbers",
    ),
    "NaN for the battery": (
        "base.Decision({'depot': base.Setpoints(np.zeros(2), bess_kw=np.nan)})",
        "bess_kw must be a number, got nan",
    ),
    "text for the battery": (
        "base.Decision({'depot': base.Setpoints(np.zeros(2), bess_kw='x')})",
        "bess_kw must be a number, got 'x'",
    ),
    "limits of three loads": (
        "base.Decision({'depot': base.Setpoints(np.zeros(2), load_limit_kw=(1, 2, 3))})",
        "4 elements",
    ),
    "events that are none": (
        "base.Decision({'depot': base.Setpoints(np.zeros(2))}, events=[5])",
        "events must be ",
    ),
    "an error": ("1 / 0", "ZeroDivisionError: division by zero"),
    "an exit": ("exit(0)", "SystemExit: 0"),
}


@pytest.mark.parametrize(
    ("case", "engine"), [("an error", "mosaik"), ("no Decision", "mosaik"), *((case, "inprocess") for case in ANSWERS)]
)
def test_a_run_whose_controller_fails_says_who_where_and_when_and_keeps_what_was_simulated(tmp_path, case, engine):
    answer, told = ANSWERS[case]
    code = f"""{IMPORTS}
class Mine(base.Controller):
    def decide(self, observation):
        if observation.t_s < 300:
            return base.Decision({{'depot': base.Setpoints(np.zeros(2))}})
        return {answer}
"""
    data = changed({"controller": {"type": "mine:Mine", "period": "5min"}, "events": [], "depot.sessions.items": []})
    outcome = run(tmp_path, data, {"mine.py": code}, "--engine", engine)
    assert outcome.status == 1
    assert outcome.out == ""
    first, hint = outcome.err.splitlines()
    assert first.startswith("ControllerError: controller mine:Mine, hub depot, at 300 s: ")
    assert told in first
    assert hint == "evhub --debug ... shows where"
    with pytest.warns(UserWarning, match="failed"), open_results(tmp_path / "out.h5") as results:
        assert results.status == "failed"


# --- the command line and the target ----------------------------------------------------------------------------------


@pytest.fixture
def case_file(tmp_path) -> Path:
    write(tmp_path, {"case.yaml": TEXT, "old.h5": "precious", "folder/x": ""})
    return tmp_path / "case.yaml"


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("old.h5", "must not exist yet; --force replaces it"),
        ("folder", "must be a file, not a folder"),
        ("case.yaml", "must be another file than the input"),
        ("old.h5/out.h5", "must be in a folder that can be written"),
        ("old.h5/a/b/out.h5", "must be in a folder that can be written"),
        ("/proc/nothing/out.h5", "output: "),
        ("a" * 300 + ".h5", "must be the path of a file (File name too long)"),
    ],
)
def test_a_target_that_cannot_be_written_is_told_before_anything_is_computed(case_file, target, told):
    before = sorted(case_file.parent.rglob("*"))
    outcome = evhub("run", case_file, "-o", case_file.parent / target, "--quiet")
    assert outcome.status == 2
    (line,) = outcome.err.splitlines()
    assert line.startswith("output: ")
    assert told in line
    assert target[:20] in line
    assert sorted(case_file.parent.rglob("*")) == before
    assert (case_file.parent / "old.h5").read_text() == "precious"


@pytest.mark.parametrize("target", ["folder", "case.yaml", "old.h5/out.h5"])
def test_force_does_not_help_where_a_result_cannot_be(case_file, target):
    assert evhub("run", case_file, "-o", case_file.parent / target, "--force", "--quiet").status == 2
    assert case_file.read_text() == TEXT


def test_force_keeps_the_old_result_when_the_scenario_is_wrong(tmp_path):
    write(tmp_path, {"out.h5": "precious"})
    assert run(tmp_path, changed({"depot.load.demand.value": -5}), None, "--force").status == 2
    assert (tmp_path / "out.h5").read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--seed", "-1"], "--seed: must be 0 to 9223372036854775807, got -1"),
        (["--seed", str(10**30)], "--seed: must be 0 to 9223372036854775807, got 1000"),
        (["--controller", "foo"], "--controller: must be one of "),
        (["--controller", "nothing:Mine"], "--controller: must be importable"),
        (["--engine", "steam"], "engine: must be mosaik or inprocess, got 'steam'"),
        (["--seed", "x"], "Invalid value for '--seed'"),
        (["--sed", "1"], "No such option: --sed"),
        (["more"], "Got unexpected extra argument"),
    ],
)
def test_a_wrong_option_is_one_line(case_file, arguments, told):
    outcome = evhub("run", case_file, "-o", case_file.parent / "out.h5", "--quiet", *arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith(told)
    assert not (case_file.parent / "out.h5").exists()


def test_messages_name_the_scenario_as_it_was_called(tmp_path, monkeypatch):
    write(tmp_path, {"case.yaml": yaml.safe_dump(changed({"seed": -1}))})
    monkeypatch.chdir(tmp_path)
    assert evhub("run", "case.yaml").err == "case.yaml: seed: must be >= 0, got -1\n"
    with pytest.raises(InputError, match=r"^case\.yaml: seed: must be >= 0, got -1$"):
        load_scenario("case.yaml")


# --- what is expected of a run ----------------------------------------------------------------------------------------

CP = "depot/cp/p_kw"
ORDERED = [{"kind": "outage"}, {"kind": "islanded"}]
EXPECTATIONS: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "an unknown signal": (
        {"signal": "depot.cp.p_kww", "max": 1},
        "[0].signal",
        ("one of depot/cp/ ", "connector_p_kw", "did you mean depot/cp/p_kw?", "got 'depot/cp/p_kww'"),
    ),
    "a signal of an unknown device": (
        {"signal": "depot/wind/p_kw", "max": 1},
        "[0].signal",
        ("a signal of what depot has: ", "bess", "got 'depot/wind/p_kw'"),
    ),
    "a signal of an unknown hub": (
        {"signal": "depo/cp/p_kw", "max": 1},
        "[0].signal",
        ("must be a signal of depot", "got 'depo/cp/p_kw'"),
    ),
    "a signal of no network": ({"signal": "network/grid/losses_kw", "max": 1}, "[0].signal", ("a signal of depot",)),
    "half a signal": ({"signal": "p_kw", "max": 1}, "[0].signal", ("must be hub/device/attribute", "got 'p_kw'")),
    "an element too many": (
        {"signal": "depot/cp/connector_p_kw", "element": 3, "max": 1},
        "[0].element",
        ("one of the 2 elements of depot/cp/connector_p_kw", "got 3"),
    ),
    "an element from 0": ({"signal": CP, "element": 0, "max": 1}, "[0].element", ("must be >= 1", "got 0")),
    "an element of one value": ({"signal": CP, "element": 1, "max": 1}, "[0].element", ("depot/cp/p_kw is one value",)),
    "an order of one value": ({"signal": CP, "order": [2, 1]}, "[0].order", ("is one value", "got 2")),
    "an order of unknown elements": (
        {"signal": "depot/cp/connector_p_kw", "order": [1, 5]},
        "[0].order",
        ("one of the 2 elements", "got 5"),
    ),
    "an order with one element twice": (
        {"signal": "depot/cp/connector_p_kw", "order": [1, 1]},
        "[0].order",
        ("every element once", "got [1, 1]"),
    ),
    "a word for a number": ({"signal": CP, "equals": "grid"}, "[0].equals", ("must be a number", "got 'grid'")),
    "a word that is no code": (
        {"signal": "depot/ats/bus", "equals": "gird"},
        "[0].equals",
        ("must be one of dead, grid, secondary", "got 'gird'"),
    ),
    "a window outside the run": (
        {"signal": CP, "during": ["10min", "40min"], "max": 1},
        "[0].during",
        ("inside the run of 1800s", "got '[600s, 2400s]'"),
    ),
    "an instant outside the run": ({"signal": CP, "at": "31min", "max": 1}, "[0].at", ("run of 1800s", "got '1860s'")),
    "an event outside the run": (
        {"event": {"kind": "outage", "at": "31min"}},
        "[0].event.at",
        ("a time in the run of 1800s", "got '1860s'"),
    ),
    "a late event in an order": (
        {"events_in_order": [*ORDERED, {"kind": "x", "during": ["1min", "2h"]}]},
        "[0].events_in_order[2].during",
        ("inside the run of 1800s",),
    ),
    "a reversed window": (
        {"signal": CP, "during": ["10min", "5min"], "max": 1},
        "[0].during",
        ("until after from", "got [600s, 300s]"),
    ),
    "a window without length": ({"signal": CP, "at": ["5min", "5min"], "max": 1}, "[0].at", ("until after from",)),
    "two windows": ({"signal": CP, "at": "1min", "during": ["1min", "2min"], "max": 1}, "[0]", ("got both",)),
    "a number for a time": ({"signal": CP, "at": 60, "max": 1}, "[0].at", ("with its unit, such as 60s", "got 60")),
    "an unknown key figure": (
        {"kpi": "deliverd_kwh", "min": 1},
        "[0].kpi",
        ("did you mean delivered_kwh", "got 'deliverd_kwh'"),
    ),
    "a key figure of an unknown hub": ({"kpi": "served", "hub": "x", "min": 1}, "[0].hub", ("one of depot", "got 'x'")),
    "two kinds at once": (
        {"signal": CP, "kpi": "served", "max": 1},
        "[0]",
        ("exactly one of signal, kpi, event", "got signal, kpi"),
    ),
    "no kind": ({"max": 1}, "[0]", ("exactly one of signal, kpi", "got none")),
    "an unknown key": ({"signal": CP, "maximum": 1}, "[0].maximum", ("is not a key", "did you mean max?")),
    "min above max": ({"signal": CP, "min": 2, "max": 1}, "[0]", ("min must be at most max 1", "got 2")),
    "nothing to check": ({"signal": CP}, "[0]", ("signal needs one of min and max, equals, order", "got none")),
    "two checks": ({"signal": CP, "max": 1, "trend": "rises"}, "[0]", ("needs one of", "got max, trend")),
    "equal and bounded": ({"kpi": "served", "max": 1, "equals": 1}, "[0]", ("needs one of", "got max, equals")),
    "a trend at an instant": ({"signal": CP, "at": "1min", "trend": "rises"}, "[0]", ("trend needs a window",)),
    "an unknown trend": ({"signal": CP, "trend": "grows"}, "[0].trend", ("'rises'", "got 'grows'")),
    "a change in a window": (
        {"signal": CP, "changes_at": "1min", "during": ["1min", "2min"]},
        "[0]",
        ("changes_at is its own window",),
    ),
    "a key of another kind": (
        {"no_alarm": True, "max": 1},
        "[0]",
        ("no_alarm takes during, got max",),
    ),
    "alarms that are allowed": ({"no_alarm": False}, "[0].no_alarm", ("must be true", "got false")),
    "any event": ({"no_event": {}}, "[0].no_event", ("at least one of source, kind, text", "got none")),
    "an order of one event": ({"events_in_order": ORDERED[:1]}, "[0].events_in_order", ("at least 2",)),
    "an unknown law": ({"invariants": ["gravity"]}, "[0].invariants[0]", ("'balance'", "got 'gravity'")),
    "a golden file elsewhere": ({"golden": "../g.yaml"}, "[0].golden", ("in the scenario's folder", "got '../g.yaml'")),
    "a golden file of another kind": ({"golden": "g.h5"}, "[0].golden", (".yaml or .json file", "got 'g.h5'")),
}


@pytest.mark.parametrize("case", EXPECTATIONS)
def test_what_cannot_be_expected_is_told_under_its_key(tmp_path, case):
    item, key, told = EXPECTATIONS[case]
    data = changed({"expect": [item]})
    write(tmp_path, {"case.yaml": yaml.safe_dump(data, sort_keys=False)})
    assert_refused(tmp_path, evhub("check", tmp_path / "case.yaml"), f"case.yaml: expect{key}", *told)


def golden(**changes: Any) -> str:
    times = [f"{n}min" if n else "0s" for n in range(0, 30, 15)]
    content = {
        "golden": 1,
        "scenario": "good",
        "controller": "equal_share",
        "seed": 1,
        "kpis": {"total": {"served": 2.0}},
        "every": "15min",
        "signals": {"depot/cp/p_kw": dict.fromkeys(times, 1.0)},
        "tolerance": {"relative": 0.01, "absolute": 0.01},
    }
    return yaml.safe_dump(content | changes, sort_keys=False)


GOLDEN: dict[str, tuple[str | bytes, str, tuple[str, ...]]] = {
    "an empty one": ("", "file", ("must be a mapping", "got null")),
    "another file": (TEXT, "golden", ("must be a file that evhub check --update has written",)),
    "bytes": (bytes(range(256)), "file", ("UTF-8",)),
    "of another scenario": (golden(scenario="other"), "scenario", ("must be good", "got 'other'")),
    "of another layout": (golden(golden=2), "golden", ("must be one of 1", "got 2")),
    "cut within a line": (golden()[: golden().index("15min: 1.0") + 4], "line 12", ("valid YAML",)),
    "cut after a line": (golden()[: golden().index("tolerance")], "tolerance", ("is required",)),
    "with an interval missing": (
        golden(signals={"depot/cp/p_kw": {"0s": 1.0}}),
        "signals.depot/cp/p_kw",
        ("must hold the 2 means of a run of 30min, every 15min", "got 1"),
    ),
    "with text for a number": (
        golden(kpis={"total": {"served": "two"}}),
        "kpis.total.served",
        ("must be a valid number", "got 'two'"),
    ),
    "with a negative tolerance": (
        golden(tolerance={"relative": -1, "absolute": 0}),
        "tolerance.relative",
        ("must be >= 0", "got -1"),
    ),
}


# an update fits the intervals to the run
@pytest.mark.parametrize(
    ("case", "more"),
    [
        *((case, ()) for case in GOLDEN),
        *((case, ("--update",)) for case in GOLDEN if case != "with an interval missing"),
    ],
)
def test_a_golden_file_that_is_damaged_or_none_is_told_and_kept(tmp_path, case, more):
    content, place, told = GOLDEN[case]
    data = changed({"expect": [{"golden": "g.yaml"}]})
    write(tmp_path, {"case.yaml": yaml.safe_dump(data, sort_keys=False), "g.yaml": content})
    before = (tmp_path / "g.yaml").read_bytes()
    assert_refused(tmp_path, evhub("check", tmp_path / "case.yaml", *more), f"g.yaml: {place}", *told)
    assert (tmp_path / "g.yaml").read_bytes() == before


def test_a_scenario_is_not_its_own_golden_file(tmp_path):
    write(tmp_path, {"case.yaml": yaml.safe_dump(changed({"expect": [{"golden": "case.yaml"}]}))})
    before = (tmp_path / "case.yaml").read_text()
    outcome = evhub("check", tmp_path / "case.yaml", "--update")
    assert_refused(tmp_path, outcome, "case.yaml: golden", "that evhub check --update has written")
    assert (tmp_path / "case.yaml").read_text() == before
