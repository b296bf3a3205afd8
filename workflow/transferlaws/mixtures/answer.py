"""From draws of a law to what to train: the best mixture as a set, the chance of each measured one, what each corpus is worth."""

from dataclasses import dataclass

import numpy as np

from transferlaws.mixtures.draws import Draws
from transferlaws.mixtures.points import Array, Points
from transferlaws.mixtures.simplex import Limits, best_mixtures, project, sample, slopes

OPTIMA = 400
"""Draws whose optimum is searched."""
SHARE = 0.01
"""Share of the tokens whose move the worth of a corpus is told for."""


@dataclass(frozen=True)
class Optimum:
    """The proposed mixture of one target, and every mixture that it cannot be told from. Less is better."""

    weights: Array
    """(k,)."""
    draws: Array
    """(B,) the law's value of the proposed mixture."""
    best: Array
    """(B', k) the best mixture of the first draws."""
    best_values: Array
    """(B',)."""
    critical: float
    """Standard errors by which a mixture may be worse than the proposed one and still be in the set."""
    pool: Array
    """(m, k) allowed mixtures."""
    inside: Array
    """(m,) whether each is in the set."""
    ranges: Array
    """(k, 2) least and most share of each corpus in the set."""


def optimum(draws: Draws, points: Points, allowed: Limits, level: float, generator: np.random.Generator, *, pool: int) -> Optimum:
    """The mixture with the least expected value under one target's draws, and the set that holds the best one with P = `level`.

    For every draw the best mixture is found; its distance from the proposed one, in standard errors of the difference of their
    values, is a draw of how far off the truth may be. The set is every mixture within the `level` quantile of these distances: it
    holds the best one with that probability whichever it is, so no pair is asked about alone.
    """
    form, thetas = draws.fit.form, draws.thetas[0]
    corpora = points.corpora
    tried = np.concatenate(
        [sample(allowed, pool, generator), project(np.vstack([np.eye(corpora), np.full(corpora, 1 / corpora)]), allowed)]
    )
    best, best_values = best_mixtures(form, thetas[:OPTIMA], points, allowed, tried)
    centre, _ = best_mixtures(form, draws.fit.theta[:1], points, allowed, tried)
    everything = np.concatenate([centre, project(best.mean(0, keepdims=True), allowed), tried, best])
    values = draws.predict(points.at(everything))[0]
    proposed = int(values.mean(0).argmin())
    lead = values - values[:, proposed : proposed + 1]
    centre_of, spread = lead.mean(0), lead.std(0)
    own = slice(2 + len(tried), None)
    standing = centre_of[own] / np.maximum(spread[own], 1e-300)
    critical = float(np.quantile(np.where(spread[own] > 0, standing, 0.0), level))
    inside = centre_of <= max(critical, 0.0) * spread + 1e-12
    ranges = np.stack([everything[inside].min(0), everything[inside].max(0)], axis=1)
    return Optimum(
        everything[proposed], values[:, proposed], best, best_values * draws.fit.scale[0], critical, everything, inside, ranges
    )


def in_set(found: Optimum, draws: Draws, points: Points, weights: Array) -> Array:
    """Whether mixtures (m, k) are in the set of those that may be best."""
    lead = draws.predict(points.at(weights))[0] - found.draws[:, None]
    return lead.mean(0) <= max(found.critical, 0.0) * lead.std(0) + 1e-12


@dataclass(frozen=True)
class Standing:
    """Measured mixtures, m of them, by the law and by what was measured of each."""

    values: Array
    """(B, m) draws of the true value."""
    best: Array
    """(m,) probability of being the best of the measured mixtures."""
    regret: Array
    """(m,) expected distance to the best allowed mixture."""
    lead: Array
    """(B, m) draws of how much worse each is than the proposed mixture."""


def standing(
    draws: Draws,
    points: Points,
    found: Optimum,
    weights: Array,
    *,
    means: Array,
    run_noise: float | None,
    runs: Array,
    generator: np.random.Generator,
) -> Standing:
    """Probability of being best and expected regret of measured mixtures (m, k), whose mean values over `runs` (m,) are `means`.

    run_noise: standard deviation between runs of one mixture, where several tell it. What the law misses at a mixture is then known
    in part from its own runs: the residual, shrunk by the share of its variance that is not noise of runs. Unknown: the law alone.
    """
    values = draws.predict(points.at(weights))[0]
    noise = draws.noise[0][:, None] * draws.fit.scale[0]
    if run_noise is not None:
        of_runs = run_noise**2 / runs
        missed = np.maximum(noise**2 - of_runs, 0.0)
        kept = missed / np.maximum(missed + of_runs, 1e-300)
        own = kept * (means - values) + np.sqrt(kept * of_runs) * generator.standard_normal(values.shape)
        values = values + own
    share = np.bincount(values.argmin(1), minlength=len(weights)) / len(values)
    least = np.minimum(found.best_values, values[: len(found.best)].min(1))
    return Standing(values, share, (values[: len(found.best)] - least[:, None]).mean(0), values - found.draws[:, None])


def worth(draws: Draws, points: Points, weights: Array) -> Array:
    """(B, k) by how much the value falls when 1 % of the tokens move to a corpus, from all in proportion to their share.

    That difference is what mixtures can show; the worth of one more token of everything is not in weights that sum to 1.
    """
    thetas = draws.thetas[0]
    at = np.broadcast_to(weights, (len(thetas), points.corpora))
    _, slope = slopes(draws.fit.form, thetas, points, at)
    return -SHARE * (slope - (slope * weights).sum(1, keepdims=True)) * draws.fit.scale[0]


def simultaneous(draws: Array, level: float) -> tuple[Array, Array]:
    """Ends (m,) of intervals that hold all m quantities of (B, m) at once with probability `level`, as wide as each varies."""
    centre, spread = draws.mean(0), draws.std(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = np.nan_to_num(np.abs(draws - centre) / spread).max(1)
    reach = np.quantile(distance, level)
    return centre - reach * spread, centre + reach * spread
