"""A journal of finished runs, by which a long study goes on where it was stopped.

One line of JSON for each finished run, on the disk before the next one counts. SQLite would be no simpler: a line that
was cut off by a crash is the only damage that appending can do, and it is cut off when the file is opened; SQLite's
locks do not say who holds them, and its own documentation advises against them on network file systems, where the
folders of clusters are. And a line can be read, searched and taken out with any tool.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import NOTHING, InputError, Problem

_OPENED_BY = "opened_by"


class Journal:
    """A file of finished runs, open for one process at a time.

    Parameters
    ----------
    path : Path
        The file; made with its folder if need be, and both removed at the end if nothing else is in them.
    required : tuple of str
        What every entry has.

    Attributes
    ----------
    finished : dict of str to dict
        What is known of every finished run, by its key; of several entries about a run the last one counts.

    Raises
    ------
    InputError
        When the file cannot be written, a line is damaged, or another process has it open.
    """

    def __init__(self, path: Path, required: tuple[str, ...] = ()):
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            allowed = f"must be a folder that can be written ({error.strerror})"
            raise InputError(Problem("", "output", str(path.parent), allowed)) from None
        try:
            _lock(self._file, path.parent)
            self.finished = self._read(required)
            self._append({_OPENED_BY: os.getpid()})
            _sync(path.parent)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        folder = self._path.parent
        if not self.finished and list(folder.iterdir()) == [self._path]:  # leave nothing behind where nothing was run
            self._path.unlink()
            folder.rmdir()
        self._file.close()

    def write(self, key: str, entry: dict[str, Any]) -> None:
        """Append a finished run.

        Parameters
        ----------
        key : str
            By which it is known again.
        entry : dict
            What is to be known of it; JSON.
        """
        self._append({"key": key, **entry})
        self.finished[key] = entry

    def _append(self, line: dict[str, Any]) -> None:
        self._file.write((json.dumps(line, ensure_ascii=False, default=str) + "\n").encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self, required: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        lines = _lines(self._file)
        self._file.truncate(self._file.tell() - len(lines[-1]))
        finished = {}
        for n, line in enumerate(lines[:-1], start=1):
            try:
                entry = json.loads(line)
                if _OPENED_BY in entry:
                    continue
                if not isinstance(key := entry.pop("key"), str) or not entry.keys() >= set(required):
                    raise ValueError
            except (ValueError, KeyError, TypeError, AttributeError):
                allowed = "must be a finished run; without this line, that run is repeated"
                raise InputError(Problem(str(self._path), f"line {n}", NOTHING, allowed)) from None
            finished[key] = entry
        return finished


def discard(path: Path) -> None:
    """Remove a journal, if it is there.

    Raises
    ------
    InputError
        When a process has it open.
    """
    if path.is_file():
        with path.open("a+b") as file:
            _lock(file, path.parent)
            path.unlink()


def _lock(file: BinaryIO, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        who = f"process {pid}" if (pid := _opened_by(file)) else "another process"
        raise InputError(Problem("", "output", str(folder), f"must not be in use by {who}")) from None


def _opened_by(file: BinaryIO) -> int | None:
    """Return the process that opened the file last."""
    for line in reversed(_lines(file)[:-1]):
        with suppress(ValueError, KeyError, TypeError):
            return int(json.loads(line)[_OPENED_BY])
    return None


def _lines(file: BinaryIO) -> list[bytes]:
    """Return the lines; the last one is what a crash has left of a line, or empty."""
    file.seek(0)
    return file.read().split(b"\n")


def _sync(folder: Path) -> None:
    """Make the name of a new file as safe as its content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
