"""Draws of a law's parameters and of what is measured at a mixture: randomised maximum a posteriori.

Each draw perturbs the values by the noise of the fit and the prior's mean by the prior, and fits again. For a law linear in its
parameters these are draws of the posterior; for others they follow its curvature, which a normal approximation does not. The noise
is drawn with the uncertainty of its own estimate. It holds what seeds add and what the law misses: both meet whoever trains a new
mixture.
"""

from dataclasses import dataclass

import numpy as np

from transferlaws.mixtures.fit import Fit, minimise
from transferlaws.mixtures.points import Array, Points

REFIT = 12
"""Steps of a draw's fit, which starts at the estimate."""


@dataclass(frozen=True)
class Draws:
    """B draws for each of T targets of a fit."""

    fit: Fit
    thetas: Array
    """(T, B, P)."""
    noise: Array
    """(T, B) standard deviations, in units of the fit's scale."""
    shape: Array
    """(T, n) residuals with mean square 1, from which the noise of a new mixture is drawn; NaN where a point was left out."""

    def predict(self, points: Points) -> Array:
        """The law's values, (T, B, m), in the unit of the values."""
        targets, count, width = self.thetas.shape
        values = self.fit.form.predict(self.thetas.reshape(-1, width), points)
        return np.broadcast_to(values, (targets * count, len(points))).reshape(targets, count, -1) * self.fit.scale[:, None, None]

    def measured(self, points: Points, generator: np.random.Generator) -> Array:
        """What one run of each mixture would show, (T, B, m): the law's values with noise of their own."""
        values = self.predict(points)
        for target, shape in enumerate(self.shape):
            known = shape[np.isfinite(shape)]
            sign = generator.choice([-1.0, 1.0], size=values.shape[1:])
            chosen = known[generator.integers(len(known), size=values.shape[1:])] * sign
            values[target] += chosen * (self.noise[target] * self.fit.scale[target])[:, None]
        return values


def draw(fit: Fit, count: int, generator: np.random.Generator, *, mixtures: Array | None = None) -> Draws:
    """Draw `count` times for every target.

    mixtures (n,): which mixture a point is of. Points of one mixture (rungs of one trajectory) share a part of their noise, as
    large as their residuals say; left out, every point is on its own.
    """
    targets, points = fit.values.shape
    width = fit.theta.shape[1]
    degrees = fit.degrees[:, None]
    noise = fit.noise[:, None] * np.sqrt(degrees / generator.chisquare(degrees, size=(targets, count)))
    standard = np.where(fit.include, fit.residuals / (fit.noise[:, None] * np.sqrt(np.clip(1 - fit.leverage, 0.05, 1))), np.nan)
    together = _shared_part(standard, mixtures)
    own = generator.standard_normal((targets, count, points)) * np.sqrt(1 - together)[:, None, None]
    if mixtures is not None and together.any():
        _, group = np.unique(mixtures, return_inverse=True)
        effect = generator.standard_normal((targets, count, group.max() + 1))
        own = own + (effect * np.sqrt(together)[:, None, None])[..., group]
    z = fit.values[:, None] + own * noise[..., None]
    spread = np.linalg.cholesky(np.linalg.inv(fit.precision))
    mean = fit.prior_mean[:, None] + generator.standard_normal((targets, count, width)) @ spread.T
    weights = np.broadcast_to((fit.include / fit.noise[:, None] ** 2)[:, None], z.shape)
    start = np.broadcast_to(fit.theta[:, None], mean.shape)
    theta, _ = minimise(
        fit.form,
        fit.points,
        *(part.reshape(targets * count, -1) for part in (z, weights, start, mean)),
        fit.precision,
        REFIT,
    )
    shape = standard / np.sqrt(np.nanmean(standard**2, axis=1, keepdims=True))
    return Draws(fit, theta.reshape(targets, count, width), noise, shape)


def _shared_part(standard: Array, mixtures: Array | None) -> Array:
    """(T,) share of the residuals' variance that points of one mixture have in common: the mean product of their pairs."""
    if mixtures is None:
        return np.zeros(len(standard))
    same = (mixtures[:, None] == mixtures[None, :]) & ~np.eye(len(mixtures), dtype=bool)
    if not same.any():
        return np.zeros(len(standard))
    filled = np.nan_to_num(standard)
    known = np.isfinite(standard).astype(float)
    pairs = np.einsum("ti,ij,tj->t", known, same.astype(float), known)
    product = np.einsum("ti,ij,tj->t", filled, same.astype(float), filled)
    return np.clip(product / np.maximum(pairs, 1), 0, 0.95)
