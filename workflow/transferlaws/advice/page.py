"""The advice as a page."""

import re
from typing import Any

from transferlaws.advice.comparison import best_of
from transferlaws.format import interval, printable, short_number, signed
from transferlaws.measurements.significance import definitions


def page(advice: dict) -> str:
    """Markdown of `advice.json`: answers, comparisons, laws, budget; what cannot be said is said to be so."""
    advice = _inert(advice)
    settings = advice["settings"]
    lines = ["# Advice", ""]
    worthwhile = (
        ""
        if settings["worthwhile"] is None
        else f"A gain of {settings['worthwhile']:g} in the deciding metric is called worthwhile. "
    )
    lines.append(
        f"{worthwhile}Intervals are at "
        f"{settings['confidence']:.0%}. {definitions(settings['confidence'])} A law's gain counts from where the measurements end "
        "and is added to what was measured there; a law is asked only where its verdict and the held-out rung allow it."
    )
    lines += ["", *(f"- {note}." for note in advice["notes"])] if advice["notes"] else []
    for task, model, size, unit in _curves(advice["answers"]):
        lines += ["", f"## {task}, {model}, {size:g} {unit}", ""]
        own = [a for a in advice["answers"] if (a["task"], a["model"], a["finetuning_size"]) == (task, model, size)]
        pairs = [p for p in advice["comparisons"] if (p["task"], p["model"], p["finetuning_size"]) == (task, model, size)]
        for metric in dict.fromkeys(p["metric"] for p in pairs):
            lines += [best_of([p for p in pairs if p["metric"] == metric]), ""]
        lines += [
            f"| mixture | alignment | {own[0]['metric']} now | over no pretraining | further gain by the law | answer |",
            "|---|---|---|---|---|---|",
            *map(_row, own),
            "",
            *(f"- **{a['mixture']}**: {a['because']}" for a in own),
        ]
        if pairs:
            lines += ["", "Mixtures compared:", "", *(f"- {p['text']}" for p in pairs)]
    lines += ["", "## Laws compared", "", *_laws(advice["laws"])]
    lines += ["", "## Budget", "", *_budget(advice["budget"])]
    if advice["model_size"]:
        lines += ["", "## Data in model size", ""]
        lines += [
            f"- {_name(m['group'])}: ten times the fine-tuning data is worth a model {_times(m)}." for m in advice["model_size"]
        ]
    return "\n".join(lines) + "\n"


def _inert(value: object) -> Any:
    """The advice with every text on one line and without markup: names in a table from elsewhere may hold anything."""
    if isinstance(value, dict):
        return {_inert(key): _inert(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_inert(item) for item in value]
    if not isinstance(value, str):
        return value
    line = " ".join(printable(value).split()).replace("](", "]\\(").replace("`", "\\`")
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", line)


def _cells(*texts: str) -> str:
    """A row of a table; a name may hold anything, and must neither end its cell nor its row."""
    return f"| {' | '.join(' '.join(text.split()).replace('|', chr(92) + '|') for text in texts)} |"


def _curves(answers: list[dict]) -> list[tuple]:
    return list(dict.fromkeys((a["task"], a["model"], a["finetuning_size"], a["finetuning_unit"]) for a in answers))


def _row(answer: dict) -> str:
    measured, forecast = answer["measured"], answer["forecast"]
    alignment = "" if answer["alignment"] is None else f"{answer['alignment']:.2f}"
    gain = signed(measured["gain"]) if measured["gain"] else "not measured"
    ahead = f"{signed(forecast['gain'])} by {short_number(forecast['pretraining_tokens'])}" if forecast else "no law decides"
    what = answer["answer"]
    if answer["continue_to"] is not None:
        what += f" to D_p = {short_number(answer['continue_to'])}"
    now = f"{interval(measured['score'])} at {short_number(measured['largest_rung'])}"
    return _cells(answer["mixture"], alignment, now, gain, ahead, f"**{what}**")


def _laws(groups: list[dict]) -> list[str]:
    if not groups:
        return ["No two laws were fitted to the same points."]
    lines = ["| curve | metric | law | status | held-out error (ARE) | AICc difference |", "|---|---|---|---|---|---|"]
    for group in groups:
        for law in group["laws"]:
            error = "" if law["are"] is None else f"{law['are']:.2%}"
            difference = "" if law["delta_aicc"] is None else f"{law['delta_aicc']:.1f}"
            lines.append(_cells(_name(group["group"]), group["metric"], law["law"], law["status"], error, difference))
    for group in groups:
        if group["not_told_apart"]:
            laws = " and ".join(group["not_told_apart"])
            lines += ["", f"{_name(group['group'])}, {group['metric']}: the points cannot tell {laws} apart."]
    return lines


def _budget(budget: dict) -> list[str]:
    if not budget["splits"]:
        return [f"No split of a budget: {budget['reason']}."]
    lines = []
    for split in budget["splits"]:
        beyond = f" Beyond what was measured: {', '.join(split['beyond_measured'])}." if split["beyond_measured"] else ""
        lines.append(
            f"- {_name(split['group'])}: {interval(split['pretraining_tokens'])} pretraining tokens and "
            f"{interval(split['finetuning_units'])} {split['group'].get('finetuning_unit', 'units')}, predicted loss "
            f"{interval(split['loss'])}.{beyond}"
        )
    return lines


def _name(group: dict) -> str:
    return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in group.values())


def _times(found: dict) -> str:
    """How many times as large a model, where the points say it: a loose interval reaches from nothing to any number."""
    known = found["estimate"] is not None and found.get("identified") and found["low"] is not None and found["high"] is not None
    return (
        f"{interval(found)} times as large ({found['status']})"
        if known
        else f"of a size that these points do not identify ({found['status']})"
    )
