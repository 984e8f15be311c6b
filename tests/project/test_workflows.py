"""What runs elsewhere: workflows, hooks and the script of the checks name what there is."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))


def commands(path: Path) -> str:
    """Every command of a workflow."""
    jobs = yaml.safe_load(path.read_text())["jobs"]
    return "\n".join(step["run"] for job in jobs.values() for step in job["steps"] if "run" in step)


def test_the_workflows_are_there():
    assert {path.name for path in WORKFLOWS} == {"quick.yml", "full.yml", "wheel.yml"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_says_when_it_runs_and_each_job_where_and_how_long(path):
    data = yaml.safe_load(path.read_text())
    assert data[True], "the key `on`, which YAML 1.1 reads as true"
    assert data["permissions"] == {"contents": "read"}
    for job in data["jobs"].values():
        assert job["runs-on"] and job["timeout-minutes"] <= 60
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])


@pytest.mark.parametrize(
    "path", [*WORKFLOWS, ROOT / ".ci" / "run", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name
)
def test_the_make_targets_that_are_named_exist(path):
    text = commands(path) if path in WORKFLOWS else path.read_text()
    named = set(re.findall(r"(?:^|`)make ([\w-]+)", text, re.M))
    assert named <= TARGETS
    assert named or (path.name in ("wheel.yml", "full.yml") and (".ci/run" in text or "evhub list" in text))


def test_what_make_calls_phony_has_a_rule():
    makefile = (ROOT / "Makefile").read_text()
    assert set(re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split()) <= TARGETS


def test_the_script_of_the_checks_installs_nothing_unasked():
    script = (ROOT / ".ci" / "run").read_text()
    before, _, after = script.partition('if [ "${EVHUB_INSTALL_CHROMIUM:-}" = 1 ]; then')
    assert "install -" not in before and after.split("else")[0].count("apt-get install") == script.count(
        "apt-get install"
    )


def test_hooks_are_valid_and_run_the_tools_of_the_environment():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    ids = {hook["id"] for repository in hooks["repos"] for hook in repository["hooks"]}
    assert {"ruff-check", "ruff-format", "check-yaml", "check-added-large-files"} <= ids


def test_every_requirement_has_a_lowest_version():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    done = subprocess.run([sys.executable, ROOT / ".ci" / "lowest.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pins = dict(line.split("==") for line in done.stdout.splitlines())
    for line in config["options"]["install_requires"].split("\n")[1:]:
        name, bound = line.split(" >= ")
        assert pins[name] == bound
