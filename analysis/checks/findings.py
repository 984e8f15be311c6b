"""The violation that a check of a run found, and the format of times and values in its message."""

from __future__ import annotations

from dataclasses import dataclass

from ...simulators.units import S_PER_DAY, S_PER_H, S_PER_MIN


@dataclass(frozen=True)
class Finding:
    """A violation of an expectation.

    Parameters
    ----------
    text : str
        The value and what is allowed, in one line.
    t_s : float or None
        When it is worst [s since the start]; None for what has no time.
    value : float or None
        The worst value, in its own unit.
    size : float
        Distance from what is allowed, by which violations are compared.
    """

    text: str
    t_s: float | None = None
    value: float | None = None
    size: float = 0.0


def spelled(t_s: float) -> str:
    """Format a time [s] as scenario files write it.

    Examples
    --------
    >>> spelled(5400.0), spelled(0.5), spelled(0.0)
    ('1h30min', '0.5s', '0s')
    """
    parts, rest = [], float(t_s)
    for size, unit in ((S_PER_DAY, "d"), (S_PER_H, "h"), (S_PER_MIN, "min")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:.0f}{unit}")
    if rest or not parts:
        parts.append(f"{rest:.9g}s")
    return "".join(parts)


def shown(value: float, unit: str = "") -> str:
    """Format a value with its unit."""
    return f"{value:.6g} {unit}".rstrip()


def worst(faults: list[Finding]) -> Finding | None:
    """Return the violation of the greatest size; None if the list is empty."""
    return max(faults, key=lambda fault: fault.size, default=None)
