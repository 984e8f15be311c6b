"""Whole-number points from the LP relaxation.

In most plans the relaxation is as good as the mixed-integer program: nobody charges and discharges at once if that
costs energy. Then only the binaries, which cost nothing, are fractional, and rounding them the right way gives a point
with the objective of the relaxation, which no point can beat.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from pyomo.core.base.block import BlockData
from pyomo.core.base.var import VarData

from .standard_form import StandardForm


class Exclusive(NamedTuple):
    """Columns of two quantities that exclude each other and of the binary between them, each of shape (k,)."""

    x: np.ndarray
    y: np.ndarray
    binary: np.ndarray


_NONE = np.zeros(0, dtype=int)
NO_EXCLUSIVES = Exclusive(_NONE, _NONE, _NONE)


def declare_exclusive(model: BlockData, x: Any, y: Any, binary: Any) -> None:
    """Mark a binary whose only purpose is to keep two quantities from being positive at once.

    The declaration guides the rounding of the binary; it adds no constraint (the model has ``x <= M binary``,
    ``y <= M (1 - binary)`` or the like), and the rounded point is checked against the whole model.

    Parameters
    ----------
    model : Block
        The model, or the block of the variables.
    x, y : Var
        Not negative; `x` may be positive only if the binary is 1, `y` only if it is 0.
    binary : Var
        Scalar, or with the same index as `x` and `y`.

    Raises
    ------
    ValueError
        If the indices differ.
    """
    triple = tuple(entries(variable) for variable in (x, y, binary))
    if len({len(part) for part in triple}) > 1:
        raise ValueError(f"x, y, binary have {[len(part) for part in triple]} entries, allowed is the same index")
    model.private_data().setdefault("exclusive", []).append(triple)


def entries(variable: Any) -> list[Any]:
    """List the data of a Pyomo component or slice in index order, or the entries of an array."""
    if isinstance(variable, np.ndarray):
        return variable.tolist()
    return list(variable.values()) if hasattr(variable, "values") else [variable]


def exclusives(model: BlockData, column_of: dict[int, int]) -> Exclusive:
    """Collect all exclusive quantities that were declared on a model and its blocks.

    Parameters
    ----------
    model : Block
        The model.
    column_of : dict of int to int
        Column of each variable, by ``id``.

    Returns
    -------
    Exclusive
        Columns.
    """
    triples: list[tuple[list[VarData], ...]] = []
    for block in model.block_data_objects(active=True):
        triples += block.private_data().get("exclusive", [])
    return Exclusive(
        *(np.array([column_of[id(v)] for triple in triples for v in triple[part]], dtype=int) for part in range(3))
    )


def rounded(form: StandardForm, exclusive: Exclusive, x: np.ndarray) -> np.ndarray:
    """Round a solution of the relaxation to a point with whole numbers.

    Parameters
    ----------
    form : StandardForm
        The program.
    exclusive : Exclusive
        Binaries that follow the larger of two columns.
    x : ndarray, shape (n,)
        Solution of the relaxation.

    Returns
    -------
    ndarray, shape (n,)
        The same with whole numbers within their bounds; it may break constraints.
    """
    point = x.copy()
    point[form.integer] = np.round(x[form.integer])
    one, other = x[exclusive.x], x[exclusive.y]
    decided = np.abs(one - other) > 1e-9
    point[exclusive.binary[decided]] = (one > other)[decided]
    return np.clip(point, form.lower, form.upper)
