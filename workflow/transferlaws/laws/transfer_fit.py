"""D_T = k D_F^alpha N^beta fitted to losses, no fine-tuned point left out.

A fine-tuned model of N parameters has the loss of a from-scratch one with D_E = D_F + D_T data. So the measured from-scratch
curve of N is read at D_E(theta) and compared with the measured loss: a regression of ln L, whose noise is alike in all points.
Inverting the curve at each loss instead, as the paper does, needs points to be dropped where D_T comes out below 0 or beyond the
curve; which ones, their noise decides, and alpha and beta are biased. Here D_T below 0 is a residual like any other, and a loss
below the end of its curve says only that D_E is beyond it: a censored observation (Tobit).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from transferlaws.laws.forms.form import Design
from transferlaws.laws.scratch import Curves, ScratchCurve
from transferlaws.statistics.arrays import Array, basis_of, indicators_of
from transferlaws.statistics.noise import NoiseEvidence, draw_noise

HUBER = 2.5  # residuals beyond this many standard deviations count linearly
ITERATIONS = 100
EXACT = 1e-4  # as far as a curve is known between its points, however little a loss is noisy
LARGEST = 60.0  # bound of |ln D_T|: nothing overflows


@dataclass(frozen=True)
class Tuned:
    """Fine-tuned points of one group, and the from-scratch curves they are read against."""

    rows: Array  # (n,) index into the rows of the source table
    finetuning: Array  # (n,) D_F
    parameters: Array  # (n,) N
    scratch: dict[float, ScratchCurve]

    def curves(self, log_losses: Array) -> dict[float, Curves]:
        """Of every size, for every data set; log_losses (B, all rows)."""
        return {size: curve.curves(log_losses) for size, curve in self.scratch.items()}

    def read(self, curves: dict[float, Curves], log_size: Array) -> tuple[Array, Array]:
        """Ln L of each point's own curve at log_size (B, n), and its derivative."""
        value, slope = np.empty(log_size.shape), np.empty(log_size.shape)
        for size, own in curves.items():
            mine = self.parameters == size
            value[:, mine], slope[:, mine] = own.at(log_size[:, mine])
        return value, slope

    def ends(self, curves: dict[float, Curves]) -> tuple[Array, Array]:
        """Ln L at the first and last D of each point's curve, (B, n)."""
        first = np.stack([curves[n].values[:, 0] for n in self.parameters], axis=1)
        return first, np.stack([curves[n].values[:, -1] for n in self.parameters], axis=1)


@dataclass(frozen=True)
class Fits:
    """Optima of B data sets."""

    theta: Array  # (B, 3)
    objective: Array  # (B,)
    predicted: Array  # (B, n) ln L
    converged: Array  # (B,)

    def at(self, k: int) -> "Fits":
        """One of them."""
        return Fits(*(part[k : k + 1] for part in (self.theta, self.objective, self.predicted, self.converged)))


def fit(tuned: Tuned, design: Design, *, log_losses: Array, start: Array, deviation: Array) -> Fits:
    """Least censored Huber loss; log_losses (B, all rows), start (B, 3), deviation (B,) standard deviation of one ln L."""
    curves = tuned.curves(log_losses)
    # the error of its curve adds to that of a loss
    deviation = np.maximum(deviation, EXACT) * np.sqrt(
        1 + 1 / np.mean([len(c.rows) / len(c.sizes) for c in tuned.scratch.values()])
    )
    observed = log_losses[:, tuned.rows]
    first, last = tuned.ends(curves)
    columns = np.hstack([np.ones((len(design.logs), 1)), design.logs])
    own = np.log(tuned.finetuning)
    sigma = deviation[:, None]
    better_than_all, worse_than_all = observed < last, observed > first

    def state(theta: Array) -> tuple[Array, Array, Array, Array, Array]:
        transferred = np.clip(theta @ columns.T + design.level, -LARGEST, LARGEST)
        effective = np.logaddexp(own, transferred)
        predicted, slope = tuned.read(curves, effective)
        jacobian = (slope * np.exp(transferred - effective))[..., None] * columns / sigma[..., None]
        z = (observed - predicted) / sigma
        size = np.abs(z)
        loss = np.where(size <= HUBER, 0.5 * z * z, HUBER * (size - 0.5 * HUBER))
        weight = np.minimum(1.0, HUBER / np.maximum(size, 1e-300))
        pull = weight * z
        for beyond, bound, sign in ((better_than_all, last, 1.0), (worse_than_all, first, -1.0)):
            a = sign * (bound - predicted) / sigma  # the loss is known to be on this side of the bound, nothing else
            logs = log_ndtr(a)
            ratio = np.exp(-0.5 * a * a - 0.5 * np.log(2 * np.pi) - logs)
            loss = np.where(beyond, -logs, loss)
            pull = np.where(beyond, -sign * ratio, pull)
            weight = np.where(beyond, np.clip(ratio * (ratio + a), 0.0, 1.0), weight)
        return loss.sum(axis=1), jacobian, pull, weight, predicted

    theta = np.array(start, dtype=float)
    objective, jacobian, pull, weight, predicted = state(theta)
    damping = np.full(len(theta), 1e-2)
    converged = np.zeros(len(theta), dtype=bool)
    identity = np.eye(theta.shape[1])
    for _ in range(ITERATIONS):
        gradient = np.einsum("bnp,bn->bp", jacobian, pull)
        matrix = np.einsum("bnp,bn,bnq->bpq", jacobian, weight, jacobian)
        diagonal = np.einsum("bpp->bp", matrix)
        matrix = matrix + (damping[:, None] * np.maximum(diagonal, 1e-9) + 1e-9)[..., None] * identity
        step = np.linalg.solve(matrix, gradient[..., None])[..., 0]
        trial = theta + np.clip(step, -3.0, 3.0)
        found = state(trial)
        better = found[0] <= objective
        converged |= (np.abs(objective - found[0]) < 1e-9 * (1 + objective)) & (np.abs(step).max(axis=1) < 1e-4)
        theta = np.where(better[:, None], trial, theta)
        objective = np.where(better, found[0], objective)
        jacobian = np.where(better[:, None, None], found[1], jacobian)
        pull, weight, predicted = (
            np.where(better[:, None], new, old) for new, old in zip(found[2:], (pull, weight, predicted), strict=True)
        )
        damping = np.where(better, damping * 0.2, np.maximum(damping * 8, 1e-4))
        if converged.all():
            break
    return Fits(theta, objective, predicted, converged)


@dataclass(frozen=True)
class Refits:
    """Parametric bootstrap: noise around the fitted losses, inversion and all; and what it says of the misfit."""

    theta: Array  # (B, 3), refits that reached an optimum
    drawn: Array  # (B, all rows) ln L that they were fitted to
    noise: Array  # (B, all rows)
    lost: float
    """Share of refits that reached none."""
    p_value: float | None
    """That means of the fine-tuned cells miss the law as far as they do by noise, that of their from-scratch curves included."""


def refit(
    tuned: Tuned,
    design: Design,
    best: Fits,
    *,
    log_losses: Array,
    runs: Array,
    test_noise: Array,
    replicates: Array,
    evidence: NoiseEvidence,
    count: int,
    generator: np.random.Generator,
) -> Refits:
    """Draw and fit `count` data sets.

    log_losses, runs and test_noise have shape (all rows,); replicates (all rows, q) holds the indicators of cells and runs.

    The from-scratch points scatter around their isotonic means and the fine-tuned ones around their prediction, not around
    themselves: noise upon noise would bend the curves twice.
    """
    centre = log_losses.copy()
    for curve in tuned.scratch.values():
        centre[curve.rows] = curve.curves(log_losses[None]).values[0, curve.index]
    centre[tuned.rows] = best.predicted[0]
    drawn = centre + draw_noise(runs=runs, test_noise=test_noise, evidence=evidence, count=count, generator=generator)
    inside = basis_of(replicates)
    freedom = len(log_losses) - inside.shape[1]

    def scatter(values: Array) -> Array:
        left = values - (values @ inside) @ inside.T
        return np.maximum(np.sqrt((left**2).sum(axis=1) / freedom), EXACT)

    deviation = scatter(drawn) * np.sqrt(1 + evidence.run_variance / max(evidence.residual_variance, EXACT**2))
    found = fit(tuned, design, log_losses=drawn, start=np.repeat(best.theta, count, axis=0), deviation=deviation)
    good = found.converged & np.isfinite(found.theta).all(axis=1)
    p_value = _misfit(
        _gaps(tuned, drawn, found)[good] / scatter(drawn)[good, None],
        _gaps(tuned, log_losses[None], best)[0] / scatter(log_losses[None])[0],
        design.x,
    )
    return Refits(found.theta[good], drawn[good], (drawn - centre)[good], float(1 - good.mean()), p_value)


def inside(tuned: Tuned, design: Design, refits: Refits, *, log_losses: Array, level: float) -> float:
    """Share of points, fitted or not, whose loss is in the interval that the refits give a new run; design holds their x."""
    columns = np.hstack([np.ones((len(design.logs), 1)), design.logs])
    transferred = np.clip(refits.theta @ columns.T + design.level, -LARGEST, LARGEST)
    predicted, _ = tuned.read(tuned.curves(refits.drawn), np.logaddexp(np.log(tuned.finetuning), transferred))
    low, high = np.quantile(predicted + refits.noise[:, tuned.rows], [(1 - level) / 2, (1 + level) / 2], axis=0)
    observed = log_losses[tuned.rows]
    return float(((low <= observed) & (observed <= high)).mean())


def _gaps(tuned: Tuned, log_losses: Array, fits: Fits) -> Array:
    """How far each fine-tuned ln L is from its prediction, both cut at the end of the curve; (B, n)."""
    _, last = tuned.ends(tuned.curves(log_losses))
    return np.maximum(log_losses[:, tuned.rows], last) - np.maximum(fits.predicted, last)


def _misfit(drawn: Array, found: Array, x: Array) -> float | None:
    """Share of draws whose cell means are farther from the law than the measured ones, in the metric of the draws' own scatter."""
    cells = np.unique(x, axis=0, return_inverse=True)[1].ravel()
    means = indicators_of(cells) / np.bincount(cells)
    if means.shape[1] <= 3 or len(drawn) < 100:
        return None
    drawn, found = drawn @ means, found @ means
    if not drawn.any():
        return None  # equal seeds: nothing says how far is far
    covariance = drawn.T @ drawn / len(drawn)
    covariance += 0.05 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    inverse = np.linalg.inv(covariance)
    distance = np.einsum("bi,ij,bj->b", drawn, inverse, drawn)
    return float((1 + (distance >= found @ inverse @ found).sum()) / (len(drawn) + 1))
