"""The pytest plugin: scenario files are tests, one for each expectation."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from .test_check import FAILS, HOLDS, SMALL

pytest_plugins = ["pytester"]
# works whether or not the installed project announces the plugin already
PLUGIN = ("-p", "no:evhub", "-p", "evhub.scenarios.checks.pytest_plugin", "-p", "no:cacheprovider")


def make(pytester: pytest.Pytester, *expect: dict, **changes) -> None:
    pytester.path.joinpath("small.yaml").write_text(yaml.safe_dump({**SMALL, "expect": list(expect), **changes}))


def test_every_expectation_is_a_test(pytester):
    make(pytester, *HOLDS)
    result = pytester.runpytest_inprocess(*PLUGIN, "-v")
    result.assert_outcomes(passed=len(HOLDS))
    result.stdout.fnmatch_lines(["*small.yaml::expect?0? signal: depot/cp/p_kw, max: 11 PASSED*"])


def test_a_failure_is_told_shortly_with_its_place(pytester):
    make(pytester, HOLDS[0], *FAILS[:2])
    result = pytester.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(passed=1, failed=2)
    lines = ["never above 10", "depot/cp/p_kw is 11 kW at 2min, must be <= 10 kW (for no reason)", "*small.yaml:*"]
    result.stdout.fnmatch_lines(lines, consecutive=True)
    assert "Traceback" not in result.stdout.str()
    assert "repr_failure" not in result.stdout.str()


def test_the_run_is_shared_by_all_expectations_of_a_file(pytester, monkeypatch):
    from evhub.scenarios.checks import check_scenarios as check

    runs = []
    run_whole = check.run_whole
    monkeypatch.setattr(check, "run_whole", lambda *arguments: runs.append(1) or run_whole(*arguments))
    make(pytester, *HOLDS)
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=len(HOLDS))
    assert len(runs) == 1
    pytester.runpytest_inprocess(*PLUGIN, "-k", "interruptions").assert_outcomes(passed=1, deselected=len(HOLDS) - 1)
    assert len(runs) == 2


def test_collecting_runs_nothing(pytester):
    make(pytester, *HOLDS)
    result = pytester.runpytest_inprocess(*PLUGIN, "--collect-only", "-q")
    result.stdout.fnmatch_lines([f"{len(HOLDS)} tests collected*"])


def test_other_yaml_files_are_no_tests(pytester):
    without = yaml.safe_dump(SMALL)
    pytester.path.joinpath("scenario.yaml").write_text(without)
    pytester.path.joinpath("workflow.yml").write_text("on: push\nexpect: nothing\n")
    pytester.path.joinpath("broken.yaml").write_bytes(b"a: [\xff\n")
    pytester.path.joinpath("readme.md").write_text(without + "expect: []\n")
    pytester.makepyfile(test_one="def test_one(): pass")
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


def test_a_scenario_that_is_wrong_is_an_error_of_the_collection(pytester):
    make(pytester, {"kpi": "servd", "min": 0})
    result = pytester.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*small.yaml: expect?0?.kpi: must be a key figure*did you mean served?*"])


def test_a_signal_that_is_not_there_fails_its_file(pytester):
    make(pytester, {"signal": "depot/cp/p_kww", "max": 1}, HOLDS[0])
    result = pytester.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*expect?0?.signal: must be one of depot/cp/ *did you mean depot/cp/p_kw?*"])


def test_a_run_that_fails_fails_its_expectations(pytester):
    code = "import evhub\nclass Mine(evhub.Controller):\n    def decide(self, observation): 1 / 0\n"
    pytester.path.joinpath("failing.py").write_text(code)
    make(pytester, *HOLDS[:2], controller={"type": "failing:Mine"})
    result = pytester.runpytest_inprocess(*PLUGIN)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["the run failed: ControllerError: *division by zero*"])


def test_the_plugin_can_be_switched_off(pytester):
    make(pytester, *FAILS)
    assert pytester.runpytest_inprocess(*PLUGIN, "-p", "no:evhub.scenarios.checks.pytest_plugin").ret == 5


def test_loading_the_plugin_imports_nothing_heavy():
    code = (
        "import sys, evhub.scenarios.checks.pytest_plugin\n"
        "heavy = {'numpy', 'pandas', 'pydantic', 'h5py', 'mosaik', 'pandapower', 'yaml'} & set(sys.modules)\n"
        "print(*heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
