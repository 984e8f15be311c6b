"""Ctrl-C while a solver runs."""

from __future__ import annotations

import signal
import threading


class Interruptible:
    """Context in which Ctrl-C is noted; `KeyboardInterrupt` is raised at its end.

    An exception raised inside a solver's callback would be lost, so the callback looks at `pressed` and stops the
    solver. Outside the main thread, where Python hands out no signals, it does nothing.

    Attributes
    ----------
    pressed : bool
        Whether Ctrl-C was pressed.
    """

    def __init__(self):
        self.pressed = False
        self._before = None

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, *_) -> None:
        self.pressed = True

    def __exit__(self, *_):
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self.pressed:
            raise KeyboardInterrupt
