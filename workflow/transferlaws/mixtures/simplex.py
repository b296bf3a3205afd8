"""Mixtures that are allowed, and the best of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transferlaws.errors import UserError
from transferlaws.mixtures.form import Form
from transferlaws.mixtures.points import Array, Points

STEPS = 80
SLOPE = 1e-6
"""Share by which a derivative is taken."""


@dataclass(frozen=True)
class Limits:
    """Least and most share of each corpus, (k,)."""

    low: Array
    high: Array

    def holds(self, weights: Array) -> Array:
        """Whether mixtures (..., k) are allowed."""
        return ((weights >= self.low - 1e-9) & (weights <= self.high + 1e-9)).all(-1)


def limits(
    corpora: Sequence[str],
    *,
    least: dict[str, float] | None = None,
    most: dict[str, float] | None = None,
    available: dict[str, float] | None = None,
    passes: float | None = None,
    tokens: float | None = None,
) -> Limits:
    """What shares and the text that exists allow: h_i tokens <= passes available_i.

    Raises `UserError` for unknown corpora, shares outside 0-1 and limits that no mixture keeps.
    """
    for name, setting in (("minimum_share", least), ("maximum_share", most), ("available_tokens", available)):
        if unknown := set(setting or {}) - set(corpora):
            raise UserError(f"{name}: {', '.join(sorted(unknown))}: no such corpus. The corpora are {', '.join(corpora)}.")
    low = np.array([(least or {}).get(name, 0.0) for name in corpora])
    high = np.array([(most or {}).get(name, 1.0) for name in corpora])
    if available:
        if not tokens:
            raise UserError("available_tokens: given without target_tokens. Say how many tokens the mixture is trained on.")
        high = np.minimum(high, [available.get(name, np.inf) * (passes or 1.0) / tokens for name in corpora])
    if (low < 0).any() or (low > high + 1e-12).any() or low.sum() > 1 + 1e-9 or high.sum() < 1 - 1e-9:
        text = "; ".join(f"{name} {a:.3g} to {b:.3g}" for name, a, b in zip(corpora, low, high, strict=True))
        raise UserError(
            f"No mixture keeps these shares: {text}. They must allow a sum of 1: lower a minimum, raise a maximum, allow more "
            "passes or fewer target_tokens."
        )
    return Limits(low, np.minimum(high, 1.0))


def project(weights: Array, allowed: Limits) -> Array:
    """The nearest allowed mixture to each of (..., k): shares moved by one amount, then cut to their limits."""
    below = (weights - allowed.high).min(-1, keepdims=True)
    above = (weights - allowed.low).max(-1, keepdims=True)
    for _ in range(60):
        middle = (below + above) / 2
        more = np.clip(weights - middle, allowed.low, allowed.high).sum(-1, keepdims=True) > 1
        below, above = np.where(more, middle, below), np.where(more, above, middle)
    found = np.clip(weights - above, allowed.low, allowed.high)
    return found / found.sum(-1, keepdims=True)


def sample(allowed: Limits, count: int, generator: np.random.Generator) -> Array:
    """(count, k) allowed mixtures: a third spread evenly, a third sparse, a third with few corpora."""
    corpora = len(allowed.low)
    parts = [generator.dirichlet(np.full(corpora, a), size=count // 3 + 1) for a in (1.0, 0.3, 0.1)]
    return project(np.concatenate(parts)[:count], allowed)


def slopes(form: Form, thetas: Array, points: Points, weights: Array) -> tuple[Array, Array]:
    """Values (B,) and derivatives (B, k) in each share, the others held, at weights (B, k) for thetas (B, P)."""
    corpora = weights.shape[-1]
    moved = np.concatenate([weights[:, None], weights[:, None] + SLOPE * np.eye(corpora)], axis=1)
    values = form.predict(thetas, points.at(moved))
    return values[:, 0], (values[:, 1:] - values[:, :1]) / SLOPE


def best_mixtures(form: Form, thetas: Array, points: Points, allowed: Limits, pool: Array) -> tuple[Array, Array]:
    """The allowed mixture with the least value for each of thetas (B, P): weights (B, k) and values (B,).

    Starts at the best of `pool` (m, k) and descends along the projected slope; the step of each row is halved where it fails.
    """
    values = np.broadcast_to(form.predict(thetas, points.at(pool)), (len(thetas), len(pool)))
    chosen = values.argmin(1)
    weights, current = pool[chosen].copy(), values[np.arange(len(thetas)), chosen]
    step = np.full(len(thetas), 0.1)
    for _ in range(STEPS):
        _, slope = slopes(form, thetas, points, weights)
        slope = slope - slope.mean(1, keepdims=True)
        size = np.maximum(np.abs(slope).max(1, keepdims=True), 1e-300)
        trial = project(weights - step[:, None] * slope / size, allowed)
        value = form.predict(thetas, points.at(trial[:, None]))[:, 0]
        better = value < current
        weights, current = np.where(better[:, None], trial, weights), np.where(better, value, current)
        step = np.clip(np.where(better, step * 1.5, step / 2.5), 1e-9, 1.0)
        if (step <= 1e-7).all():
            break
    return weights, current
