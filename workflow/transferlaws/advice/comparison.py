"""Mixtures compared by what was measured, and laws by how well they predict it."""

from itertools import combinations

import numpy as np

from transferlaws.advice.context import Context
from transferlaws.format import probability, short_number, signed
from transferlaws.laws.document import Fit, FitDocument
from transferlaws.laws.verdict import Status
from transferlaws.measurements.means import Means, Quantity
from transferlaws.measurements.significance import (
    Significance,
    lead_probability,
    seeds_to_decide,
    significance,
    simultaneous,
    surely_from,
)

ALIKE = 4.0  # AICc apart by less than this do not tell laws apart
CONTRADICTED = (Status.REJECTED, Status.NOT_CONVERGED)


def leads(means: Means, size: float, level: float) -> list[tuple[str, str, float, Quantity]]:
    """Every pair of mixtures of one D_f: the better one, the other, their largest common rung, and the lead there.

    The leads' intervals hold all at once with probability `level`.
    """
    found = []
    for one, other in combinations(_mixtures(means, size), 2):
        common = sorted(set(means.rungs(one, size)) & set(means.rungs(other, size)))
        if common:
            difference = means.better(means.cells[one, size, common[-1]], means.cells[other, size, common[-1]])
            ahead = difference.estimate >= 0
            found.append((*((one, other) if ahead else (other, one)), common[-1], difference.times(1 if ahead else -1)))
    wide = simultaneous([difference for *_, difference in found], level)
    return [(*pair, difference) for (*pair, _), difference in zip(found, wide, strict=True)]


def _mixtures(means: Means, size: float) -> list[str]:
    return sorted({m for m, f, tokens in means.cells if f == size and tokens > 0})


def compare(context: Context, size: float) -> list[dict]:
    """Every pair of mixtures of one D_f at their largest common rung: which helps, by how much, how surely."""
    level, means, pairs = context.settings.confidence, context.means, []
    best = _probabilities_best(context, _mixtures(means, size), size)
    for first, second, tokens, difference in leads(means, size, level):
        sure = significance(difference, level)
        chance, shown = lead_probability(difference, level), difference.json(level)
        text = f"{first} is {sure.than()} {second} at D_p = {short_number(tokens)}: {signed(shown)} {means.metric}"
        seeds = None
        if chance is None:
            text += " (one seed: no interval)."
        else:
            text += f" (probability {probability(chance, level, surely_from(level))})."
            if sure is not Significance.SURELY:
                seeds = seeds_to_decide(difference, level, means.seeds((first, size, tokens), (second, size, tokens)))
                text += " " + _more_seeds(seeds)
        pairs.append(
            {
                "mixture": first,
                "other": second,
                "finetuning_size": size,
                "metric": means.metric,
                "pretraining_tokens": tokens,
                "difference": shown,
                "probability_better": chance,
                "probability_best": best.get(first),
                "sureness": sure,
                "seeds_to_decide": seeds,
                "text": text,
            }
        )
    return sorted(pairs, key=lambda pair: -pair["difference"]["estimate"])


def _more_seeds(seeds: int | None) -> str:
    if seeds is None:
        return "No number of seeds up to 100 would decide, were the difference what it seems: a larger test set might."
    return f"About {seeds} seeds a mixture would decide, were the difference what it seems."


def _probabilities_best(context: Context, mixtures: list[str], size: float) -> dict[str, float]:
    """Share of draws in which each mixture is the best at the largest rung that all have; empty where noise is unknown."""
    means = context.means
    common = set.intersection(*(set(means.rungs(m, size)) for m in mixtures)) if mixtures else set()
    drawn = [means.cells[m, size, max(common)].draws for m in mixtures] if common else []
    if not drawn or not all(map(len, drawn)):
        return {}
    first = (means.direction * np.stack(drawn)).argmax(axis=0)
    return {mixture: float((first == k).mean()) for k, mixture in enumerate(mixtures)}


def best_of(pairs: list[dict]) -> str:
    """The mixture that is better than every other one in a metric, and how surely, in words."""
    winners = {p["mixture"] for p in pairs} - {p["other"] for p in pairs}
    if len(winners) != 1:  # largest common rungs differ between pairs, so leads may run in a circle
        return f"By {pairs[0]['metric']} no mixture is ahead of every other one."
    (winner,) = winners
    beaten = [p for p in pairs if p["mixture"] == winner]
    others = {sure: [p["other"] for p in beaten if p["sureness"] == sure] for sure in Significance}
    words = "; ".join(f"{sure.than()} {', '.join(names)}" for sure, names in others.items() if names)
    best = beaten[0]["probability_best"]
    chance = "" if best is None or len(beaten) < 2 else f"; the best of all with a probability of {probability(best)}"
    return f"Best measured by {pairs[0]['metric']}: **{winner}**, {words}{chance}."


def compare_laws(documents: dict[str, FitDocument]) -> list[dict]:
    """Laws fitted to the same points of the same metric, ordered by held-out error, then AICc; rejected laws come last.

    `not_told_apart` names the laws that are not rejected and whose AICc are within 4 of the least of theirs.
    """
    same: dict[tuple, list[tuple[str, Fit]]] = {}
    for name, document in documents.items():
        for fit in document.fits:
            rows = tuple(tuple(sorted(p.row for p in fit.points if p.role == role)) for role in ("fit", "held-out"))
            same.setdefault((fit.metric, rows), []).append((name, fit))
    found = []
    for (metric, _), fits in same.items():
        fitted = [
            {"law": name, "status": fit.status, "are": fit.held_out and fit.held_out.are, "aicc": fit.aicc, "group": fit.group}
            for name, fit in fits
            if fit.was_fitted
        ]
        if len(fitted) < 2:
            continue
        best = min((e["aicc"] for e in fitted if e["aicc"] is not None), default=None)
        laws = [
            {k: e[k] for k in ("law", "status", "are", "aicc")}
            | {"delta_aicc": None if best is None or e["aicc"] is None else e["aicc"] - best}
            for e in sorted(fitted, key=lambda e: (e["status"] in CONTRADICTED, _last(e["are"]), _last(e["aicc"])))
        ]
        trusted = [law for law in laws if law["status"] not in CONTRADICTED and law["delta_aicc"] is not None]
        alike = [law["law"] for law in trusted if law["delta_aicc"] - min(t["delta_aicc"] for t in trusted) < ALIKE]
        found.append(
            {"group": fitted[0]["group"], "metric": metric, "laws": laws, "not_told_apart": alike if len(alike) > 1 else []}
        )
    return found


def _last(value: float | None) -> float:
    return float("inf") if value is None else value
