"""What to do with each pretraining mixture: stop, continue, get more text or other data (paper A's guide, with probabilities)."""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from transferlaws.laws.estimate import Fitted, Unfitted
from transferlaws.laws.measured import Cell, Quantity, cell_means
from transferlaws.laws.registry import Law
from transferlaws.laws.settings import AdviceSettings
from transferlaws.laws.sureness import Sureness, sureness
from transferlaws.laws.words import interval_text, probability_text, signed_text, tokens_text

GRID = 200
FURTHER = 4.0  # how far beyond the largest rung to look where no largest affordable D_p is given


@dataclass(frozen=True)
class Candidate:
    """One curve with the law fitted to it."""

    law: Law
    result: Fitted | Unfitted
    report: dict

    @property
    def key(self) -> dict:
        """Task, model, mixture, D_f and its unit."""
        return self.result.group.key if isinstance(self.result, Unfitted) else self.result.curve.group.key

    def predict(self, tokens: float) -> Quantity:
        """Score at D_p = tokens."""
        curve, form = self.result.curve, self.law.form
        design = curve.design.at(np.array([[tokens]]))
        estimate = form.predict(curve.fit.theta[None], design)[0, 0]
        return Quantity(float(estimate), form.predict(self.result.draws.thetas, design)[:, 0])

    def first_reaching(self, score: float, *, start: float, end: float, direction: int) -> float | None:
        """Smallest D_p in [start, end] whose predicted score is at least as good as `score`."""
        line = np.geomspace(start, end, GRID)
        curve = self.result.curve
        predicted = self.law.form.predict(curve.fit.theta[None], curve.design.at(line[:, None]))[0]
        reached = np.flatnonzero(direction * (predicted - score) >= 0)
        return float(line[reached[0]]) if len(reached) else None


@dataclass(frozen=True)
class Context:
    """The table, means and aims that every answer of a task and model shares."""

    rows: pd.DataFrame
    means: dict[Cell, Quantity]
    metric: str
    direction: int
    """+1 where more of the metric is better, -1 for losses."""
    settings: AdviceSettings
    max_epochs: float | None = None
    """Most passes over any corpus; None where text may repeat without end."""

    def rungs(self, mixture: str, size: float) -> list[float]:
        """Measured D_p > 0, increasing."""
        return sorted(tokens for m, f, tokens in self.means if m == mixture and f == size and tokens > 0)

    def scratch(self, size: float) -> Quantity | None:
        """Mean without pretraining."""
        return next((mean for (_, f, tokens), mean in self.means.items() if f == size and tokens == 0), None)

    def better(self, one: Quantity, other: Quantity) -> Quantity:
        """By how much the first is better."""
        return (one - other).times(self.direction)

    def text_end(self, mixture: str) -> float:
        """The D_p up to which a mixture has text: passes grow with D_p. Infinite where no limit, or no pass, is known."""
        if self.max_epochs is None:
            return math.inf
        rows = self.rows[(self.rows.mixture == mixture) & (self.rows.pretraining_epochs > 0)]
        last = rows.pretraining_tokens.max()
        passes = rows.pretraining_epochs[rows.pretraining_tokens == last].max()
        return max(last, last * self.max_epochs / passes) if len(rows) else math.inf

    def target(self, last: float) -> float:
        """Largest D_p to consider; never less than what was measured."""
        return max(last, self.settings.target_pretraining_tokens or FURTHER * last)


def context_of(
    table: pd.DataFrame,
    *,
    task: str,
    model: str,
    metric: str,
    direction: int,
    settings: AdviceSettings,
    max_epochs: float | None = None,
) -> Context:
    """Means of one task and model."""
    rows = table[(table.task == task) & (table.model == model) & (table[metric] > 0)]
    if "status" in rows.columns:
        rows = rows[rows.status.astype(str) != "diverged"]
    return Context(rows, cell_means(rows, metric=metric, seed=0), metric, direction, settings, max_epochs)


def answer(candidate: Candidate, rivals: list[Candidate], context: Context) -> dict:
    """The answer for one (task, model, mixture, D_f)."""
    key, settings = candidate.key, context.settings
    mixture, size = key["mixture"], float(key["finetuning_size"])
    rungs = context.rungs(mixture, size)
    last, level = rungs[-1], settings.confidence
    now = context.means[mixture, size, last]
    best_rung = max(rungs, key=lambda tokens: context.direction * context.means[mixture, size, tokens].estimate)
    best, scratch = context.means[mixture, size, best_rung], context.scratch(size)
    text_end = context.text_end(mixture)
    measured = {
        "largest_rung": last,
        "text_end": text_end if math.isfinite(text_end) else None,
        "score": now.json(level),
        "best_rung": best_rung,
        "scratch": scratch.json(level) if scratch else None,
        "gain": context.better(best, scratch).json(level) if scratch else None,
    }
    head = {**key, "alignment": _alignment(context.rows, mixture), "metric": context.metric, "measured": measured}
    head["law"] = {"status": candidate.report["status"], "text": candidate.report["verdict"]["text"]}
    value = _value_text(measured, context)
    if isinstance(candidate.result, Unfitted):
        return head | _decision("undecided", None, f"{value} No forecast: {candidate.report['verdict']['text']}", None)
    if candidate.report["status"] == "rejected":
        text = (
            f"{value} The points do not follow the law ({candidate.report['verdict']['text'].rstrip('.')}): read it as "
            f"misalignment. More of this data promises nothing; its worth is the measured gain, at D_p = {tokens_text(best_rung)}."
        )
        return head | _decision("other data", None, text, None)
    decide = partial(_forecast, candidate, rivals, context, now=now, scratch=scratch, last=last, value=value)
    decision = decide(target=context.target(last))
    if decision["answer"] != "continue" or decision["continue_to"] <= text_end:
        return head | decision
    nearer = decide(target=text_end)
    if nearer["answer"] == "continue":
        return head | nearer | {"because": f"{nearer['because']} Its text ends there."}
    used_up = f"But its text is used up at D_p = {tokens_text(text_end)} (max_epochs: {context.max_epochs:g})"
    text = f"{decision['because']} {used_up}: this gain takes more text, or another mixture."
    return head | _decision("more text", None, text, decision["forecast"])


def _forecast(
    candidate: Candidate,
    rivals: list[Candidate],
    context: Context,
    *,
    now: Quantity,
    scratch: Quantity | None,
    last: float,
    value: str,
    target: float,
) -> dict:
    settings, level = context.settings, context.settings.confidence
    here, there = candidate.predict(last), candidate.predict(target)
    gain = context.better(there, here)
    over_scratch = context.better(there, scratch) if scratch else None
    chance = gain.probability_above(settings.worthwhile)
    enough = candidate.first_reaching(
        here.estimate + context.direction * settings.worthwhile, start=last, end=target, direction=context.direction
    )
    forecast = {
        "pretraining_tokens": target,
        "score": there.json(level),
        "gain": gain.json(level),
        "gain_over_scratch": over_scratch.json(level) if over_scratch else None,
        "probability_worthwhile": chance,
        "worthwhile_from": enough,
    }
    said = f"{value} At D_p = {tokens_text(target)} the law predicts {interval_text(forecast['score'])}, "
    said += f"{signed_text(forecast['gain'])} better than now"
    said += (
        " (one seed: no interval)."
        if chance is None
        else f" (probability of at least {settings.worthwhile:g}: {probability_text(chance)})."
    )
    rival = _better_rival(candidate, rivals, context, target)
    if rival is not None:
        text = f"{said} {rival}"
        return _decision("other data", None, text, forecast)
    likely = gain.estimate >= settings.worthwhile if chance is None else chance >= 0.5
    if settings.target_score is not None:
        reach = candidate.first_reaching(settings.target_score, start=last, end=target, direction=context.direction)
        if context.direction * (now.estimate - settings.target_score) >= 0:
            return _decision("stop", None, f"{said} The target {settings.target_score:g} is already reached.", forecast)
        if reach is None:
            text = f"{said} The target {settings.target_score:g} is out of reach: not worth pretraining further on this data."
            return _decision("stop", None, text, forecast)
        return _decision(
            "continue", reach, f"{said} The target {settings.target_score:g} is predicted at D_p = {tokens_text(reach)}.", forecast
        )
    if over_scratch is not None and over_scratch.estimate < settings.worthwhile:
        text = f"{said} Even there pretraining would gain only {signed_text(forecast['gain_over_scratch'])} over none."
        return _decision("stop", None, text, forecast)
    if not likely:
        return _decision("stop", None, f"{said} That is less than is worthwhile.", forecast)
    return _decision("continue", target, f"{said} A worthwhile gain begins at D_p = {tokens_text(enough or target)}.", forecast)


def _better_rival(candidate: Candidate, rivals: list[Candidate], context: Context, target: float) -> str | None:
    """The mixture most probably better at the same D_p, or where its text ends before, if any surely is; in words."""
    mine, level, found = candidate.predict(target), context.settings.confidence, []
    for rival in rivals:
        if rival is candidate or isinstance(rival.result, Unfitted) or rival.report["status"] == "rejected":
            continue
        mixture = rival.key["mixture"]
        there = min(target, context.text_end(mixture))
        lead = context.better(rival.predict(there), mine)
        if lead.estimate > 0 and sureness(lead, level) is Sureness.SURELY:
            by, chance = signed_text(lead.json(level)), lead.probability_above(0.0)
            text = f"{mixture} is predicted to be surely better, at D_p = {tokens_text(there)}: by {by}"
            found.append((chance, f"{text} (probability {probability_text(chance)})."))
    return max(found)[1] if found else None


def compare(context: Context, size: float) -> list[dict]:
    """Every pair of mixtures of one D_f at their largest common rung: which helps, by how much, how surely."""
    settings, pairs = context.settings, []
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
            chance, found = difference.probability_above(0.0), difference.json(settings.confidence)
            sure = sureness(difference, settings.confidence)
            text = f"{first} is {sure.than} {second} at D_p = {tokens_text(common[-1])}: {signed_text(found)} {context.metric}"
            text += " (one seed: no interval)." if chance is None else f" (probability {probability_text(chance)})."
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
    winner = sorted(winners)[0]
    beaten = [p for p in pairs if p["mixture"] == winner]
    others = {sure: [p["other"] for p in beaten if p["sureness"] == sure] for sure in Sureness}
    words = "; ".join(f"{sure.than} {', '.join(names)}" for sure, names in others.items() if names)
    return f"Best measured by {pairs[0]['metric']}: **{winner}**, {words}."


def _decision(what: str, continue_to: float | None, because: str, forecast: dict | None) -> dict:
    return {"answer": what, "continue_to": continue_to, "because": because, "forecast": forecast}


def _alignment(rows: pd.DataFrame, mixture: str) -> float | None:
    if "alignment" not in rows.columns:
        return None
    found = pd.to_numeric(rows[rows.mixture == mixture].alignment, errors="coerce").dropna()
    return float(found.iloc[0]) if len(found) else None


def _value_text(measured: dict, context: Context) -> str:
    text = f"{context.metric} {interval_text(measured['score'])} at D_p = {tokens_text(measured['largest_rung'])}"
    if measured["gain"] is None:
        return f"{text}; no from-scratch baseline was measured."
    return f"{text}; {signed_text(measured['gain'])} over no pretraining ({measured['scratch']['estimate']:.3g}) at its best rung."
