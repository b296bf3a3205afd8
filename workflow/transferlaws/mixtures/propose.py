"""Which mixtures to train next: those that say most, for their cost, about which mixture is best."""

from dataclasses import dataclass

import numpy as np

from transferlaws.mixtures.designs import rounded
from transferlaws.mixtures.points import Array
from transferlaws.mixtures.study_answer import Answered
from transferlaws.seeding import generator

CANDIDATES = 300


@dataclass(frozen=True)
class Proposal:
    """A mixture to train."""

    weights: Array
    """(k,)."""
    cost: float
    resolved: float
    """Share of what is unknown about the leads of the mixtures in the set that its run takes away."""
    regret_after: float
    """Expected distance of the then proposed mixture to the best one."""


def propose(found: Answered, count: int, *, run_cost: float, corpus_cost: Array, seed: int) -> tuple[float, list[Proposal]]:
    """Expected regret now, and `count` mixtures in the order in which to train them.

    The law's draws are an ensemble of what may be true. A run of a mixture would show its value with noise; the linear update of
    the ensemble says by how much the variance of the leads of all mixtures in the set would fall, without knowing what it will
    show. The mixture with the largest fall for its cost comes first, then the next given that one.
    """
    best, random = found.best, generator(seed, "mixtures", "propose")
    inside = np.flatnonzero(best.inside)
    if len(inside) > CANDIDATES:
        inside = inside[np.linspace(0, len(inside) - 1, CANDIDATES).astype(int)]
    tried = best.pool[np.linspace(0, len(best.pool) - 1, CANDIDATES).astype(int)]
    weights = rounded(np.concatenate([best.weights[None], best.pool[inside], tried]), found.allowed)
    values = found.draws.predict(found.study.points.at(weights))[0].copy()
    noise = float(np.mean((found.draws.noise[0] * found.draws.fit.scale[0]) ** 2))
    goals = np.arange(1 + len(inside))
    costs = run_cost + weights @ corpus_cost
    now, chosen, left = _regret(values[:, goals]), [], np.ones(len(weights))
    for _ in range(count):
        centred = values - values.mean(0)
        leads = centred[:, goals] - centred[:, :1]
        unknown = (leads**2).mean(0).sum()
        covariance = leads.T @ centred / len(values)
        fall = (covariance**2).sum(0) / ((centred**2).mean(0) + noise)
        pick = int(np.argmax(fall / costs * left))
        left[(weights == weights[pick]).all(1)] = 0
        own = centred[:, pick]
        gain = centred.T @ own / len(values) / ((own**2).mean() + noise)
        shown = np.sqrt(noise) * random.standard_normal(len(values))
        values = values - (own + shown)[:, None] * gain
        chosen.append(
            Proposal(weights[pick], float(costs[pick]), float(fall[pick] / max(unknown, 1e-300)), _regret(values[:, goals]))
        )
    return now, chosen


def _regret(values: Array) -> float:
    """Expected distance of the mixture with the least mean to the least of each draw."""
    return float((values[:, values.mean(0).argmin()] - values.min(1)).mean())
