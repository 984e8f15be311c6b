"""LU factors of a sparse matrix that can be copied and pickled."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu


class SparseFactors:
    """LU factors of a sparse matrix; copies share them, a pickle holds the matrix, which is factored once more.

    Parameters
    ----------
    matrix : csc_array, shape (n, n)
        Nobody changes it from now on.

    Raises
    ------
    RuntimeError
        If the matrix is exactly singular.
    """

    def __init__(self, matrix: csc_array):
        self._matrix = matrix
        self._factors: Any = splu(matrix)

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Solve for a right-hand side, shape (n,) or (n, k)."""
        return self._factors.solve(right)

    def __deepcopy__(self, memo: dict[int, Any]) -> SparseFactors:
        return self

    def __reduce__(self):
        return SparseFactors, (self._matrix,)
