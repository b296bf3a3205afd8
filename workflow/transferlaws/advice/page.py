"""The advice as a page: a template over `advice.json`.

The template is Python text, not a file beside it, so that the fingerprint of the stage's code covers it.
"""

import re
from typing import Any

import jinja2

from transferlaws.advice.comparison import best_of
from transferlaws.format import interval, printable, short_number, signed
from transferlaws.measurements.panels import PANEL
from transferlaws.measurements.significance import definitions

TEMPLATE = """\
# Advice

{% if settings.worthwhile is not none %}
A gain of {{ "%g" | format(settings.worthwhile) }} in the deciding metric is called worthwhile. \
{% endif %}
Intervals are at \
{{ "%.0f%%" | format(100 * settings.confidence) }}. {{ definitions }} A law's gain counts from where the measurements end \
and is added to what was measured there; a law is asked only where its verdict and the held-out rung allow it.
{% if notes %}

{% for note in notes %}- {{ note }}.
{% endfor %}{% endif %}
{% for curve, own in answers | by_panel %}

## {{ curve.task }}, {{ curve.model }}, {{ "%g" | format(curve.finetuning_size) }} {{ curve.finetuning_unit }}

{% set pairs = comparisons | about(curve) %}
{% for metric, compared in pairs | by_metric %}
{{ compared | best_of }}

{% endfor %}
{{ ["mixture", "alignment", own[0].metric ~ " now", "over no pretraining", "further gain by the law", "answer"] | row }}
|---|---|---|---|---|---|
{% for answer in own %}
{{ answer | cells | row }}
{% endfor %}

{% for answer in own %}
- **{{ answer.mixture }}**: {{ answer.because }}
{% endfor %}
{% if pairs %}

Mixtures compared:

{% for pair in pairs %}
- {{ pair.text }}
{% endfor %}{% endif %}{% endfor %}

## Laws compared

{% if laws %}
| curve | metric | law | status | held-out error (ARE) | AICc difference |
|---|---|---|---|---|---|
{% for group in laws %}{% for law in group.laws %}
{{ [group.group | name, group.metric, law.law, law.status, law.are | error, law.delta_aicc | tenths] | row }}
{% endfor %}{% endfor %}
{% for group in laws if group.not_told_apart %}

{{ group.group | name }}, {{ group.metric }}: the points cannot tell {{ group.not_told_apart | join(" and ") }} apart.
{% endfor %}
{% else %}
No two laws were fitted to the same points.
{% endif %}

## Budget

{% for split in budget.splits %}
- {{ split.group | name }}: {{ split.pretraining_tokens | interval }} pretraining tokens and \
{{ split.finetuning_units | interval }} {{ split.group.get("finetuning_unit", "units") }}, predicted loss \
{{ split.loss | interval }}.\
{% if split.beyond_measured %} Beyond what was measured: {{ split.beyond_measured | join(", ") }}.{% endif %}

{% else %}
No split of a budget: {{ budget.reason }}.
{% endfor %}
{% if model_size %}

## Data in model size

{% for found in model_size %}
- {{ found.group | name }}: ten times the fine-tuning data is worth a model {{ found | times }}.
{% endfor %}{% endif %}
"""


def page(advice: dict) -> str:
    """Markdown of `advice.json`: answers, comparisons, laws, budget; what cannot be said is said to be so."""
    advice = _inert(advice)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters |= FILTERS
    return environment.from_string(TEMPLATE).render(definitions=definitions(advice["settings"]["confidence"]), **advice)


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


def _row(texts: list[str]) -> str:
    """A row of a table; a name may hold anything, and must neither end its cell nor its row."""
    return f"| {' | '.join(' '.join(text.split()).replace('|', chr(92) + '|') for text in texts)} |"


def _by_panel(answers: list[dict]) -> list[tuple[dict, list[dict]]]:
    """The answers of each (task, model, D_f), with one of them for its keys."""
    panels: dict[tuple, list[dict]] = {}
    for answer in answers:
        panels.setdefault(tuple(answer[key] for key in PANEL), []).append(answer)
    return [(own[0], own) for own in panels.values()]


def _about(pairs: list[dict], curve: dict) -> list[dict]:
    return [pair for pair in pairs if all(pair[key] == curve[key] for key in ("task", "model", "finetuning_size"))]


def _by_metric(pairs: list[dict]) -> list[tuple[str, list[dict]]]:
    metrics = dict.fromkeys(pair["metric"] for pair in pairs)
    return [(metric, [pair for pair in pairs if pair["metric"] == metric]) for metric in metrics]


def _cells(answer: dict) -> list[str]:
    measured, forecast = answer["measured"], answer["forecast"]
    what = answer["answer"]
    if answer["continue_to"] is not None:
        what += f" to D_p = {short_number(answer['continue_to'])}"
    return [
        answer["mixture"],
        "" if answer["alignment"] is None else f"{answer['alignment']:.2f}",
        f"{interval(measured['score'])} at {short_number(measured['largest_rung'])}",
        signed(measured["gain"]) if measured["gain"] else "not measured",
        f"{signed(forecast['gain'])} by {short_number(forecast['pretraining_tokens'])}" if forecast else "no law decides",
        f"**{what}**",
    ]


def _times(found: dict) -> str:
    """How many times as large a model, where the points say it: a loose interval reaches from nothing to any number."""
    known = found["estimate"] is not None and found.get("identified") and found["low"] is not None and found["high"] is not None
    return (
        f"{interval(found)} times as large ({found['status']})"
        if known
        else f"of a size that these points do not identify ({found['status']})"
    )


FILTERS = {
    "about": _about,
    "best_of": best_of,
    "by_metric": _by_metric,
    "by_panel": _by_panel,
    "cells": _cells,
    "error": lambda value: "" if value is None else f"{value:.2%}",
    "interval": interval,
    "name": lambda group: ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in group.values()),
    "row": _row,
    "tenths": lambda value: "" if value is None else f"{value:.1f}",
    "times": _times,
}
