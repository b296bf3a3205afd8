"""Mixtures compared by what was measured."""

from transferlaws.format import probability, short_number, signed
from transferlaws.laws.context import Context
from transferlaws.laws.sureness import Sureness, lead_probability, surely_from, sureness


def compare(context: Context, size: float) -> list[dict]:
    """Every pair of mixtures of one D_f at their largest common rung: which helps, by how much, how surely."""
    level, pairs = context.settings.confidence, []
    mixtures = sorted({m for m, f, tokens in context.means if f == size and tokens > 0})
    for i, one in enumerate(mixtures):
        for other in mixtures[i + 1 :]:
            common = sorted(set(context.rungs(one, size)) & set(context.rungs(other, size)))
            if not common:
                continue
            difference = context.better(context.means[one, size, common[-1]], context.means[other, size, common[-1]])
            first, second = one, other
            if difference.estimate < 0:
                difference, first, second = difference.times(-1), other, one
            sure = sureness(difference, level)
            chance, found = lead_probability(difference, level), difference.json(level)
            text = f"{first} is {sure.than()} {second} at D_p = {short_number(common[-1])}: {signed(found)} {context.metric}"
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
                    "metric": context.metric,
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
    others = {sure: [p["other"] for p in beaten if p["sureness"] == sure] for sure in Sureness}
    words = "; ".join(f"{sure.than()} {', '.join(names)}" for sure, names in others.items() if names)
    return f"Best measured by {pairs[0]['metric']}: **{winner}**, {words}."
