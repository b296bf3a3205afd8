"""Fits of many targets, folds and draws at once: the mode of a Huber likelihood and a prior, by batched Levenberg-Marquardt."""

from dataclasses import dataclass

import numpy as np

from transferlaws.mixtures.form import Form
from transferlaws.mixtures.points import Array, Points

HUBER = 1.5
"""Residuals beyond this many standard deviations count linearly."""
NOISE_START = 0.15
NOISE_LEAST = 1e-6
BLOCK = 300_000
"""Numbers in one Jacobian."""
ITERATIONS = 60
ROUND = 6
"""Steps after which rows that no longer gain are left alone."""
STEP = 3.0
"""Most by which a parameter changes in a step."""
GAIN = 1e-8


@dataclass(frozen=True)
class Fit:
    """A law fitted to T sets of values at the same n points."""

    form: Form
    points: Points
    scale: Array
    """(T,) the unit of the values: their standard deviation."""
    values: Array
    """(T, n) in units of `scale`."""
    include: Array
    """(T, n) whether a point was fitted."""
    theta: Array
    """(T, P)."""
    prior_mean: Array
    """(T, P)."""
    precision: Array
    """(P, P) inverse of the prior's covariance."""
    noise: Array
    """(T,) standard deviation of the residuals, in units of `scale`, of the effective degrees of freedom."""
    effective: Array
    """(T,) effective number of parameters."""
    leverage: Array
    """(T, n) how much a point pulls its own prediction."""
    objective: Array
    """(T,)."""

    def predict(self, points: Points) -> Array:
        """(T, m) in the unit of the values."""
        return self.form.predict(self.theta, points) * self.scale[:, None]

    @property
    def residuals(self) -> Array:
        """(T, n) in units of `scale`."""
        return self.values - self.form.predict(self.theta, self.points)

    @property
    def degrees(self) -> Array:
        """(T,) degrees of freedom that the noise is known from."""
        return np.maximum(self.include.sum(1) - self.effective, 1.0)

    def row(self, target: int) -> "Fit":
        """The fit of one target."""
        one = slice(target, target + 1)
        per_target = ("scale", "values", "include", "theta", "prior_mean", "noise", "effective", "leverage", "objective")
        return Fit(form=self.form, points=self.points, precision=self.precision, **{n: getattr(self, n)[one] for n in per_target})


def fit(form: Form, points: Points, values: Array, include: Array | None = None) -> Fit:
    """Fit `values` (T, n), losses or negated scores; `include` (T, n) leaves points out."""
    values = np.asarray(values, dtype=float)
    include = np.ones(values.shape, dtype=bool) if include is None else include
    count = include.sum(1)
    centre = (values * include).sum(1) / count
    scale = np.sqrt((include * (values - centre[:, None]) ** 2).sum(1) / count)
    z = values / scale[:, None]
    low = np.where(include, z, np.inf).min(1)
    mean, covariance = form.prior(low, centre / scale)
    precision = np.linalg.inv(covariance)
    best: dict[str, Array] = {}
    for start in form.starts(mean, points):
        found = _from(start, form, points, z, include, mean, precision)
        if not best:
            best = found
            continue
        better = found["objective"] < best["objective"]
        best = {n: np.where(better.reshape(-1, *[1] * (part.ndim - 1)), part, best[n]) for n, part in found.items()}
    return Fit(form=form, points=points, scale=scale, values=z, include=include, prior_mean=mean, precision=precision, **best)


def _from(start: Array, form: Form, points: Points, z: Array, include: Array, mean: Array, precision: Array) -> dict[str, Array]:
    """Alternate between the parameters given the noise and the noise given the parameters."""
    theta, noise, count = start, np.full(len(z), NOISE_START), include.sum(1)
    for iterations in (15, 15, ITERATIONS):
        weights = include / noise[:, None] ** 2
        theta, objective = minimise(form, points, z, weights, theta, mean, precision, iterations)
        value, slopes = form.evaluate(theta, points)
        hat = _leverage(slopes, weights, precision)
        effective = hat.sum(1)
        squares = (include * (z - value) ** 2).sum(1)
        noise = np.maximum(np.sqrt(squares / np.maximum(count - effective, 1)), NOISE_LEAST)
    objective = objective + 2 * count * np.log(noise)
    return {"theta": theta, "noise": noise, "effective": effective, "leverage": hat, "objective": objective}


def _leverage(slopes: Array, weights: Array, precision: Array) -> Array:
    weighted = slopes * weights[..., None]
    information = np.matmul(weighted.transpose(0, 2, 1), slopes)
    if not information.shape[-1]:
        return np.zeros(weights.shape)
    return (np.matmul(weighted, np.linalg.inv(information + precision)) * slopes).sum(-1)


def minimise(
    form: Form, points: Points, z: Array, weights: Array, theta: Array, mean: Array, precision: Array, iterations: int = ITERATIONS
) -> tuple[Array, Array]:
    """Minimise sum w rho(z - f) + (theta - mean)' precision (theta - mean) for each of B rows, rho being Huber's.

    z, weights (B, n); theta, mean (B, P). Returns theta and the objective (B,).
    """
    size = max(1, BLOCK // (z.shape[1] * theta.shape[1]))
    theta = theta.copy()
    objective = np.empty(len(z))
    for first in range(0, len(z), size):
        rows = np.arange(first, min(first + size, len(z)))
        for done in range(0, iterations, ROUND):
            count = min(ROUND, iterations - done)
            theta[rows], objective[rows], left = _descend(
                form, points, z[rows], weights[rows], theta[rows], mean[rows], precision, count
            )
            rows = rows[left]
            if not len(rows):
                break
    return theta, objective


def _descend(
    form: Form, points: Points, z: Array, weights: Array, theta: Array, mean: Array, precision: Array, iterations: int
) -> tuple[Array, Array, Array]:
    """Levenberg-Marquardt steps; the third result says which rows still gain."""

    def objective(value: Array, theta: Array) -> Array:
        size = np.abs(z - value) * root
        q = theta - mean
        return np.where(size < HUBER, size**2, HUBER * (2 * size - HUBER)).sum(1) + ((q @ precision) * q).sum(1)

    root, diagonal = np.sqrt(weights), np.arange(theta.shape[1])
    value, slopes = form.evaluate(theta, points)
    current, damping, left = objective(value, theta), np.full(len(z), 1e-3), np.ones(len(z), dtype=bool)
    for _ in range(iterations):
        residual = z - value
        bounded = weights * np.minimum(1.0, HUBER / np.maximum(np.abs(residual) * root, 1e-300))
        turned = (slopes * bounded[..., None]).transpose(0, 2, 1)
        hessian = np.matmul(turned, slopes) + precision
        gradient = np.matmul(turned, residual[..., None])[..., 0] - (theta - mean) @ precision
        hessian[:, diagonal, diagonal] *= 1 + damping[:, None]
        trial = theta + np.clip(np.linalg.solve(hessian, gradient[..., None])[..., 0], -STEP, STEP)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            new_value, new_slopes = form.evaluate(trial, points)
            new = objective(new_value, trial)
        better = new < current
        left = np.where(better, current - new > GAIN * np.maximum(current, 1.0), damping < 1e6)
        np.copyto(theta, trial, where=better[:, None])
        np.copyto(value, new_value, where=better[:, None])
        if better.all():
            slopes = new_slopes
        else:
            np.copyto(slopes, new_slopes, where=better[:, None, None])
        current = np.where(better, new, current)
        damping = np.where(better, damping / 6, damping * 6)
        if not left.any():
            break
    return theta, current, left
