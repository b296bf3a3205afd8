"""What to do with each pretraining mixture: stop, continue, get more text or other data (paper A's guide, with probabilities).

A law decides where it can be trusted to forecast; elsewhere what was measured does, as far as it goes.
"""

import math

import pandas as pd

from transferlaws.advice.context import Context
from transferlaws.advice.forecast import Standing
from transferlaws.format import interval, probability, short_number, signed
from transferlaws.measurements.means import added
from transferlaws.measurements.significance import Significance


def answer(mine: Standing, rivals: list[Standing], pairs: list[dict], context: Context) -> dict:
    """The answer for one (task, model, mixture, D_f), given those of the same D_f and how they compare (`compare`)."""
    candidate, level = mine.candidate, context.settings.confidence
    mixture, without = candidate.key["mixture"], context.means.scratch(float(candidate.key["finetuning_size"]))
    scratch = context.means.cells[without] if without else None
    text_end = context.text_end(mixture)
    measured = {
        "largest_rung": mine.last,
        "text_end": text_end if math.isfinite(text_end) else None,
        "score": mine.now.json(level),
        "scratch": scratch.json(level) if scratch else None,
        "gain": context.means.better(mine.now, scratch).json(level) if scratch else None,
    }
    decision = _by_measurement(mine, pairs, context) if mine.mistrust else _by_law(mine, rivals, measured, context)
    head = {
        **candidate.key,
        "alignment": _alignment(context.means.rows, mixture),
        "metric": context.means.metric,
        "measured": measured,
    }
    head["law"] = {"status": candidate.report["status"], "text": candidate.report["verdict"]["text"], "mistrust": mine.mistrust}
    return head | decision | {"because": f"{_value_text(measured, context)} {decision['because']}"}


def _by_law(mine: Standing, rivals: list[Standing], measured: dict, context: Context) -> dict:
    """As far as can be afforded; if that is beyond the mixture's text, as far as the text goes."""
    text_end = context.text_end(mine.candidate.key["mixture"])
    decision = _forecast(mine, rivals, measured, context, context.target(mine.last))
    if decision["answer"] != "continue" or decision["continue_to"] <= text_end:
        return decision
    nearer = _forecast(mine, rivals, measured, context, text_end)
    if nearer["answer"] == "continue":
        return nearer | {"because": f"{nearer['because']} Its text ends there."}
    text = f"{decision['because']} {_used_up(text_end, context)}: this gain takes more text, or another mixture."
    return _decision("more text", None, text, decision["forecast"])


def _forecast(mine: Standing, rivals: list[Standing], measured: dict, context: Context, target: float) -> dict:
    settings, level = context.settings, context.settings.confidence
    gain = mine.gain(target)
    chance, found = gain.probability_above(settings.worthwhile), gain.json(level)
    over_scratch = added(measured["gain"], found) if measured["gain"] else None
    forecast = {
        "pretraining_tokens": target,
        "score": mine.score(target),
        "gain": found,
        "gain_over_scratch": over_scratch,
        "probability_worthwhile": chance,
        "worthwhile_from": mine.first_gaining(settings.worthwhile, end=target),
    }
    reached = f"By its law that becomes {forecast['score']['estimate']:.3g} at D_p = {short_number(target)}"
    said = f"{reached}: a gain of {signed(found)}"
    said += (
        " (one seed: no interval)."
        if chance is None
        else f" (probability of at least {settings.worthwhile:g}: {probability(chance, 0.5)})."
    )
    rival = _better_rival(mine, rivals, context, target)
    if rival:
        return _decision("other data", None, f"{said} {rival}", forecast)
    if settings.target_score is not None:
        missing = context.means.direction * (settings.target_score - mine.now.estimate)
        aim = f"The target {settings.target_score:g} is"
        if missing <= 0:
            return _decision("stop", None, f"{said} {aim} already reached.", forecast)
        reach = mine.first_gaining(missing, end=target)
        if reach is None:
            text = f"{said} {aim} out of reach: not worth pretraining further on this data."
            return _decision("stop", None, text, forecast)
        return _decision("continue", reach, f"{said} {aim} predicted at D_p = {short_number(reach)}.", forecast)
    if over_scratch is not None and over_scratch["estimate"] < settings.worthwhile:
        text = f"{said} Even there pretraining would gain only {signed(over_scratch)} over none."
        return _decision("stop", None, text, forecast)
    enough = found["estimate"] >= settings.worthwhile
    if chance is not None and (chance >= 0.5) != enough:
        text = f"{said} The estimate and the probability disagree on whether that is worthwhile."
        return _decision("undecided", None, text, forecast)
    if not enough:
        return _decision("stop", None, f"{said} That is less than is worthwhile.", forecast)
    begins = short_number(forecast["worthwhile_from"] or target)
    return _decision("continue", target, f"{said} A worthwhile gain begins at D_p = {begins}.", forecast)


def _better_rival(mine: Standing, rivals: list[Standing], context: Context, target: float) -> str:
    """The mixture with the largest lead that is sure, each as far as its law and text go; in words, empty if there is none.

    A mixture whose law is not trusted stays where it was measured last. Leads are added up as forecasts are.
    """
    level, found = context.settings.confidence, []
    for rival in rivals:
        if rival is mine:
            continue
        mixture = rival.candidate.key["mixture"]
        there = rival.last if rival.mistrust else min(target, context.text_end(mixture))
        growth = mine.gain(target).times(-1) if rival.mistrust else rival.gain(there) - mine.gain(target)
        lead = added(context.means.better(rival.now, mine.now).json(level), growth.json(level))
        if lead["low"] is not None and lead["low"] > 0:
            how = "was measured" if rival.mistrust else "is predicted"
            text = f"{mixture} {how} to be surely better than that, at D_p = {short_number(there)}: by {signed(lead)}."
            found.append((lead["low"], text))
    return max(found)[1] if found else ""


def _by_measurement(mine: Standing, pairs: list[dict], context: Context) -> dict:
    """Where no law decides: does the curve turn back, is another mixture surely better, what did the last rung gain?"""
    settings, mixture = context.settings, mine.candidate.key["mixture"]
    said = f"No law decides here: {mine.mistrust}."
    if mine.candidate.report["verdict"].get("monotone") is False:
        text = f"{said} The measured values turn back by more than noise, a sign of misalignment: more of it promises nothing."
        return _decision("other data", None, text, None)
    ahead = next((p for p in pairs if p["other"] == mixture and p["sureness"] is Significance.SURELY), None)
    if ahead:
        return _decision("other data", None, f"{said} Measured, {ahead['text']}", None)
    if settings.target_score is not None and context.means.direction * (mine.now.estimate - settings.target_score) >= 0:
        return _decision("stop", None, f"{said} The target {settings.target_score:g} is already reached.", None)
    rungs = context.means.rungs(mixture, float(mine.candidate.key["finetuning_size"]))
    if len(rungs) < 2:
        return _decision("undecided", None, f"{said} With one rung nothing is known of what more pretraining gains.", None)
    before, text_end = rungs[-2], context.text_end(mixture)
    gain = context.means.better(mine.now, context.means.cells[mixture, float(mine.candidate.key["finetuning_size"]), before])
    step = gain.json(settings.confidence)
    said += f" Measured, from D_p = {short_number(before)} to {short_number(mine.last)} it gained {signed(step)}"
    if step["low"] is None:
        return _decision("undecided", None, f"{said}: one seed does not say whether that is worthwhile.", None)
    if step["high"] < settings.worthwhile:
        return _decision("stop", None, f"{said}, surely less than is worthwhile.", None)
    if step["low"] < settings.worthwhile:
        return _decision("undecided", None, f"{said}, which may or may not be worthwhile: more seeds would tell.", None)
    supports = f"{said}, surely worthwhile: the measurement supports going on"
    onward = min(mine.last * mine.last / before, context.target(mine.last), text_end)
    if onward > mine.last:
        return _decision("continue", onward, f"{supports} by as large a step.", None)
    if text_end <= mine.last:
        return _decision("more text", None, f"{supports}. {_used_up(text_end, context)}.", None)
    return _decision("stop", None, f"{supports}, but it is as far as can be afforded.", None)


def _used_up(text_end: float, context: Context) -> str:
    return f"But its text is used up at D_p = {short_number(text_end)} (max_epochs: {context.max_epochs:g})"


def _decision(what: str, continue_to: float | None, because: str, forecast: dict | None) -> dict:
    return {"answer": what, "continue_to": continue_to, "because": because, "forecast": forecast}


def _alignment(rows: pd.DataFrame, mixture: str) -> float | None:
    if "alignment" not in rows.columns:
        return None
    found = pd.to_numeric(rows[rows.mixture == mixture].alignment, errors="coerce").dropna()
    return float(found.iloc[0]) if len(found) else None


def _value_text(measured: dict, context: Context) -> str:
    text = f"{context.means.metric} {interval(measured['score'])} at D_p = {short_number(measured['largest_rung'])}"
    if measured["gain"] is None:
        return f"{text}; no from-scratch baseline was measured."
    return f"{text}; {signed(measured['gain'])} over no pretraining ({measured['scratch']['estimate']:.3g})."
