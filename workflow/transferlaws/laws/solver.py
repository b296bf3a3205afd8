"""Least Huber loss on log residuals, for thousands of data sets at once.

The objective is summed, never averaged: an averaged one ends optimisers early (the cause of Chinchilla's published coefficients;
Besiroglu et al. 2024). The step is a damped Newton step: the Hessian of the Huber loss, plus a multiple of the reweighted
least-squares (IRLS) matrix that a replicate turns up when its step fails and down when it succeeds. Large damping is a short IRLS
step, which cannot fail; none is Newton's, which ends quadratically even where nearly all residuals are in the linear part.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferlaws.laws.forms.form import Design, Form
from transferlaws.statistics.arrays import Array

POLISHED = 12  # grid points taken to the optimum
RELATIVE = 1e-11  # promised reduction below this share of the objective: converged
AGREEMENT = 1e-7  # optima whose objectives differ by less, relatively, are the same


@dataclass(frozen=True)
class Solution:
    """Optima of B data sets."""

    theta: Array  # (B, P) internal parameters
    objective: Array  # (B,) summed Huber loss
    gradient_norm: Array  # (B,) norm of the free gradient in units of the objective's own curvature, see `minimise`
    converged: NDArray[np.bool_]  # (B,)


@dataclass(frozen=True)
class PointFit:
    """The best of many starts, and how far they agree."""

    theta: Array  # (P,)
    objective: float
    gradient_norm: float
    converged: bool
    starts: int
    agreeing: int
    """Number of polished starts that ended at the same objective (relative difference below 1e-7)."""


def huber(residuals: Array, delta: float) -> Array:
    """Huber loss: r^2 / 2 within delta, delta * (|r| - delta / 2) beyond; infinite where a residual is not finite."""
    size = np.abs(residuals)
    loss = np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta)) if np.isfinite(delta) else 0.5 * size * size
    return np.where(np.isfinite(loss), loss, np.inf)


def minimise(
    *,
    form: Form,
    design: Design,
    log_values: Array,
    start: Array,
    delta: float,
    weights: Array | None = None,
    fixed: tuple[int, ...] = (),
    iterations: int = 200,
) -> Solution:
    """Minimise the summed Huber loss of B data sets from one start each.

    log_values has shape (B, n) or (n,), centred by `design.level`; start (B, P); weights (B, n) or None, for resampled runs;
    `fixed` parameters keep their starting value (profiles). delta = inf gives least squares. Bounds are kept by projection: a
    parameter at its bound whose gradient points outward is held there for the step.

    The gradient norm reported is the Newton decrement, sqrt(g' H^-1 g) over the free parameters: the distance to the optimum in
    log-residual units, whatever the parameters' scales.
    """
    theta = np.clip(np.array(start, dtype=float), form.lower, form.upper)
    count = len(theta)
    log_values = np.broadcast_to(log_values, (count, design.x.shape[0]))
    held = np.zeros(form.size, dtype=bool)
    held[list(fixed)] = True

    def loss(values: Array, of: Array, weight: Array | None) -> tuple[Array, Array, Array]:
        log, jacobian = form.log_prediction(of, design)
        residuals = values - log
        terms = huber(residuals, delta)
        return residuals, jacobian, (terms if weight is None else terms * weight).sum(axis=1)

    damping = np.ones(count)
    decrement = np.full(count, np.inf)
    converged = np.zeros(count, dtype=bool)
    objective = np.empty(count)
    active = np.arange(count)
    values, weight = log_values, weights
    residuals, jacobian, current = loss(values, theta, weight)
    objective[:] = current
    for _ in range(iterations):
        gradient, hessian, irls = _derivatives(residuals, jacobian, weight, delta)
        here = theta[active]
        stuck = held | ((here <= form.lower) & (gradient > 0)) | ((here >= form.upper) & (gradient < 0))
        step, promised = _step(gradient, hessian, irls, damping[active], stuck)
        decrement[active] = np.sqrt(2 * np.abs(promised))
        trial = np.clip(here + step, form.lower, form.upper)
        new_residuals, new_jacobian, new = loss(values, trial, weight)
        better = new < current
        theta[active[better]] = trial[better]
        objective[active[better]] = new[better]
        floor = RELATIVE * current + 1e-28
        # a step that promises nothing more is the end, taken or not; so is a replicate that no damping helps
        finished = (np.abs(promised) < floor) & (damping[active] < 1.0)
        finished |= (current - new < floor) & better & (damping[active] < 1e-3)
        lost = damping[active] > 1e12
        converged[active[finished]] = True
        converged[active[lost & (decrement[active] < 1e-6)]] = True
        damping[active] = np.where(better, damping[active] * 0.2, np.maximum(damping[active] * 6.0, 1e-3))
        damping[active] = np.where(better & (damping[active] < 1e-9), 0.0, damping[active])
        residuals = np.where(better[:, None], new_residuals, residuals)
        jacobian = np.where(better[:, None, None], new_jacobian, jacobian)
        current = np.where(better, new, current)
        keep = ~(finished | lost)
        if not keep.any():
            break
        if not keep.all():
            active, residuals, jacobian, current = active[keep], residuals[keep], jacobian[keep], current[keep]
            values, weight = values[keep], None if weight is None else weight[keep]
    return Solution(theta, objective, decrement, converged)


def _derivatives(residuals: Array, jacobian: Array, weights: Array | None, delta: float) -> tuple[Array, Array, Array]:
    """Gradient (B, P), Hessian of the Huber loss without second derivatives of the law, and IRLS matrix (B, P, P)."""
    size = np.abs(residuals)
    inside = (size <= delta).astype(float)
    ratio = np.minimum(1.0, delta / np.maximum(size, 1e-300)) if np.isfinite(delta) else np.ones_like(size)
    if weights is not None:
        inside, ratio = inside * weights, ratio * weights
    transposed = jacobian.transpose(0, 2, 1)
    gradient = -(transposed @ (ratio * residuals)[..., None])[..., 0]
    irls = (transposed * ratio[:, None, :]) @ jacobian
    hessian = irls if not np.isfinite(delta) else (transposed * inside[:, None, :]) @ jacobian
    return gradient, hessian, irls


def _step(gradient: Array, hessian: Array, irls: Array, damping: Array, stuck: Array) -> tuple[Array, Array]:
    """Damped Newton step over the parameters that are not stuck, and the reduction it promises."""
    free = ~stuck
    diagonal = np.diagonal(irls, axis1=1, axis2=2)
    matrix = hessian + damping[:, None, None] * irls
    size = gradient.shape[1]
    matrix = matrix * (free[:, :, None] & free[:, None, :])
    ridge = 1e-13 * diagonal + damping[:, None] * 1e-6 * diagonal + 1e-300
    matrix[:, range(size), range(size)] += np.where(free, ridge, 1.0)
    right = np.where(free, -gradient, 0.0)
    # unit diagonal, so that parameters of very different scale do not look singular
    scale = 1 / np.sqrt(np.maximum(np.diagonal(matrix, axis1=1, axis2=2), 1e-300))
    scaled = matrix * scale[:, :, None] * scale[:, None, :]
    scaled[:, range(size), range(size)] += 1e-13
    step = np.linalg.solve(scaled, (right * scale)[..., None])[..., 0] * scale
    return step, 0.5 * np.einsum("bp,bp->b", step, right)


def minimise_from_least_squares(
    *, form: Form, design: Design, log_values: Array, start: Array, delta: float, weights: Array | None = None
) -> Solution:
    """Least squares first, then the Huber loss from there.

    Where residuals exceed delta the loss is flat between two seeds at the same x, so that its optimum is a region: this takes the
    point of it that least squares prefers. Started elsewhere, refits would stay where they began and intervals be too narrow.
    """
    least = minimise(form=form, design=design, log_values=log_values, start=start, delta=np.inf, weights=weights)
    return minimise(form=form, design=design, log_values=log_values, start=least.theta, delta=delta, weights=weights)


def fit_point(*, form: Form, design: Design, log_values: Array, delta: float, starts: Array | None = None) -> PointFit:
    """Best fit of one data set: the form's dense start grid, its best points polished, their agreement counted.

    log_values has shape (n,), centred by `design.level`. `starts` of shape (K, P) replaces the grid (named protocols).
    """
    grid = form.starts(design, log_values) if starts is None else starts
    if len(grid) > POLISHED and starts is None:
        cost = huber(log_values - form.log_prediction(np.clip(grid, form.lower, form.upper), design)[0], delta).sum(axis=1)
        grid = grid[np.argsort(cost, kind="stable")[:POLISHED]]
    solution = minimise(form=form, design=design, log_values=log_values, start=grid, delta=delta)
    best = int(np.argmin(solution.objective))
    low = solution.objective[best]
    same = solution.objective <= low * (1 + AGREEMENT) + 1e-24
    settled = minimise_from_least_squares(
        form=form, design=design, log_values=log_values, start=solution.theta[best][None], delta=delta
    )
    if settled.objective[0] <= low * (1 + AGREEMENT) + 1e-24:
        solution, best = settled, 0
    return PointFit(
        theta=solution.theta[best],
        objective=float(solution.objective[best]),
        gradient_norm=float(solution.gradient_norm[best]),
        converged=bool(solution.converged[best]),
        starts=len(grid),
        agreeing=int(same.sum()),
    )
