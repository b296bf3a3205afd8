"""A study's tables and settings -> what every target's mixture law says, as JSON."""

from dataclasses import dataclass

import numpy as np

from transferlaws.mixtures.answer import Optimum, optimum, simultaneous, standing, worth
from transferlaws.mixtures.compare import Candidate, best_of, candidate, folds_of, forms_for, level_with
from transferlaws.mixtures.draws import Draws, draw
from transferlaws.mixtures.points import Array
from transferlaws.mixtures.settings import MixtureSettings
from transferlaws.mixtures.simplex import Limits, limits, project
from transferlaws.mixtures.table import Study
from transferlaws.seeding import generator

DECIDED_BY_PRIOR = 0.7
"""A corpus whose worth varies over this share of what it would without data: its data say little."""


@dataclass(frozen=True)
class Answered:
    """One target: its law, draws and optimum. Values have the sign at which less is better."""

    study: Study
    target: int
    sign: int
    laws: list[Candidate]
    chosen: int
    draws: Draws
    allowed: Limits
    best: Optimum

    @property
    def values(self) -> Array:
        """(T, n) of all targets of the same sign as this one's."""
        return self.study.means[self.target : self.target + 1] * self.sign


def answer(study: Study, target: int, *, score: bool, settings: MixtureSettings) -> Answered:
    """Fit, compare, draw and optimise for one target; `score` says that more of it is better."""
    sign = -1 if score else 1
    values, points = study.means[target : target + 1] * sign, study.points
    fold = folds_of(study.mixtures, settings.folds, settings.seed)
    laws = [candidate(form, points, values, fold) for form in forms_for(points, losses=not score, names=settings.laws)]
    names = [law.name for law in laws]
    if settings.law is not None and settings.law not in names:
        laws += [candidate(form, points, values, fold) for form in forms_for(points, losses=not score, names=[settings.law])]
        names.append(settings.law)
    chosen = int(best_of(laws, values)[0]) if settings.law is None else names.index(settings.law)
    key = (*study.key.values(), study.targets[target])
    draws = draw(laws[chosen].fit, settings.draws, generator(settings.seed, "mixtures", "draws", *key), mixtures=study.mixtures)
    allowed = limits(
        study.corpora,
        least=settings.minimum_share,
        most=settings.maximum_share,
        available=settings.available_tokens,
        passes=settings.passes,
        tokens=settings.target_tokens or (None if points.tokens is None else float(points.tokens.max())),
    )
    found = optimum(
        draws, points, allowed, settings.level, generator(settings.seed, "mixtures", "optimum", *key), pool=settings.candidates
    )
    return Answered(study, target, sign, laws, chosen, draws, allowed, found)


def document(found: Answered, settings: MixtureSettings) -> dict:
    """What `transferlaws mixture` writes of a target; values in the table's unit, better ones first."""
    study, level, sign = found.study, settings.level, found.sign
    rows, weights = study.measured()
    noise = study.run_noise[found.target]
    stands = standing(
        found.draws,
        study.points,
        found.best,
        weights,
        means=found.values[0, rows],
        run_noise=None if np.isnan(noise) else float(noise),
        runs=study.runs[rows],
        generator=generator(settings.seed, "mixtures", "standing", *study.key.values(), study.targets[found.target]),
    )
    low, high = simultaneous(stands.lead, level)
    measured = [
        {
            "weights": _named(study, weights[i]),
            "runs": int(study.runs[rows[i]]),
            "measured": float(study.means[found.target, rows[i]]),
            "predicted": _quantity(sign * stands.values[:, i], level),
            "probability_best": float(stands.best[i]),
            "expected_regret": float(stands.regret[i]),
            "worse_than_proposed": {"estimate": float(stands.lead[:, i].mean()), "low": float(low[i]), "high": float(high[i])},
            "may_be_best": bool(low[i] <= 0),
        }
        for i in np.argsort(-stands.best + 1e-9 * stands.regret, kind="stable")
    ]
    regret = found.best.draws[: len(found.best.best_values)] - found.best.best_values
    new = found.draws.measured(
        study.points.at(found.best.weights[None]), generator(settings.seed, "mixtures", "new run", *study.key.values())
    )[0, :, 0]
    return {
        **study.key,
        "target": study.targets[found.target],
        "better": "more" if sign < 0 else "less",
        "mixtures": int(study.mixtures.max() + 1),
        "runs": int(study.runs.sum()),
        "run_noise": None if np.isnan(noise) else float(noise),
        "law": found.laws[found.chosen].name,
        "laws": _laws(found),
        "identified": _identified(found),
        "proposed": {
            "weights": _named(study, found.best.weights),
            "predicted": _quantity(sign * found.best.draws, level),
            "new_run": _quantity(sign * new, level),
            "expected_regret": float(np.maximum(regret, 0).mean()),
            "set": {name: [float(a), float(b)] for name, (a, b) in zip(study.corpora, found.best.ranges, strict=True)},
            "set_share": float(found.best.inside[2 : 2 + settings.candidates].mean()),
            "tried": bool(np.abs(weights - found.best.weights).max(1).min() < 0.02),
        },
        "measured": measured,
        "worth": _worth(found, level),
    }


def _laws(found: Answered) -> list[dict]:
    mixtures, values = found.study.mixtures, found.values
    level = level_with(found.laws, values, 0, mixtures)
    spread = float(values.std())
    rows = []
    for law in found.laws:
        correlation = float(law.rank_correlation(values)[0])
        rows.append(
            {
                "law": law.name,
                "equation": law.fit.form.equation,
                "parameters": len(law.fit.form.parameters),
                "effective_parameters": float(law.fit.effective[0]),
                "aicc": float(law.aicc[0]) if np.isfinite(law.aicc[0]) else None,
                "held_out_error": float(law.error(values)[0]),
                "held_out_r2": 1 - (float(law.error(values)[0]) / spread) ** 2,
                "held_out_spearman": correlation if np.isfinite(correlation) else None,
                "not_told_from_best": law.name in level,
            }
        )
    return sorted(rows, key=lambda row: row["held_out_error"])


def _identified(found: Answered) -> list[str]:
    """What the data cannot tell, in words."""
    study, fit = found.study, found.draws.fit
    mixtures, parameters = int(study.mixtures.max() + 1), len(fit.form.parameters)
    notes = []
    if mixtures <= parameters:
        notes.append(
            f"{mixtures} mixtures of {len(study.corpora)} corpora cannot pin down the {parameters} parameters of the "
            f"{fit.form.name} law: its prior decides a part."
        )
    others = [law["law"] for law in _laws(found) if law["not_told_from_best"] and law["law"] != fit.form.name]
    if others:
        notes.append(
            f"{mixtures} mixtures of {len(study.corpora)} corpora cannot tell these laws apart: "
            f"{fit.form.name}, {', '.join(others)}."
        )
    own = [i for i, name in enumerate(fit.form.parameters) if name.startswith(("ln C ", "t ", "ln tau "))]
    if len(own) > 1:
        thetas = found.draws.thetas[0][:, own]
        relative = (thetas - thetas.mean(1, keepdims=True)).std(0)
        prior = np.linalg.inv(fit.precision)[np.ix_(own, own)]
        centring = np.eye(len(own)) - 1 / len(own)
        alone = np.sqrt(np.diag(centring @ prior @ centring))
        vague = [name for name, share in zip(study.corpora, relative / alone, strict=True) if share > DECIDED_BY_PRIOR]
        if vague:
            notes.append(f"The data say little of what {', '.join(vague)} are worth: train mixtures with larger shares of them.")
    return notes


def _worth(found: Answered, level: float) -> list[dict]:
    study = found.study
    corpora = len(study.corpora)
    equal = project(np.full(corpora, 1 / corpora), found.allowed)
    draws = -found.sign * worth(found.draws, study.points, equal)  # change of the value, in the table's own direction
    low, high = simultaneous(draws, level)
    means = draws.mean(0)
    order = np.argsort(found.sign * means, kind="stable")
    return [
        {"corpus": study.corpora[i], "change": {"estimate": float(means[i]), "low": float(low[i]), "high": float(high[i])}}
        for i in order
    ]


def _quantity(draws: Array, level: float) -> dict:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return {"estimate": float(draws.mean()), "low": float(low), "high": float(high)}


def _named(study: Study, weights: Array) -> dict[str, float]:
    return {name: round(float(share), 4) for name, share in zip(study.corpora, weights, strict=True)}
