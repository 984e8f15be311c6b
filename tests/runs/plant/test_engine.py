"""The mosaik engine: order and number of steps, what is left after a failure, and that time is events."""

from __future__ import annotations

import asyncio
from collections import Counter
from importlib.metadata import version

import pytest

from evhub.analysis import open_results
from evhub.controllers import contract as base
from evhub.scenarios.assembly.plant_build import build
from evhub.scenarios.engines import controller_simulator as controller
from evhub.scenarios.engines import mosaik_36
from evhub.scenarios.engines.device_commands import ControllerError
from evhub.scenarios.engines.wiring import simulators
from evhub.scenarios.run_scenario import run_wiring
from evhub.simulators import adapter
from evhub.simulators.network import network_simulator as network

from ...helpers import plants


@pytest.fixture
def steps(monkeypatch):
    """Log of (time, simulator) of every step of the runs in a test."""
    log: list[tuple[int, str]] = []
    for cls in (adapter.Adapter, controller.ControllerSimulator, network.NetworkSimulator):
        step = cls.step

        def logged(self, time, inputs, max_advance, step=step):
            log.append((time, self.sid))
            return step(self, time, inputs, max_advance)

        monkeypatch.setattr(cls, "step", logged)
    init = adapter.Adapter.init

    def named(self, sid, *args, **settings):
        self.sid = sid
        return init(self, sid, *args, **settings)

    monkeypatch.setattr(adapter.Adapter, "init", named)
    return log


def test_each_simulator_steps_once_at_a_time_and_in_the_order_of_the_data(steps, tmp_path):
    hub = plants.hub_with_everything()
    hub["link"] = {"poll": "20s", "measurement": {"type": "constant", "mean": "15s"}}
    net = {"type": "pandapower", "net": "lv_feeder", "hub_bus": {"depot": 2}}
    events = [{"at": "15min", "outage": {"hub": "depot", "until": "25min"}}]
    plants.run_data(plants.smallest(hubs={"depot": hub}, network=net, events=events), tmp_path, engine="mosaik")
    assert max(Counter(steps).values()) == 1
    assert {sid for _, sid in steps} == set(simulators())
    place = {sid: n for n, sid in enumerate(simulators())}
    keys = [(time, place[sid]) for time, sid in steps]
    for sid in simulators():
        times = [time for time, name in steps if name == sid]
        assert times == sorted(times)
    # a consumer never steps before the simulator whose value of the same instant it uses
    wiring = build(plants.loaded(plants.smallest(hubs={"depot": hub}, network=net, events=events)))
    at = {(time, sid): n for n, (time, sid) in enumerate(steps)}
    for link in wiring.connections:
        if link.shift == 0:
            for time in {time for time, _ in keys}:
                if (time, link.source) in at and (time, link.target) in at:
                    assert at[time, link.source] < at[time, link.target], (time, link)


def test_a_quiet_night_costs_nothing(steps, tmp_path):
    data = plants.smallest(duration="12h", time_step="1s", controller={"type": "equal_share", "period": "12h"})
    data["hubs"]["depot"] |= {
        "connectors": {"count": 10, "rated_kw": 22, "current": "ac"},
        "sessions": {"type": "list", "items": []},
        "bess": {"type": "ideal", "rated_kw": 10, "capacity_kwh": 50, "soc": 0.2},
        "pv": {"rated_kw": 5, "irradiance": {"type": "constant", "value": 0}},
    }
    plants.run_data(data, tmp_path, engine="mosaik")
    # first step, reaction to the first set points, end of the run: nothing in the 43,200 steps between
    assert max(Counter(sid for _, sid in steps).values()) <= 4


def test_a_change_reaches_the_result_at_its_own_second(tmp_path):
    data = plants.smallest(time_step="1s", events=[{"at": "17min 3s", "load": {"hub": "depot", "scale": 2.0}}])
    data["events"][0]["at"] = "1023s"
    with open_results(plants.run_data(data, tmp_path, engine="mosaik")) as results:
        t_s, p_kw = results.arrays("depot/grid/p_kw")
        assert t_s.tolist() == [0.0, 1023.0]
        assert p_kw.tolist() == [5.0, 10.0]


class Boom(base.Controller):
    """Fails after ten minutes."""

    def decide(self, observation):
        if observation.t_s >= 600.0:
            raise ZeroDivisionError("boom")
        return base.Decision({name: base.Setpoints(site.connector_kw) for name, site in self.sites.items()})


def test_a_failing_simulator_leaves_a_readable_file_marked_failed(tmp_path):
    data = plants.smallest(controller={"type": f"{__name__}:Boom", "period": "1min"})
    data["hubs"]["depot"]["load"]["demand"] = {"type": "profile", "points": [["0s", 5], ["5min", 7], ["30min", 9]]}
    with pytest.raises(ControllerError, match="hub depot, at 600 s: ZeroDivisionError: boom"):
        plants.run_data(data, tmp_path, engine="mosaik")
    with open_results(tmp_path / "out.h5") as results:
        assert results.status == "failed"
        assert results.arrays("depot/load/p_kw")[1].tolist() == [5.0, 7.0]


def test_a_failure_leaves_no_tasks_and_a_second_run_works(tmp_path):
    data = plants.smallest(controller={"type": f"{__name__}:Boom", "period": "1min"})
    with pytest.raises(ControllerError):
        plants.run_data(data, tmp_path, "a.h5", "mosaik")
    with open_results(plants.run_data(plants.smallest(), tmp_path, "b.h5", "mosaik")) as results:
        assert results.status == "complete"


def test_a_run_works_where_an_event_loop_runs_already(tmp_path):
    """As in a notebook."""

    async def cell():
        return plants.run_data(plants.smallest(), tmp_path, engine="mosaik")

    with open_results(asyncio.run(cell())) as results:
        assert results.status == "complete"


@pytest.mark.skipif(not version("mosaik").startswith("3.6"), reason="mended for mosaik 3.6 only")
def test_a_wait_for_a_time_after_the_end_ends_with_the_run():
    """Otherwise a simulator that is triggered for then, by an output dated to the future, keeps a run from ending."""
    mosaik_36.mend()
    from mosaik.progress import Progress
    from mosaik.tiered_time import TieredTime

    async def waited() -> None:
        mosaik_36.END.set(21)
        progress = Progress(TieredTime(20))
        waiting = asyncio.create_task(progress.has_reached(TieredTime(22)))
        await asyncio.sleep(0.0)
        assert not waiting.done()
        progress.set(TieredTime(21))
        await asyncio.wait_for(waiting, 5.0)

    asyncio.run(waited())


def test_waiters_of_mosaik_do_not_pile_up(tmp_path, monkeypatch):
    """Without the patch the list grows with every step, and a run becomes quadratic in its length."""
    mosaik_36.mend()
    progress = pytest.importorskip("mosaik.progress").Progress
    longest = 0
    settle = progress.set

    def watched(self, time):
        nonlocal longest
        longest = max(longest, len(self._futures))
        settle(self, time)

    monkeypatch.setattr(progress, "set", watched)
    loaded = plants.loaded(plants.smallest(duration="2h", controller={"type": "uncontrolled", "period": "10s"}))
    run_wiring(build(loaded), loaded, tmp_path / "out.h5")
    assert longest < 50
