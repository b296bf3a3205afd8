"""Studies of mixtures whose law is known: how often the set of the best mixtures and the intervals hold the truth."""

from dataclasses import dataclass

import numpy as np

from transferlaws.mixtures.answer import in_set, optimum, standing
from transferlaws.mixtures.designs import space_filling
from transferlaws.mixtures.draws import draw
from transferlaws.mixtures.fit import fit
from transferlaws.mixtures.forms import FORMS
from transferlaws.mixtures.points import Array, Points
from transferlaws.mixtures.simplex import Limits, best_mixtures, sample
from transferlaws.seeding import generator


@dataclass(frozen=True)
class Planted:
    """What a planted study says beside the truth."""

    set_holds_best: bool
    """Whether the true best mixture is in the set."""
    set_share: float
    """Share of all allowed mixtures that the set holds."""
    value_held: bool
    """Whether the interval of the proposed mixture's value holds its true value."""
    unseen_held: float
    """Share of new runs of unseen mixtures in their intervals."""
    chance: Array
    """(m,) stated probability of being the best measured mixture."""
    truly_best: int
    """The measured mixture that is."""
    regret: float
    """True distance of the proposed mixture to the best one."""
    spread: float
    """Standard deviation of true values over measured mixtures."""


def truth(form: str, corpora: int, generator: np.random.Generator) -> Array:
    """Parameters (1, P) of a law over weights with corpora of different worth."""
    worths = generator.normal(0.0, 1.0, corpora)
    head = {"power": [2.0, np.log(0.5), np.log(0.7)], "additive": [2.0, np.log(0.5)], "exponential": [2.0]}[form]
    return np.array([[*head, *(worths if form != "exponential" else -worths)]])


def study(
    *, form: str, fitted: str, corpora: int, mixtures: int, runs: int, noise: float, level: float, draws: int, seed: int
) -> Planted:
    """Plant `form`, train `runs` of each of `mixtures` space-filling mixtures with `noise` (in nats) and ask the law `fitted`."""
    random = generator(seed, "planted", form, corpora, mixtures)
    everything = Limits(np.zeros(corpora), np.ones(corpora))
    weights = space_filling(mixtures, everything, seed=seed)
    points = Points(weights)
    law = FORMS[form](points)
    theta = truth(form, corpora, random)
    true = law.predict(theta, points)[0]
    means = true + noise * random.standard_normal((runs, mixtures)).mean(0)
    run_noise = noise if runs > 1 else None  # what a pooled estimate of many mixtures comes near to
    result = fit(FORMS[fitted](points), points, means[None])
    found = draw(result, draws, random)
    best = optimum(found, points, everything, level, random, pool=1000)
    goal, least = best_mixtures(law, theta, points, everything, best.pool)
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(best.draws, tails)
    at = law.predict(theta, points.at(best.weights[None]))[0, 0]
    unseen = Points(sample(everything, 200, random))
    shown = law.predict(theta, unseen)[0] + noise / np.sqrt(runs) * random.standard_normal(200)
    ends = np.quantile(found.measured(unseen, random)[0], tails, axis=0)
    stands = standing(
        found, points, best, weights, means=means, run_noise=run_noise, runs=np.full(mixtures, runs), generator=random
    )
    return Planted(
        set_holds_best=bool(in_set(best, found, points, goal)[0]),
        set_share=float(in_set(best, found, points, unseen.weights).mean()),
        value_held=bool(low <= at <= high),
        unseen_held=float(((shown >= ends[0]) & (shown <= ends[1])).mean()),
        chance=stands.best,
        truly_best=int(true.argmin()),
        regret=float(at - least[0]),
        spread=float(true.std()),
    )
