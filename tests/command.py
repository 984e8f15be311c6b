"""Calls the command ``evhub`` in this process, as a shell would."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest import mock

from evhub.scenarios import cli


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
