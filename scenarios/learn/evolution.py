"""Evolution strategies: a gradient estimated from random changes of the parameters, mirrored and ranked.

Salimans et al. 2017, "Evolution Strategies as a Scalable Alternative to Reinforcement Learning", arXiv:1703.03864
(mirrored sampling and ranked fitness of section 2), with the steps of Kingma & Ba 2015, "Adam", arXiv:1412.6980.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

_BETA_1, _BETA_2, _TINY = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Evolution:
    """The state of a search.

    Parameters
    ----------
    centre : ndarray, shape (n,)
        The parameters so far.
    sigma : float
        Standard deviation of the changes that are tried.
    rate : float
        Length of a step.
    mean, square : ndarray, shape (n,)
        Running means of the gradient and its square.
    generation : int
        Number of steps that were taken.
    """

    centre: np.ndarray
    sigma: float
    rate: float
    mean: np.ndarray
    square: np.ndarray
    generation: int = 0

    @classmethod
    def at(cls, centre: np.ndarray, sigma: float, rate: float) -> Evolution:
        """Start a search."""
        return cls(centre, sigma, rate, np.zeros(centre.size), np.zeros(centre.size))

    def sample(self, pairs: int, rng: np.random.Generator) -> np.ndarray:
        """Draw changes in mirrored pairs, shape (2 * pairs, n)."""
        changes = rng.standard_normal((pairs, self.centre.size))
        return np.concatenate([changes, -changes])

    def candidates(self, changes: np.ndarray) -> np.ndarray:
        """Return the parameters to try, shape (m, n)."""
        return self.centre + self.sigma * changes

    def update(self, changes: np.ndarray, fitness: np.ndarray) -> Evolution:
        """Take a step towards the changes that did well.

        Parameters
        ----------
        changes : ndarray, shape (m, n)
            Of `sample`.
        fitness : ndarray, shape (m,)
            What each came to; more is better.
        """
        ranks = fitness.argsort(kind="stable").argsort(kind="stable") / max(len(fitness) - 1, 1) - 0.5
        gradient = ranks @ changes / (len(fitness) * self.sigma)
        n = self.generation + 1
        mean = _BETA_1 * self.mean + (1.0 - _BETA_1) * gradient
        square = _BETA_2 * self.square + (1.0 - _BETA_2) * gradient**2
        step = (mean / (1.0 - _BETA_1**n)) / (np.sqrt(square / (1.0 - _BETA_2**n)) + _TINY)
        centre = self.centre + self.rate * step
        return replace(self, centre=centre, mean=mean, square=square, generation=n)
