"""Run and residual noise: estimated from few seeds, and drawn with the uncertainty of the estimate.

Log values are modelled as law + run effect + residual. The run effect, common to all rungs of a trajectory, is what a seed does to
a whole curve; the residual holds what a seed does to one rung, and any lack of fit. Both are estimated by fitting constants
(Henderson's method III: unbiased, for unbalanced tables too) and drawn from their generalised fiducial distribution
(Weerahandi 1993): sums of squares divided by chi-square draws. In a linear model with balanced data the intervals that follow are
exactly Student's, with seeds - 1 degrees of freedom where the run effect matters: the honest answer with two or three seeds.
"""

from dataclasses import dataclass

import numpy as np

from transferlaws.statistics.arrays import Array, basis_of, indicators_of


@dataclass(frozen=True)
class NoiseEvidence:
    """Sums of squares of log residuals, with their degrees of freedom; those of several curves add up."""

    run_squares: float = 0.0
    run_freedom: int = 0
    run_weight: float = 0.0
    """Expected run_squares is run_freedom * residual variance + run_weight * run variance."""
    residual_squares: float = 0.0
    residual_freedom: int = 0

    def __add__(self, other: "NoiseEvidence") -> "NoiseEvidence":
        """Pool two curves."""
        return NoiseEvidence(
            self.run_squares + other.run_squares,
            self.run_freedom + other.run_freedom,
            self.run_weight + other.run_weight,
            self.residual_squares + other.residual_squares,
            self.residual_freedom + other.residual_freedom,
        )

    @property
    def residual_variance(self) -> float:
        """Unbiased estimate; NaN without degrees of freedom."""
        return self.residual_squares / self.residual_freedom if self.residual_freedom else float("nan")

    @property
    def run_variance(self) -> float:
        """Unbiased estimate cut at 0; 0 where runs cannot be told from residuals."""
        if self.run_weight <= 0 or not self.residual_freedom:
            return 0.0
        return max(0.0, (self.run_squares - self.run_freedom * self.residual_variance) / self.run_weight)

    def draw(self, generator: np.random.Generator, count: int) -> tuple[Array, Array, Array]:
        """Fiducial draws, each of shape (count,): run deviation, residual deviation, and shrinkage of the residual's run means.

        Where the mean square between runs is drawn below the residual one, run means vary less than residuals alone would make
        them. Cutting the run variance at 0 there would make every interval too wide; shrinking the run means keeps Student's.
        """
        residual = self.residual_squares / generator.chisquare(self.residual_freedom, count)
        run, shrinkage = np.zeros(count), np.ones(count)
        if self.run_freedom and self.run_weight > 0:
            # one mean square of run_freedom degrees estimates residual + weight / freedom * run variance
            between = self.run_squares / generator.chisquare(self.run_freedom, count)
            run = np.maximum(0.0, (between - residual) * self.run_freedom / self.run_weight)
            shrinkage = np.sqrt(np.minimum(1.0, between / np.maximum(residual, 1e-300)))
        return np.sqrt(run), np.sqrt(residual), shrinkage


def gather(*, residuals: Array, jacobian: Array, runs: Array) -> NoiseEvidence:
    """Evidence of one curve: least-squares residuals (n,), free columns of the jacobian (n, p), run index (n,)."""
    indicators = indicators_of(runs)
    law = basis_of(jacobian)
    both = basis_of(np.hstack([jacobian, indicators]))
    leftover = residuals - both @ (both.T @ residuals)
    explained = residuals - law @ (law.T @ residuals)
    free_indicators = indicators - law @ (law.T @ indicators)
    run_freedom = both.shape[1] - law.shape[1]
    residual_freedom = len(residuals) - both.shape[1]
    return NoiseEvidence(
        run_squares=max(0.0, float(explained @ explained - leftover @ leftover)) if run_freedom else 0.0,
        run_freedom=run_freedom,
        run_weight=float((free_indicators**2).sum()) if run_freedom else 0.0,
        residual_squares=float(leftover @ leftover) if residual_freedom else 0.0,
        residual_freedom=residual_freedom,
    )


def draw_noise(*, runs: Array, test_noise: Array, evidence: NoiseEvidence, count: int, generator: np.random.Generator) -> Array:
    """Noise of `count` data sets in log units, shape (count, n)."""
    names, index = np.unique(runs, return_inverse=True)
    run_deviation, residual_deviation, shrinkage = evidence.draw(generator, count)
    residual = generator.standard_normal((count, len(runs)))
    means = (residual @ indicators_of(index)) / np.bincount(index)
    residual -= ((1 - shrinkage)[:, None] * means)[:, index]
    effect = generator.standard_normal((count, len(names)))[:, index]
    shared = generator.standard_normal((count, 1)) * test_noise
    return run_deviation[:, None] * effect + residual_deviation[:, None] * residual + shared
