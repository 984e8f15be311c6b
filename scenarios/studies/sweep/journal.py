"""The journal of a sweep: every finished run as one line of JSON, safe on the disk before the next one counts."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import NOTHING, InputError, Problem

NAME = "journal.jsonl"


class Journal:
    """Finished runs in a folder; open for one sweep at a time.

    Parameters
    ----------
    folder : Path
        Made if need be; a folder with something else in it is refused.

    Attributes
    ----------
    finished : dict
        What is known of every finished run, by its key; of several lines about a run the last one counts.

    Raises
    ------
    InputError
        When the folder is not one of a sweep, a line is damaged, or another sweep is writing here.
    """

    def __init__(self, folder: Path):
        self._path = path = folder / NAME
        try:
            if folder.is_dir() and any(folder.iterdir()) and not path.exists():
                raise InputError(Problem("", "output", str(folder), "must be new, empty, or the folder of a sweep"))
            folder.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            allowed = f"must be a folder that can be written ({error.strerror})"
            raise InputError(Problem("", "output", str(folder), allowed)) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.finished = self._read(path)
            _sync(folder)
        except OSError:
            self._file.close()
            raise InputError(Problem("", "output", str(folder), "must not be in use by another sweep")) from None
        except InputError:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.finished:  # leave nothing behind where nothing was run
            self._path.unlink()
            with suppress(OSError):
                self._path.parent.rmdir()
        self._file.close()

    def _read(self, path: Path) -> dict[str, dict[str, Any]]:
        """All whole lines; what a power cut left of the last one is cut off."""
        self._file.seek(0)
        lines = self._file.read().split(b"\n")
        self._file.truncate(self._file.tell() - len(lines[-1]))
        found = {}
        for n, line in enumerate(lines[:-1], start=1):
            try:
                entry = json.loads(line)
                found[entry["key"]] = {name: entry[name] for name in ("status", "error", "wall_s", "kpis")}
            except (ValueError, KeyError, TypeError):
                allowed = "must be a finished run; without this line, that run is repeated"
                raise InputError(Problem(str(path), f"line {n}", NOTHING, allowed)) from None
        return found

    def write(self, key: str, about: dict[str, Any], entry: dict[str, Any]) -> None:
        """Add a finished run: what it was is for readers of the file, what came of it is read again."""
        line = json.dumps({"key": key, **about, **entry}, ensure_ascii=False, default=str) + "\n"
        self._file.write(line.encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.finished[key] = entry


def _sync(folder: Path) -> None:
    """Make the name of a new file as safe as its content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
