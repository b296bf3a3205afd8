"""The fit repeated on data sets drawn with run, residual and test-set noise, and profiles of the objective.

Noise is drawn with the uncertainty of its own estimate (`statistics/noise.py`). The test-set noise of a score is common to all
points (they are measured on the same test set), hence invisible in residuals, and added.
"""

from dataclasses import dataclass

import numpy as np

from transferlaws.laws.forms.form import Design, Form
from transferlaws.laws.solver import PointFit, minimise, minimise_from_least_squares
from transferlaws.statistics.arrays import Array
from transferlaws.statistics.noise import NoiseEvidence, draw_noise, gather

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


def evidence_of(*, form: Form, design: Design, log_values: Array, runs: Array, theta: Array, ladder: int = 0) -> NoiseEvidence:
    """Noise evidence of one curve at its least-squares fit theta, (1, P) (the Huber fit's residuals are not smallest)."""
    log, jacobian = form.log_prediction(theta, design)
    free = (theta[0] > form.lower) & (theta[0] < form.upper)
    return gather(residuals=log_values - log[0], jacobian=jacobian[0][:, free], runs=runs, along=design.logs[:, ladder])


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
    ladder: int = 0,
    generator: np.random.Generator,
) -> Bootstrap:
    """Fit `count` drawn data sets, each started at the estimate."""
    weights = None
    if resampling == "runs":
        alone = (sample.runs < 0).all()
        _, runs = np.unique(np.arange(len(sample.runs)) if alone else sample.runs, return_inverse=True)
        draws = generator.multinomial(runs.max() + 1, np.full(runs.max() + 1, 1 / (runs.max() + 1)), size=count)
        weights = draws[:, runs].astype(float)
    elif evidence.residual_freedom == 0:
        return Bootstrap(np.empty((0, form.size)), np.empty((0, len(log_values))), None, np.empty(0))
    else:
        centre = form.log_prediction(fit.theta[None], design)[0]
        log_values = centre + draw_noise(
            runs=sample.runs,
            test_noise=sample.noise,
            evidence=evidence,
            count=count,
            generator=generator,
            along=design.logs[:, ladder],
        )
    start = np.repeat(fit.theta[None], count, axis=0)
    solution = minimise_from_least_squares(
        form=form, design=design, log_values=log_values, start=start, delta=delta, weights=weights
    )
    return Bootstrap(solution.theta, log_values, weights, solution.objective)


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
