"""The procedure of Hernandez et al. 2021 as it is published, for `protocol: hernandez`.

The from-scratch curve of each N is inverted at the loss of a fine-tuned model; points beyond the curve and points with D_T <= 0 are
left out; a logit fit per D_F, then a fit of the fits. The default (`transfer_fit.py`) leaves no point out, because which ones their
noise decides.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from transferlaws.laws.bootstrap import Bootstrap
from transferlaws.laws.estimate import PointCurve
from transferlaws.laws.forms.form import Design
from transferlaws.laws.law import Law
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.solver import PointFit, huber
from transferlaws.seeding import generator
from transferlaws.statistics.arrays import Array, indicators_of
from transferlaws.statistics.noise import NoiseEvidence, draw_noise
from transferlaws.statistics.tests import isotonic


def monotone_cubic(x: Array, y: Array, at: Array) -> Array:
    """Monotone cubic interpolation (Fritsch and Carlson's slopes, as in scipy's PchipInterpolator) of many curves at once.

    x (B, m) increasing, y (m,), at (B, k) -> (B, k). Beyond the ends it goes on with the slope of the outermost interval.
    """
    width = np.diff(x, axis=1)
    slope = np.diff(y) / width
    if x.shape[1] == 2:
        tangent = np.hstack([slope, slope])
    else:
        left, right = 2 * width[:, 1:] + width[:, :-1], width[:, 1:] + 2 * width[:, :-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            inner = (left + right) / (left / slope[:, :-1] + right / slope[:, 1:])
        inner = np.where(slope[:, :-1] * slope[:, 1:] > 0, inner, 0.0)
        tangent = np.hstack([_end(width, slope, 0, 1)[:, None], inner, _end(width, slope, -1, -2)[:, None]])
    piece = np.clip((at[:, :, None] >= x[:, None, 1:-1]).sum(axis=2), 0, x.shape[1] - 2)
    rows = np.arange(len(x))[:, None]
    h = width[rows, piece]
    t = (at - x[rows, piece]) / h
    inside = np.clip(t, 0.0, 1.0)
    low, high = y[piece], y[piece + 1]
    cubic = (
        low * (1 + 2 * inside) * (1 - inside) ** 2
        + high * inside**2 * (3 - 2 * inside)
        + h * tangent[rows, piece] * inside * (1 - inside) ** 2
        - h * tangent[rows, piece + 1] * inside**2 * (1 - inside)
    )
    return cubic + (t - inside) * h * slope[rows, piece]


def _end(width: Array, slope: Array, near: int, far: int) -> Array:
    """One-sided three-point slope at an end, kept monotone."""
    h0, h1, d0, d1 = width[:, near], width[:, far], slope[:, near], slope[:, far]
    value = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)
    value = np.where(np.sign(value) != np.sign(d0), 0.0, value)
    return np.where((np.sign(d0) != np.sign(d1)) & (np.abs(value) > 3 * np.abs(d0)), 3 * d0, value)


@dataclass(frozen=True)
class Inversion:
    """From-scratch curves of one task, to be inverted: which rows they are made of, by model size."""

    curves: dict[float, tuple[Array, Array]]  # N -> (rows of the scratch points, index of their D among the distinct ones)
    sizes: dict[float, Array]  # N -> distinct D, increasing

    def effective(self, log_losses: Array, *, parameters: Array, rows: Array) -> Array:
        """D_E of fine-tuned rows; log_losses (B, all rows), parameters and rows (k,) -> (B, k)."""
        found = np.full((len(log_losses), len(rows)), np.nan)
        for size, (scratch, index) in self.curves.items():
            mine = np.flatnonzero(parameters == size)
            means = log_losses[:, scratch] @ (indicators_of(index) / np.bincount(index))
            # increasing in D; equal neighbours are set apart by less than any loss is known to
            rising = isotonic(-means, np.bincount(index).astype(float)) + 1e-9 * np.arange(means.shape[1])
            found[:, mine] = np.exp(monotone_cubic(rising, np.log(self.sizes[size]), -log_losses[:, rows[mine]]))
        return found


def logit_fit(log_transferred: Array, weights: Array, design: Design) -> Array:
    """The paper's procedure: a logit fit per D_F, then a fit of the fits with equal weight to each D_F (appendix C).

    logit(D_T / (D_F + D_T)) = beta (ln N - ln N*), beta common (the mean over D_F), N* of each D_F; then ln N* is linear in ln D_F
    with slope (1 - alpha) / beta. log_transferred and weights (B, n), 0 for points left out -> internal parameters (B, 3).
    """
    sizes, index = np.unique(design.x[:, 0], return_inverse=True)
    member = indicators_of(index)
    logit, log_n = log_transferred - np.log(design.x[:, 0]), np.log(design.x[:, 1])
    count = weights @ member
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_n, mean_y = (weights * log_n) @ member / count, (weights * logit) @ member / count
        spread = (weights * log_n**2) @ member - count * mean_n**2
        slope = ((weights * log_n * logit) @ member - count * mean_n * mean_y) / np.where(spread > 1e-9, spread, np.nan)
        sloped = np.isfinite(slope)
        beta = np.where(sloped, slope, 0.0).sum(axis=1, keepdims=True) / sloped.sum(axis=1, keepdims=True)
        half = mean_n - mean_y / beta  # ln N*
    known = np.isfinite(half)
    log_f = np.where(known, np.log(sizes), 0.0)
    half = np.where(known, half, 0.0)
    total = np.maximum(known.sum(axis=1), 1)
    centre_f, centre_h = log_f.sum(axis=1) / total, half.sum(axis=1) / total
    covariance = (log_f * half).sum(axis=1) - total * centre_f * centre_h
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = covariance / ((log_f**2).sum(axis=1) - total * centre_f**2)
    beta = beta[:, 0]
    alpha = 1 - beta * rise
    log_k = -beta * (centre_h - rise * centre_f)
    return np.stack([log_k + alpha * design.centre[0] + beta * design.centre[1] - design.level, alpha, beta], axis=1)


def logit_point(curve: PointCurve, law: Law, settings: FitSettings) -> PointFit:
    """The procedure's estimate of one group."""
    values = (curve.log_values + curve.design.level)[None]
    theta = logit_fit(values, np.ones_like(values), curve.design)[0]
    residuals = curve.log_values - law.form.log_prediction(theta[None], curve.design)[0][0]
    loss = float(huber(residuals, settings.delta).sum())
    return PointFit(theta=theta, objective=loss, gradient_norm=0.0, converged=bool(np.isfinite(theta).all()), starts=1, agreeing=1)


def logit_bootstrap(
    curve: PointCurve, inversion: Inversion, source: pd.DataFrame, *, evidence: NoiseEvidence, law: Law, settings: FitSettings
) -> Bootstrap:
    """Inversion and fits repeated on losses drawn with noise; draws that no fit can be made of are left out."""
    form, design, count = law.form, curve.design, settings.bootstraps
    points = curve.group.points[curve.group.points.role == "fit"]
    if evidence.residual_freedom == 0:
        return Bootstrap(np.empty((0, form.size)), np.empty((0, len(points))), None, np.empty(0))
    stream = generator(settings.seed, "bootstrap", form.name, curve.group.metric, sorted(curve.group.key.items()))
    runs = source.groupby(["mixture", curve.group.columns[1], "seed"]).ngroup().to_numpy()
    shared = (source.noise / source.value).to_numpy(float)
    noise = draw_noise(runs=runs, test_noise=shared, evidence=evidence, count=count, generator=stream)
    rows = pd.Index(source.row).get_indexer(points.row)
    effective = inversion.effective(
        np.log(source.value.to_numpy(float)) + noise, parameters=points[curve.group.columns[1]].to_numpy(float), rows=rows
    )
    transferred = effective - points[curve.group.columns[0]].to_numpy(float)
    usable = (transferred > 0) & np.isfinite(transferred)
    log_values = np.where(usable, np.log(np.where(usable, transferred, 1.0)), design.level) - design.level
    weights = usable.astype(float)
    thetas = logit_fit(log_values + design.level, weights, design)
    return Bootstrap(thetas[np.isfinite(thetas).all(axis=1)], log_values, weights, np.zeros(count))
