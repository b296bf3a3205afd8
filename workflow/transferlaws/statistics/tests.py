"""Tests of a curve: is it monotone within noise, does a law hold; both against the scatter of repeated measurements."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2
from scipy.stats import f as f_distribution

from transferlaws.statistics.arrays import Array, basis_of, cells_of, indicators_of, runs_of

SIMULATIONS = 4000
ROUNDING = 1e-6  # relative: what tables with seven digits leave out


@dataclass(frozen=True)
class PureError:
    """Scatter of repeated measurements at the same x, run effects taken out: noise that owes nothing to any law."""

    squares: float = 0.0
    freedom: int = 0

    def __add__(self, other: "PureError") -> "PureError":
        """Pool two curves."""
        return PureError(self.squares + other.squares, self.freedom + other.freedom)


def pure_error(*, log_values: Array, cells: Array, runs: Array, scale: Array | None = None) -> PureError:
    """Scatter around an additive model of cells and runs, both of shape (n,), in units of `scale` (n,)."""
    scale = np.ones(len(log_values)) if scale is None else scale
    basis, log_values = basis_of(np.hstack([indicators_of(cells), runs_of(runs)]) / scale[:, None]), log_values / scale
    left = log_values - basis @ (basis.T @ log_values)
    freedom = len(log_values) - basis.shape[1]
    return PureError(float(left @ left) if freedom else 0.0, freedom)


def equal_variances(squares: list[float], freedom: list[int]) -> float:
    """P-value of Bartlett's test that sums of squares with these degrees of freedom are of one variance."""
    squares, freedom = np.array(squares), np.array(freedom, dtype=float)
    if (squares <= 0).any():
        return 1.0 if (squares <= 0).all() else 0.0
    total = freedom.sum()
    statistic = total * np.log(squares.sum() / total) - (freedom * np.log(squares / freedom)).sum()
    correction = 1 + ((1 / freedom).sum() - 1 / total) / (3 * (len(freedom) - 1))
    return float(chi2.sf(statistic / correction, len(freedom) - 1))


def lack_of_fit(
    *, residuals: Array, jacobian: Array, cells: Array, runs: Array, error: PureError, scale: Array | None = None
) -> float | None:
    """P-value that deviations of this size from the law are noise (F test of lack of fit, run effects taken out).

    residuals (n,) and jacobian (n, p) are of the least-squares fit, `scale` (n,) the standard deviation of each up to a factor, in
    whose units `error` then is. None where nothing is left to test, or no noise is known.
    """
    scale = np.ones(len(residuals)) if scale is None else scale
    law = basis_of(np.hstack([jacobian, runs_of(runs)]) / scale[:, None])
    full = basis_of(np.hstack([indicators_of(cells), runs_of(runs), jacobian]) / scale[:, None])
    residuals = residuals / scale
    freedom = full.shape[1] - law.shape[1]
    if freedom <= 0 or error.freedom == 0:
        return None
    explained = full @ (full.T @ residuals) - law @ (law.T @ residuals)
    if np.abs(explained).max() < ROUNDING:
        return 1.0
    if error.squares == 0:
        return 0.0
    ratio = (explained @ explained / freedom) / (error.squares / error.freedom)
    return float(f_distribution.sf(ratio, freedom, error.freedom))


def isotonic(values: Array, weights: Array) -> Array:
    """Weighted least-squares non-decreasing fit of each row; values (B, m), weights (m,) -> (B, m).

    The max-min formula: the fit at i is the largest over a <= i of the smallest over b >= i of the mean of values a..b.
    """
    count = values.shape[1]
    zero = np.zeros((len(values), 1))
    sums = np.hstack([zero, np.cumsum(values * weights, axis=1)])
    totals = np.concatenate([[0.0], np.cumsum(weights)])
    best = np.full((len(values), count), -np.inf)
    for a in range(count):
        means = (sums[:, a + 1 :] - sums[:, a, None]) / (totals[a + 1 :] - totals[a])
        lowest = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
        best[:, a:] = np.maximum(best[:, a:], lowest)
    return best


def monotone_p_value(
    *, log_values: Array, x: Array, runs: Array, error: PureError, direction: int, generator: np.random.Generator
) -> float | None:
    """P-value of the hypothesis that the curve never turns back, against any other (Bartholomew's test of order).

    The distance of the rung means from their isotonic fit, over the pure error, is compared with its distribution where all rungs
    are equal (the least favourable case), the error's own uncertainty included. x (n,); direction +1 for scores, -1 for losses.
    None with fewer than two rungs or no repeated measurements.
    """
    rungs = cells_of(x[:, None])
    count = rungs.max() + 1
    if count < 2 or error.freedom == 0:
        return None
    columns = np.hstack([indicators_of(rungs), runs_of(runs)])
    effects = np.linalg.lstsq(columns, direction * log_values, rcond=None)[0][:count]
    weights = np.bincount(rungs).astype(float)

    def distance(means: Array) -> Array:
        return (weights * (means - isotonic(means, weights)) ** 2).sum(axis=1)

    found = distance(effects[None])[0]
    if found <= len(log_values) * ROUNDING**2:
        return 1.0
    if error.squares == 0:
        return 0.0
    null = distance(generator.standard_normal((SIMULATIONS, count)) / np.sqrt(weights))
    null /= generator.chisquare(error.freedom, SIMULATIONS) / error.freedom
    return float((1 + (null >= found / (error.squares / error.freedom)).sum()) / (SIMULATIONS + 1))
