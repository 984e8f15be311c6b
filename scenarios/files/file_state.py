"""Tells whether a file is still as it was when it was read."""

from __future__ import annotations

from pathlib import Path


def file_state(path: Path) -> tuple[int, int, int]:
    """Return what differs when a file is written anew: its inode, the time of its last change [ns] and its size.

    Raises
    ------
    OSError
        When there is no such file.
    """
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
