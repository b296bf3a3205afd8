"""Tests of a curve: is it monotone within noise, does a law hold; both against the scatter of repeated measurements."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_distribution

from transferlaws.statistics.arrays import Array, basis_of, cells_of, indicators_of

SIMULATIONS = 4000


@dataclass(frozen=True)
class PureError:
    """Scatter of repeated measurements at the same x, run effects taken out: noise that owes nothing to any law."""

    squares: float = 0.0
    freedom: int = 0

    def __add__(self, other: "PureError") -> "PureError":
        """Pool two curves."""
        return PureError(self.squares + other.squares, self.freedom + other.freedom)


def pure_error(*, log_values: Array, cells: Array, runs: Array) -> PureError:
    """Scatter around an additive model of cells and runs, both of shape (n,)."""
    basis = basis_of(np.hstack([indicators_of(cells), indicators_of(runs)]))
    left = log_values - basis @ (basis.T @ log_values)
    freedom = len(log_values) - basis.shape[1]
    return PureError(float(left @ left) if freedom else 0.0, freedom)


def lack_of_fit(*, residuals: Array, jacobian: Array, cells: Array, runs: Array, error: PureError) -> float | None:
    """P-value that deviations of this size from the law are noise (F test of lack of fit, run effects taken out).

    residuals (n,) and jacobian (n, p) are of the least-squares fit. None where nothing is left to test, or no noise is known.
    """
    law = basis_of(np.hstack([jacobian, indicators_of(runs)]))
    full = basis_of(np.hstack([indicators_of(cells), indicators_of(runs), jacobian]))
    freedom = full.shape[1] - law.shape[1]
    if freedom <= 0 or error.freedom == 0:
        return None
    explained = full @ (full.T @ residuals) - law @ (law.T @ residuals)
    if error.squares == 0:
        return 1.0 if explained @ explained < 1e-20 else 0.0
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
    columns = np.hstack([indicators_of(rungs), indicators_of(runs)])
    effects = np.linalg.lstsq(columns, direction * log_values, rcond=None)[0][:count]
    weights = np.bincount(rungs).astype(float)

    def distance(means: Array) -> Array:
        return (weights * (means - isotonic(means, weights)) ** 2).sum(axis=1)

    found = distance(effects[None])[0]
    if found <= 1e-24:
        return 1.0
    if error.squares == 0:
        return 0.0
    null = distance(generator.standard_normal((SIMULATIONS, count)) / np.sqrt(weights))
    null /= generator.chisquare(error.freedom, SIMULATIONS) / error.freedom
    return float((1 + (null >= found / (error.squares / error.freedom)).sum()) / (SIMULATIONS + 1))
