"""Stops a command on Ctrl-C or on SIGTERM, which has the same effect."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class StoppedError(Exception):
    """The command was stopped; the message says what it leaves behind."""


@contextmanager
def stoppable(left: str = "") -> Iterator[None]:
    """Raise `StoppedError` on Ctrl-C inside the block.

    Parameters
    ----------
    left : str
        What is left, if the interrupted function does not say so.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        raise StoppedError(*stop.args or (left,)) from None


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Set the handler of SIGTERM to do what Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where Python hands out no signals
        return
    before = signal.signal(signal.SIGTERM, _as_ctrl_c)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _as_ctrl_c(*arguments) -> None:
    on_ctrl_c = signal.getsignal(signal.SIGINT)
    if callable(on_ctrl_c):  # a solver at work only takes a note of it
        on_ctrl_c(*arguments)
    else:
        raise KeyboardInterrupt
