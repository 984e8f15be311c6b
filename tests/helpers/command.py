"""Calls the command ``evhub`` as a shell would: in this process, or in one of its own."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from evhub.scenarios.cli import app as cli


@dataclass(frozen=True)
class Outcome:
    """Exit status and what was printed."""

    status: int
    out: str
    err: str


def evhub(*arguments: object) -> Outcome:
    """Run ``evhub`` with these arguments; an exception that leaves it fails the test."""
    out, err = io.StringIO(), io.StringIO()
    with mock.patch("sys.argv", ["evhub", *map(str, arguments)]), redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
    return Outcome(status, out.getvalue(), err.getvalue())


def started(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    """The command in a process of its own, which Ctrl-C reaches also where its parents ignore it (a shell's ``&``)."""
    listens = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    call = [
        sys.executable,
        "-c",
        f"{listens}; from evhub.scenarios.cli.app import main; main()",
        *map(str, arguments),
    ]
    return subprocess.Popen(call, cwd=cwd, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
