"""Laws compared: by AICc, and by the error at mixtures that were held out."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from transferlaws.mixtures.fit import Fit, fit
from transferlaws.mixtures.form import Form
from transferlaws.mixtures.forms import FORMS
from transferlaws.mixtures.points import Array, Points
from transferlaws.seeding import generator


@dataclass(frozen=True)
class Candidate:
    """A law fitted to T targets, with what it says about mixtures that it has not seen."""

    name: str
    fit: Fit
    aicc: Array
    """(T,) with the effective number of parameters; infinite where points are too few for it."""
    held_out: Array
    """(T, n) prediction of each point by the fit without its mixture's fold."""

    def error(self, values: Array) -> Array:
        """(T,) root mean square error at held-out mixtures."""
        return np.sqrt(((self.held_out - values) ** 2).mean(1))

    def rank_correlation(self, values: Array) -> Array:
        """(T,) Spearman's at held-out mixtures."""
        return spearman(self.held_out, values)


def spearman(one: Array, other: Array) -> Array:
    """(T,) rank correlation along the last axis of (T, n); NaN where either is constant."""
    a, b = (rankdata(part, axis=-1) for part in (one, other))
    a, b = (part - part.mean(-1, keepdims=True) for part in (a, b))
    with np.errstate(invalid="ignore"):
        return (a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1))


def forms_for(points: Points, *, losses: bool, names: list[str] | None = None) -> list[Form]:
    """The laws that these points can tell from a simpler one, or those of `names`."""
    if names is not None:
        return [FORMS[name](points) for name in names]
    left_out = set() if losses else {name for name, form in FORMS.items() if form.losses_only}
    if not (points.varied("tokens") or points.varied("size")):
        left_out.add("joint")
    return [form(points) for name, form in FORMS.items() if name not in left_out]


def folds_of(mixtures: Array, folds: int, seed: int) -> Array:
    """(n,) fold of each point; all points of a mixture share one. As many folds as mixtures leaves out one at a time."""
    names, group = np.unique(mixtures, return_inverse=True)
    order = generator(seed, "mixtures", "folds").permutation(len(names))
    return (order % min(folds, len(names)))[group]


def candidate(form: Form, points: Points, values: Array, fold: Array) -> Candidate:
    """Fit a law to all points and to all but each fold; values (T, n), fold (n,)."""
    targets, count = values.shape
    whole = fit(form, points, values)
    number = fold.max() + 1
    include = np.arange(number)[None, :, None] != fold[None, None, :]
    tiled = np.broadcast_to(values[:, None], (targets, number, count)).reshape(-1, count)
    parts = fit(form, points, tiled, np.broadcast_to(include, (targets, number, count)).reshape(-1, count))
    predicted = np.broadcast_to(parts.predict(points), tiled.shape).reshape(targets, number, count)
    held_out = predicted[:, fold, np.arange(count)]
    used = whole.effective + 1
    squares = (whole.residuals**2).sum(1) * whole.scale**2
    spare = count - used - 1
    with np.errstate(divide="ignore"):
        aicc = np.where(spare > 0, count * np.log(squares / count) + 2 * used * (1 + (used + 1) / np.maximum(spare, 1e-9)), np.inf)
    return Candidate(form.name, whole, aicc, held_out)


def best_of(candidates: list[Candidate], values: Array) -> Array:
    """(T,) index of the law with the smallest held-out error."""
    return np.argmin([c.error(values) for c in candidates], axis=0)


def level_with(candidates: list[Candidate], values: Array, target: int, mixtures: Array) -> list[str]:
    """Laws whose held-out squared errors are not told from the best one's: within two standard errors, mixture by mixture."""
    _, group = np.unique(mixtures, return_inverse=True)
    sizes = np.bincount(group)
    per_mixture = [np.bincount(group, weights=(c.held_out[target] - values[target]) ** 2) / sizes for c in candidates]
    best = int(np.argmin([c.error(values)[target] for c in candidates]))
    found = []
    for other, errors in zip(candidates, per_mixture, strict=True):
        difference = errors - per_mixture[best]
        spread = difference.std(ddof=1) / np.sqrt(len(sizes)) if len(sizes) > 1 else np.inf
        if other is not candidates[best] and difference.mean() <= 2 * spread:
            found.append(other.name)
    return found
