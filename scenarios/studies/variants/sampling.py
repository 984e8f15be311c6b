"""The points of a study: every combination of values, or points drawn from their space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from .study_file import Design, Variation


def points(fields: Mapping[str, Variation], design: Design) -> list[dict[str, Any]]:
    """Return the points of a design.

    Parameters
    ----------
    fields : mapping of str to Variation
        What is varied.
    design : Design
        How; the same design gives the same points.

    Returns
    -------
    list of dict
        For every point the value of each field, as it would stand in the scenario file.
    """
    if design.type == "grid":
        every = product(*[field.values.values if field.values else [] for field in fields.values()])
        return [dict(zip(fields, values, strict=True)) for values in every]
    units = _units(design, len(fields))
    columns = [_spread(field, unit) for field, unit in zip(fields.values(), units.T, strict=True)]
    return [dict(zip(fields, values, strict=True)) for values in zip(*columns, strict=True)]


def _units(design: Design, fields: int) -> np.ndarray:
    """Points of the unit cube, shape (samples, fields)."""
    from scipy.stats import qmc

    rng, samples = np.random.default_rng(design.seed), design.samples or 1
    if design.type == "random":
        return rng.random((samples, fields))
    # scipy calls the generator rng since 1.15, and knows the older name all the same
    kind = qmc.LatinHypercube if design.type == "latin_hypercube" else qmc.Sobol
    return kind(fields, seed=rng).random(samples)  # pyright: ignore[reportCallIssue]


def _spread(field: Variation, unit: np.ndarray) -> list[Any]:
    """Values of a field at numbers from [0, 1): every value, or every part of a range, gets its equal share."""
    if field.values is not None:
        values = field.values.values
        return [values[k] for k in (unit * len(values)).astype(int)]
    (low, is_duration), (high, _) = field.range or ((0.0, False), (0.0, False))
    step = 1.0 if field.integer else field.step.size if field.step else 0.0
    steps = math.floor((high - low) / step + 1e-9) if step else 0
    if step:
        high = low + (steps + 1) * step  # the last step is as wide as the others
    drawn = low * (high / low) ** unit if field.log else low + unit * (high - low)
    if step:
        drawn = low + np.clip(np.floor((drawn - low) / step), 0, steps) * step
    if is_duration:
        return [f"{round(seconds, 3):.12g}s" for seconds in drawn.tolist()]
    return [int(value) for value in drawn] if field.integer else [float(f"{value:.12g}") for value in drawn]
