"""Root of a function of one variable between two points of opposite sign."""

from __future__ import annotations

from collections.abc import Callable


def root(
    function: Callable[[float], float],
    a: float,
    b: float,
    tolerance: float = 1e-8,
    ends: tuple[float, float] | None = None,
) -> float:
    """Find where a function is zero by regula falsi, Illinois variant (Dowell & Jarratt 1971, BIT 11, 168-174).

    Parameters
    ----------
    function : callable
        Of one float; its values at `a` and `b` have opposite signs.
    a, b : float
        Ends of the interval.
    tolerance : float
        Relative change of the root from one step to the next at which to stop.
    ends : tuple of 2 float, optional
        The values at `a` and `b`, where they are known.

    Returns
    -------
    float
        The root.
    """
    at_a, at_b = (function(a), function(b)) if ends is None else ends
    for _ in range(60):
        x = b - at_b * (b - a) / (at_b - at_a)
        at_x = function(x)
        if at_x == 0.0 or abs(x - b) <= tolerance * abs(b):
            return x
        if at_x * at_b < 0.0:
            a, at_a = b, at_b
        else:
            at_a *= 0.5
        b, at_b = x, at_x
    return b
