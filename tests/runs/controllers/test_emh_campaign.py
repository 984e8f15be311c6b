"""Faults in the plant under `emh`: every alarm, connected and islanded, alone and two at once; and at random."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from evhub.controllers.emh.emh_controller import Emh

from ...helpers.emh_faults import (
    ALONE,
    CAUSES,
    EPS_KW,
    OTHERS,
    PAIRS,
    Run,
    event,
    hub,
    laws,
    random_scenarios,
    scenario,
)
from ...helpers.sizes import examples

FAULT_S = (150, 210)
"""When the faults come and go."""


def faults(causes: list[dict], islanded: bool, folder: Path) -> Run:
    """A hub with faults; islanded, the grid is lost after 20 s."""
    events = [event(*FAULT_S, cause) for cause in causes]
    if islanded:
        events.append(event(20, None, {"outage": {}}))
    return Run(scenario(hub(), events, ramp={"every_s": 8}), folder)


def check(run: Run) -> None:
    """Every law holds."""
    failed = {law.name: np.flatnonzero(law.fails).tolist()[:5] for law in laws(run) if law.fails.any()}
    assert not failed, (failed, run.data)


def cases(groups: dict) -> list:
    """Each group of faults on the grid and, where it is about something that runs there, in an island."""
    return [
        pytest.param(numbers, causes, islanded, id=f"{name}, {'islanded' if islanded else 'connected'}")
        for islanded in (False, True)
        for name, (numbers, causes) in groups.items()
        if not (islanded and 5 in numbers)
    ]


def actions_are_taken(run: Run, numbers: tuple[int, ...], islanded: bool) -> None:
    """Table 3, once messages have come through."""
    t = np.arange(len(run.frame))
    window = (t >= FAULT_S[0] + 20) & (t < FAULT_S[1])
    raised = {number for number in range(1, 9) if run.alarm(number)[window].all()}
    lost = run.lost("bess")[window].all()
    wanted = set(numbers) | ({4} if lost else set())
    assert wanted <= raised
    pv_heard = not run.lost("pv").any()
    if {1, 2, 3} & raised or (islanded and 4 in raised):
        assert not run["controller/pv_limit_kw"][window].any()
    if pv_heard and ({1, 2, 4} & raised or (islanded and 3 in raised)):
        assert not run["controller/bess_kw"][window].any()
    if {1, 2, 5} & raised:
        assert not run["controller/dg_kw"][window].any()
    if 6 in raised and 8 not in raised:
        faulted = [one["connector_fault"]["connector"] for one in run.data["events"] if "connector_fault" in one]
        assert not run["cp/connector_limit_kw"][window][:, np.array(faulted) - 1].any()
    if 1 in raised:  # it persists
        assert not run["controller/p_limit_cp_kw"][window].any()
    if 2 in raised:
        assert run["controller/p_limit_cp_kw"][window].max() <= 10.0 + EPS_KW
    if 8 in raised:
        limits = run["cp/connector_limit_kw"][window]
        assert (limits == limits[0]).all()


def pv_goes_before_the_battery(run: Run) -> None:
    """In an island PV is at 0 when the battery's reference is taken back."""
    charging = run["controller/bess_kw"] < 0.0
    released = run.islanded[1:] & charging[:-1] & (run["controller/bess_kw"][1:] == 0.0)
    ramp = run["controller/alarms"][1:] == 0
    assert (run["pv/p_kw"][:-1][released & ~ramp] <= 0.01).all()


@pytest.mark.parametrize(("numbers", "causes", "islanded"), cases(ALONE))
def test_one_fault(numbers, causes, islanded, tmp_path):
    run = faults(causes, islanded, tmp_path)
    actions_are_taken(run, numbers, islanded)
    pv_goes_before_the_battery(run)
    check(run)
    assert not run["controller/alarms"][-1]


@pytest.mark.campaign
@pytest.mark.parametrize(("numbers", "causes", "islanded"), cases(PAIRS | OTHERS))
def test_two_faults_at_once_and_other_devices(numbers, causes, islanded, tmp_path):
    run = faults(causes, islanded, tmp_path)
    actions_are_taken(run, numbers, islanded)
    pv_goes_before_the_battery(run)
    check(run)
    assert not run["controller/alarms"][-1]


@pytest.mark.parametrize("device", ["secondary", "ats"])
def test_without_a_source_everything_rests(device, tmp_path):
    events = [event(20, 200, {"outage": {}}), event(10, 220, {"device_fault": {"device": device}})]
    run = Run(scenario(hub(), events), tmp_path)
    dead = run["ats/bus"] == 0
    assert dead[60:190].all()
    for name in ("controller/p_limit_cp_kw", "controller/pv_limit_kw", "controller/bess_kw", "controller/dg_kw"):
        assert not run[name][dead].any()
    assert run["cp/p_kw"][-1] > 0.0
    check(run)


class _Careless(Emh):
    """Breaks a law on purpose."""

    def decide(self, observation):
        """Change what the rules decided."""
        decision = super().decide(observation)
        seen = observation.hubs["depot"]
        return replace(decision, setpoints={"depot": self.spoil(decision.setpoints["depot"], seen, observation.t_s)})

    def spoil(self, setpoints, seen, t_s):
        """The changed set points."""
        return setpoints


class TooMuchPv(_Careless):
    """PV at its rating in an island."""

    def spoil(self, setpoints, seen, t_s):
        """Free PV."""
        return replace(setpoints, pv_limit_kw=20.0)


class TooMuchPower(_Careless):
    """Connectors get more than they are allowed together, and the import passes its limit."""

    def spoil(self, setpoints, seen, t_s):
        """Rated power for everyone."""
        return replace(setpoints, connector_kw=np.full(3, 20.0))


class Generating(_Careless):
    """The generator runs in an island."""

    def spoil(self, setpoints, seen, t_s):
        """Rated power."""
        return replace(setpoints, dg_kw=30.0)


class Locked(_Careless):
    """Nobody gets anything after the fault."""

    def spoil(self, setpoints, seen, t_s):
        """Nothing."""
        return replace(setpoints, connector_kw=np.zeros(3)) if t_s > FAULT_S[0] else setpoints


class Deaf(Emh):
    """Raises no alarm."""

    def decide(self, observation):
        """See no fault."""
        hub = replace(observation.hubs["depot"], failed=frozenset())
        return super().decide(replace(observation, hubs={"depot": hub}))


class Nervous(Emh):
    """Raises alarms without a cause."""

    def decide(self, observation):
        """See a fault that is not there."""
        hub = replace(observation.hubs["depot"], failed=frozenset({"pv"}) if observation.t_s == 90.0 else frozenset())
        return super().decide(replace(observation, hubs={"depot": hub}))


@pytest.mark.parametrize(
    ("cls", "law"),
    [
        (TooMuchPv, "no PV in an island beyond the battery"),
        (TooMuchPower, "the sum within what is allowed"),
        (TooMuchPower, "the import within its limit in steady state"),
        (Generating, "no generator in an island"),
        (Locked, "no dead-lock"),
        (Deaf, "every cause raises its alarm"),
        (Nervous, "every alarm has its cause"),
    ],
)
def test_the_laws_notice_who_breaks_them(cls, law, tmp_path):
    islanded = cls in (TooMuchPv, Generating)
    outage = [event(20, None, {"outage": {}})] if islanded else []
    data = scenario(hub(), [event(*FAULT_S, CAUSES[3]), *outage])
    data["hubs"]["depot"]["tariffs"]["dg"]["value"] = 0.8
    data["controller"]["type"] = f"tests.runs.controllers.test_emh_campaign:{cls.__name__}"
    broken = {one.name for one in laws(Run(data, tmp_path)) if one.fails.any()}
    assert law in broken


def random_runs(count: int):
    """A test over random scenarios."""

    @given(data=random_scenarios())
    @settings(
        max_examples=examples(count),
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    def test(data):
        with tempfile.TemporaryDirectory() as folder:
            run = Run(data, Path(folder))
        check(run)

    return test


test_random_faults_keep_the_laws = random_runs(12)
test_random_faults_keep_the_laws_in_a_long_campaign = pytest.mark.campaign(random_runs(40))
