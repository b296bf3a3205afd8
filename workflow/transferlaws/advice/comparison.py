"""Mixtures compared by what was measured, and laws by how well they predict it."""

from transferlaws.advice.context import Context
from transferlaws.format import probability, short_number, signed
from transferlaws.laws.verdict import was_fitted
from transferlaws.measurements.significance import Significance, lead_probability, significance, surely_from


def compare(context: Context, size: float) -> list[dict]:
    """Every pair of mixtures of one D_f at their largest common rung: which helps, by how much, how surely."""
    level, pairs = context.settings.confidence, []
    mixtures = sorted({m for m, f, tokens in context.means.cells if f == size and tokens > 0})
    for i, one in enumerate(mixtures):
        for other in mixtures[i + 1 :]:
            common = sorted(set(context.means.rungs(one, size)) & set(context.means.rungs(other, size)))
            if not common:
                continue
            difference = context.means.better(
                context.means.cells[one, size, common[-1]], context.means.cells[other, size, common[-1]]
            )
            first, second = one, other
            if difference.estimate < 0:
                difference, first, second = difference.times(-1), other, one
            sure = significance(difference, level)
            chance, found = lead_probability(difference, level), difference.json(level)
            text = f"{first} is {sure.than()} {second} at D_p = {short_number(common[-1])}: {signed(found)} {context.means.metric}"
            text += (
                " (one seed: no interval)."
                if chance is None
                else f" (probability {probability(chance, level, surely_from(level))})."
            )
            pairs.append(
                {
                    "mixture": first,
                    "other": second,
                    "finetuning_size": size,
                    "metric": context.means.metric,
                    "pretraining_tokens": common[-1],
                    "difference": found,
                    "probability_better": chance,
                    "sureness": sure,
                    "text": text,
                }
            )
    return sorted(pairs, key=lambda pair: -pair["difference"]["estimate"])


def best_of(pairs: list[dict]) -> str:
    """The mixture that is better than every other one in a metric, and how surely, in words."""
    winners = {p["mixture"] for p in pairs} - {p["other"] for p in pairs}
    if len(winners) != 1:  # largest common rungs differ between pairs, so leads may run in a circle
        return f"By {pairs[0]['metric']} no mixture is ahead of every other one."
    (winner,) = winners
    beaten = [p for p in pairs if p["mixture"] == winner]
    others = {sure: [p["other"] for p in beaten if p["sureness"] == sure] for sure in Significance}
    words = "; ".join(f"{sure.than()} {', '.join(names)}" for sure, names in others.items() if names)
    return f"Best measured by {pairs[0]['metric']}: **{winner}**, {words}."


def compare_laws(documents: dict) -> list[dict]:
    """Laws fitted to the same points of the same metric, ordered by held-out error, then AICc."""
    same: dict[tuple, list[dict]] = {}
    for name, document in documents.items():
        for fit in document["fits"]:
            rows = tuple(tuple(sorted(p["row"] for p in fit["points"] if p["role"] == role)) for role in ("fit", "held-out"))
            entry = {"law": name, "status": fit["status"], "are": (fit["held_out"] or {}).get("are"), "aicc": fit.get("aicc")}
            same.setdefault((fit["metric"], rows), []).append(entry | {"group": fit["group"]})
    found = []
    for (metric, _), entries in same.items():
        fitted = [e for e in entries if was_fitted(e["status"])]
        if len(fitted) < 2:
            continue
        best = min((e["aicc"] for e in fitted if e["aicc"] is not None), default=None)
        laws = [
            {k: e[k] for k in ("law", "status", "are", "aicc")}
            | {"delta_aicc": None if best is None or e["aicc"] is None else e["aicc"] - best}
            for e in sorted(fitted, key=lambda e: (_last(e["are"]), _last(e["aicc"])))
        ]
        found.append({"group": fitted[0]["group"], "metric": metric, "laws": laws})
    return found


def _last(value: float | None) -> float:
    return float("inf") if value is None else value
