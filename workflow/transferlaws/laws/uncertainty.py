"""Intervals and bands: the fit repeated on data sets drawn with run, residual and test-set noise.

Intervals are bias-corrected percentiles of the refitted quantity, which respect any change of parameters. Where a coefficient may
be at its natural boundary (an asymptote or gap of 0), they also hold the interval of the simpler law at that boundary. Noise is
drawn with the uncertainty of its own estimate (`noise.py`), so that two or three seeds give Student's wide tails and not a narrow
normal. The test-set noise of a score is common to all points (they are measured on the same test set), hence invisible in
residuals, and added.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from transferlaws.laws.fit import PointFit, minimise, minimise_from_least_squares
from transferlaws.laws.form import Array, Design, Form
from transferlaws.laws.noise import NoiseEvidence, gather, indicators_of

PROFILE_POINTS = 41


@dataclass(frozen=True)
class Sample:
    """What a law is fitted to."""

    x: Array  # (n, d) > 0
    values: Array  # (n,) > 0
    runs: Array  # (n,) integer: the trajectory of each point
    noise: Array  # (n,) standard deviation of the log value over test sets


@dataclass(frozen=True)
class Bootstrap:
    """Refits of data sets drawn around the estimate; of length 0 where the noise cannot be estimated."""

    thetas: Array  # (B, P) internal parameters
    log_values: Array  # (B, n) or (n,)
    weights: Array | None  # (B, n) of resampled runs
    objective: Array  # (B,)


@dataclass(frozen=True)
class Profile:
    """The objective with one internal parameter held at each of `values` and the others at their best."""

    values: Array  # (m,)
    objective: Array  # (m,)
    threshold: float
    low: float
    high: float
    """Ends of {objective <= threshold}; infinite where the objective stays below up to the last value tried."""


def evidence_of(*, form: Form, design: Design, log_values: Array, runs: Array, theta: Array) -> NoiseEvidence:
    """Noise evidence of one curve at its least-squares fit theta, (1, P) (the Huber fit's residuals are not smallest)."""
    log, jacobian = form.log_prediction(theta, design)
    free = (theta[0] > form.lower) & (theta[0] < form.upper)
    return gather(residuals=log_values - log[0], jacobian=jacobian[0][:, free], runs=runs)


def bootstrap(
    *,
    form: Form,
    design: Design,
    log_values: Array,
    sample: Sample,
    fit: PointFit,
    evidence: NoiseEvidence,
    delta: float,
    count: int,
    resampling: str,
    generator: np.random.Generator,
) -> Bootstrap:
    """Fit `count` drawn data sets, each started at the estimate."""
    weights = None
    if resampling == "runs":
        _, runs = np.unique(sample.runs, return_inverse=True)
        draws = generator.multinomial(runs.max() + 1, np.full(runs.max() + 1, 1 / (runs.max() + 1)), size=count)
        weights = draws[:, runs].astype(float)
    elif evidence.residual_freedom == 0:
        return Bootstrap(np.empty((0, form.size)), np.empty((0, len(log_values))), None, np.empty(0))
    else:
        centre = form.log_prediction(fit.theta[None], design)[0]
        log_values = centre + draw_noise(
            runs=sample.runs, test_noise=sample.noise, evidence=evidence, count=count, generator=generator
        )
    start = np.repeat(fit.theta[None], count, axis=0)
    solution = minimise_from_least_squares(
        form=form, design=design, log_values=log_values, start=start, delta=delta, weights=weights
    )
    return Bootstrap(solution.theta, log_values, weights, solution.objective)


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


def interval(
    draws: Array, level: float, estimate: Array | None = None, edges: NDArray[np.bool_] | None = None
) -> tuple[Array, Array]:
    """Central percentiles over axis 0 of draws (B, k), NaN without draws; infinite draws count as beyond any bound.

    With the estimate (k,) the percentiles are bias-corrected (Efron 1981): shifted by how far the estimate is from the median of
    its refits.

    With `edges` (B, P), which refits ended at the natural boundary of which parameter (`Form.edges`), the interval is the union
    with that of the law at each boundary the bootstrap cannot exclude. The bootstrap is not consistent at a boundary (Andrews
    2000): where the truth is E = 0 and the estimate above it, a share p of the refits ends at 0, and the 5 % tail of all refits is
    the tail of 5 % / p of these. These refits are the bootstrap of the law without E, whose estimate does not depend, to first
    order, on how far above 0 that of E is. The union misses where 0 is wrongly excluded or the law without E misses, each half of
    1 - level: it keeps the level at the boundary, and changes nothing where 0 is excluded.
    """
    if not len(draws):
        return np.full(draws.shape[1:], np.nan), np.full(draws.shape[1:], np.nan)
    ordered, last = np.sort(draws, axis=0), len(draws) - 1
    shift = np.zeros(draws.shape[1])
    if estimate is not None:
        shift = _bias(draws, estimate)
    reach = ndtri((1 + level) / 2)
    low, high = (np.rint(last * ndtr(2 * shift + side)).astype(int) for side in (-reach, reach))
    columns = np.arange(draws.shape[1])
    low, high = ordered[low, columns], ordered[high, columns]
    for edge in () if edges is None else edges.T:
        if edge.mean() >= (1 - level) / 2:
            nested = interval(draws[edge], level)
            low, high = np.minimum(low, nested[0]), np.maximum(high, nested[1])
    return low, high


def probability_above(draws: Array, threshold: float, estimate: float) -> float:
    """Probability above a threshold, of draws (B,), bias-corrected as `interval` is: at its low end (1 + level) / 2."""
    return float(ndtr(2 * _bias(draws, estimate) - ndtri((draws <= threshold).mean())))


def _bias(draws: Array, estimate: Array | float) -> Array:
    """By how many standard normal deviations the estimate is above the median of its draws."""
    below = (draws < estimate).mean(axis=0) + 0.5 * (draws == estimate).mean(axis=0)
    return ndtri(np.clip(below, 0.02, 0.98))


def profile(
    *, form: Form, design: Design, log_values: Array, fit: PointFit, draws: Bootstrap, delta: float, index: int, level: float
) -> Profile:
    """Profile of an internal parameter, with the threshold that the bootstrap gives it.

    In every drawn data set the estimate is the truth: the share `level` of the objective's excess at the truth over its own
    minimum is the threshold. With independent normal errors and least squares that is the F quantile; here it also knows run
    effects, the Huber loss and boundaries.
    """
    count = len(draws.thetas)
    held = minimise(
        form=form,
        design=design,
        log_values=draws.log_values,
        start=np.repeat(fit.theta[None], count, axis=0),
        delta=delta,
        weights=draws.weights,
        fixed=(index,),
    )
    excess = np.maximum(held.objective - draws.objective, 0.0)
    threshold = fit.objective + float(np.quantile(excess, level))
    spread = np.quantile(draws.thetas[:, index], [0.001, 0.999])
    reach = 0.6 * (spread[1] - spread[0]) + 1e-9
    ends = np.clip([spread[0] - reach, spread[1] + reach], form.lower[index], form.upper[index])
    values = np.union1d(np.linspace(*ends, PROFILE_POINTS), [fit.theta[index]])
    # others start where the nearest refits put them: along a ridge they move far
    nearest = np.abs(draws.thetas[:, index][None, :] - values[:, None]).argmin(axis=1)
    start = np.concatenate([draws.thetas[nearest], np.repeat(fit.theta[None], len(values), axis=0)])
    start[:, index] = np.tile(values, 2)
    solution = minimise(form=form, design=design, log_values=log_values, start=start, delta=delta, fixed=(index,))
    objective = solution.objective.reshape(2, -1).min(axis=0)
    return Profile(values, objective, threshold, *_below(values, objective, threshold))


def _below(values: Array, objective: Array, threshold: float) -> tuple[float, float]:
    inside = np.flatnonzero(objective <= threshold)
    first, last = inside[0], inside[-1]
    low, high = values[0] if first == 0 else _cross(values, objective, threshold, first - 1), np.inf
    if last + 1 < len(values):
        high = _cross(values, objective, threshold, last)
    return float(low), float(high)


def _cross(values: Array, objective: Array, threshold: float, k: int) -> float:
    a, b = objective[k], objective[k + 1]
    return float(values[k] + (threshold - a) / (b - a) * (values[k + 1] - values[k]))
