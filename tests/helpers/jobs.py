"""Jobs for pools of workers: functions that processes of their own import by name."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path


class NeedsTwoError(Exception):
    """Cannot be made again from its text."""

    def __init__(self, one: int, two: int):
        super().__init__(f"{one} and {two}")


def square(number: int) -> int:
    return number * number


def later_first(number: int) -> int:
    """The lower the number, the later it is done."""
    time.sleep(0.1 * (3 - number))
    return number


def fail(kind: str) -> None:
    if kind == "exit":
        raise SystemExit(3)
    if kind == "two":
        raise NeedsTwoError(1, 2)
    raise ValueError(kind)


def die(job: tuple[Path, int, int]) -> int:
    """Die so many times; notes each attempt, and how many others were at work."""
    folder, number, deaths = job
    with (folder / f"attempts-{number}").open("a") as file:
        file.write(f"{len(list(folder.glob('at-work-*')))}\n")
    mark = folder / f"at-work-{number}"
    mark.touch()
    time.sleep(0.05)
    mark.unlink()
    if len((folder / f"attempts-{number}").read_text().splitlines()) <= deaths:
        os._exit(7)
    return number


def leave_a_file(folder: Path) -> str:
    """Begin to work with a temporary folder."""
    place = tempfile.mkdtemp()
    (folder / "place.part").write_text(place)
    (folder / "place.part").rename(folder / "place")
    time.sleep(60)
    return place
