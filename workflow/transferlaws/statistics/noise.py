"""Run and residual noise: estimated from few seeds, and drawn with the uncertainty of the estimate.

Log values are modelled as law + run effect + residual. The run effect, common to all rungs of a trajectory, is what a seed does to
a whole curve; the residual holds what a seed does to one rung, and any lack of fit. Both are estimated by fitting constants
(Henderson's method III: unbiased, for unbalanced tables too) and drawn from their generalised fiducial distribution
(Weerahandi 1993): sums of squares divided by chi-square draws. In a linear model with balanced data the intervals that follow are
exactly Student's, with seeds - 1 degrees of freedom where the run effect matters: the honest answer with two or three seeds.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_distribution

from transferlaws.statistics.arrays import Array, basis_of, indicators_of, runs_of

SLOPES = 0.2  # runs whose slopes differ at this level are given slopes of their own
GROWTH = 1.5  # standard deviations from which noise is taken to grow or shrink along the ladder


@dataclass(frozen=True)
class NoiseEvidence:
    """Sums of squares of log residuals, with their degrees of freedom; those of several curves add up."""

    run_squares: float = 0.0
    run_freedom: int = 0
    run_weight: float = 0.0
    """Expected run_squares is run_freedom * residual variance + run_weight * run variance."""
    residual_squares: float = 0.0
    residual_freedom: int = 0
    slope_squares: float = 0.0
    """Part of residual_squares that slopes of the runs' own explain, and its degrees of freedom."""
    slope_freedom: int = 0
    slope_weight: float = 0.0
    scale_pull: float = 0.0
    """Sum of squared residuals times how far along the ladder they are; what it is expected to be per unit of their variance; and
    the sum of squared distances: whether noise grows or shrinks along it."""
    scale_mean: float = 0.0
    scale_squares: float = 0.0

    def __add__(self, other: "NoiseEvidence") -> "NoiseEvidence":
        """Pool two curves."""
        return NoiseEvidence(
            self.run_squares + other.run_squares,
            self.run_freedom + other.run_freedom,
            self.run_weight + other.run_weight,
            self.residual_squares + other.residual_squares,
            self.residual_freedom + other.residual_freedom,
            self.slope_squares + other.slope_squares,
            self.slope_freedom + other.slope_freedom,
            self.slope_weight + other.slope_weight,
            self.scale_pull + other.scale_pull,
            self.scale_mean + other.scale_mean,
            self.scale_squares + other.scale_squares,
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

    @property
    def own_slopes(self) -> bool:
        """Whether runs differ in slope, by an F test, so that a random slope is drawn for each."""
        left = self.residual_freedom - self.slope_freedom
        if not self.slope_freedom or left <= 0 or self.slope_squares >= self.residual_squares:
            return False
        rest = (self.residual_squares - self.slope_squares) / left
        return bool(
            f_distribution.sf(self.slope_squares / self.slope_freedom / max(rest, 1e-300), self.slope_freedom, left) < SLOPES
        )

    @property
    def growth(self) -> float:
        """By what power of the place along the ladder residual noise grows; 0 where a score test (Cook and Weisberg) sees none."""
        if not self.scale_squares or not self.residual_squares:
            return 0.0
        pull = self.scale_pull / self.residual_variance - self.scale_mean
        return pull / (2 * self.scale_squares) if abs(pull) > GROWTH * np.sqrt(2 * self.scale_squares) else 0.0

    def slope(self, generator: np.random.Generator, residual: Array) -> Array:
        """Fiducial draws of the deviation of runs' slopes, given those of the residual, (count,)."""
        square = self.slope_squares / generator.chisquare(self.slope_freedom, len(residual))
        return np.sqrt(np.maximum(0.0, (square - residual**2) * self.slope_freedom / self.slope_weight))

    def draw(self, generator: np.random.Generator, count: int) -> tuple[Array, Array, Array]:
        """Fiducial draws, each of shape (count,): run deviation, residual deviation, and shrinkage of the residual's run means.

        Where the mean square between runs is drawn below the residual one, run means vary less than residuals alone would make
        them. Cutting the run variance at 0 there would make every interval too wide; shrinking the run means keeps Student's.
        """
        squares, freedom = self.residual_squares, self.residual_freedom
        if self.own_slopes:
            squares, freedom = squares - self.slope_squares, freedom - self.slope_freedom
        residual = squares / generator.chisquare(freedom, count)
        run, shrinkage = np.zeros(count), np.ones(count)
        if self.run_freedom and self.run_weight > 0:
            # one mean square of run_freedom degrees estimates residual + weight / freedom * run variance
            between = self.run_squares / generator.chisquare(self.run_freedom, count)
            run = np.maximum(0.0, (between - residual) * self.run_freedom / self.run_weight)
            shrinkage = np.sqrt(np.minimum(1.0, between / np.maximum(residual, 1e-300)))
        return np.sqrt(run), np.sqrt(residual), shrinkage


def gather(*, residuals: Array, jacobian: Array, runs: Array, along: Array | None = None) -> NoiseEvidence:
    """Evidence of one curve: least-squares residuals (n,), free columns of the jacobian (n, p), run index (n,).

    `along` (n,) is how far along the ladder each point is, in log units about the middle; without it neither slopes of the runs'
    own nor noise that changes with scale are looked for.
    """
    indicators = runs_of(runs)
    law = basis_of(jacobian)
    both = basis_of(np.hstack([jacobian, indicators]))
    leftover = residuals - both @ (both.T @ residuals)
    explained = residuals - law @ (law.T @ residuals)
    free_indicators = indicators - law @ (law.T @ indicators)
    run_freedom = both.shape[1] - law.shape[1]
    residual_freedom = len(residuals) - both.shape[1]
    more = {}
    if along is not None and residual_freedom:
        slopes = indicators * along[:, None]
        wide = basis_of(np.hstack([both, slopes]))
        left = residuals - wide @ (wide.T @ residuals)
        free_slopes = slopes - both @ (both.T @ slopes)
        share = 1 - (both**2).sum(axis=1)  # of its noise that a point keeps in its residual
        middle = (share * along).sum() / residual_freedom
        more = {
            "slope_squares": max(0.0, float(leftover @ leftover - left @ left)),
            "slope_freedom": wide.shape[1] - both.shape[1],
            "slope_weight": float((free_slopes**2).sum()),
            "scale_pull": float((leftover**2 * (along - middle)).sum()),
            "scale_mean": float((share * (along - middle)).sum()),
            "scale_squares": float((share * (along - middle) ** 2).sum()),
        }
    return NoiseEvidence(
        run_squares=max(0.0, float(explained @ explained - leftover @ leftover)) if run_freedom else 0.0,
        run_freedom=run_freedom,
        run_weight=float((free_indicators**2).sum()) if run_freedom else 0.0,
        residual_squares=float(leftover @ leftover) if residual_freedom else 0.0,
        residual_freedom=residual_freedom,
        **more,
    )


def draw_noise(
    *,
    runs: Array,
    test_noise: Array,
    evidence: NoiseEvidence,
    count: int,
    generator: np.random.Generator,
    along: Array | None = None,
) -> Array:
    """Noise of `count` data sets in log units, shape (count, n).

    `along` (n,) as for `gather`: where the evidence has them, slopes of the runs' own and growth of the residual are drawn.
    """
    names, index = np.unique(runs, return_inverse=True)
    run_deviation, residual_deviation, shrinkage = evidence.draw(generator, count)
    residual = generator.standard_normal((count, len(runs)))
    means = (residual @ indicators_of(index)) / np.bincount(index)
    residual -= ((1 - shrinkage)[:, None] * means)[:, index]
    effect = generator.standard_normal((count, len(names)))[:, index]
    shared = generator.standard_normal((count, 1)) * test_noise
    if along is not None and evidence.growth:
        residual *= np.exp(evidence.growth * along) / np.sqrt(np.mean(np.exp(2 * evidence.growth * along)))
    if along is not None and evidence.own_slopes:
        slopes = evidence.slope(generator, residual_deviation)[:, None] * generator.standard_normal((count, len(names)))
        shared = shared + slopes[:, index] * along
    return run_deviation[:, None] * effect + residual_deviation[:, None] * residual + shared
