"""Intervals and bands: the fit repeated on data sets drawn with run, residual and test-set noise.

Intervals are percentiles of the refitted quantity, which respect any change of parameters. Noise is drawn with the uncertainty of
its own estimate (`noise.py`), so that two or three seeds give Student's wide tails and not a narrow normal. The test-set noise of
a score is common to all points (they are measured on the same test set), hence invisible in residuals, and is added to them.
"""

from dataclasses import dataclass

import numpy as np

from transferlaws.laws.fit import PointFit, minimise
from transferlaws.laws.form import Array, Design, Form
from transferlaws.laws.noise import NoiseEvidence, gather


@dataclass(frozen=True)
class Sample:
    """What a law is fitted to."""

    x: Array  # (n, d) > 0
    values: Array  # (n,) > 0
    runs: Array  # (n,) integer: the trajectory of each point
    noise: Array  # (n,) standard deviation of the log value over test sets


def evidence_of(*, form: Form, design: Design, log_values: Array, runs: Array, start: Array) -> NoiseEvidence:
    """Noise evidence of one curve from the least-squares fit (the Huber fit's residuals are not its minimum)."""
    least = minimise(form=form, design=design, log_values=log_values, start=start[None], delta=np.inf)
    log, jacobian = form.log_prediction(least.theta, design)
    free = (least.theta[0] > form.lower) & (least.theta[0] < form.upper)
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
) -> Array:
    """Internal parameters of `count` refits, shape (count, P), each started at the estimate.

    Empty, (0, P), where the noise cannot be estimated: no residual degrees of freedom.
    """
    start = np.repeat(fit.theta[None], count, axis=0)
    if resampling == "runs":
        _, runs = np.unique(sample.runs, return_inverse=True)
        draws = generator.multinomial(runs.max() + 1, np.full(runs.max() + 1, 1 / (runs.max() + 1)), size=count)
        weights = draws[:, runs].astype(float)
        return minimise(form=form, design=design, log_values=log_values, start=start, delta=delta, weights=weights).theta
    if evidence.residual_freedom == 0:
        return np.empty((0, form.size))
    centre = form.log_prediction(fit.theta[None], design)[0]
    noise = draw_noise(runs=sample.runs, test_noise=sample.noise, evidence=evidence, count=count, generator=generator)
    return minimise(form=form, design=design, log_values=centre + noise, start=start, delta=delta).theta


def draw_noise(*, runs: Array, test_noise: Array, evidence: NoiseEvidence, count: int, generator: np.random.Generator) -> Array:
    """Noise of `count` data sets in log units, shape (count, n)."""
    names, index = np.unique(runs, return_inverse=True)
    run_deviation, residual_deviation, shrinkage = evidence.draw(generator, count)
    residual = generator.standard_normal((count, len(runs)))
    means = (residual @ (index[:, None] == np.arange(len(names)))) / np.bincount(index)
    residual -= ((1 - shrinkage)[:, None] * means)[:, index]
    effect = generator.standard_normal((count, len(names)))[:, index]
    shared = generator.standard_normal((count, 1)) * test_noise
    return run_deviation[:, None] * effect + residual_deviation[:, None] * residual + shared


def interval(draws: Array, level: float) -> tuple[Array, Array]:
    """Central percentiles over axis 0; draws that are infinite count as beyond any bound."""
    tail = 100 * (1 - level) / 2
    low = np.percentile(draws, tail, axis=0, method="nearest")
    high = np.percentile(draws, 100 - tail, axis=0, method="nearest")
    return low, high
