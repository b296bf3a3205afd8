"""The answer in words and numbers: per (model, task, D_f), which mixture helps, by how much, and how sure that is."""

import pandas as pd

from transferlaws.advice.comparison import leads
from transferlaws.figures.curves import NOTES, panel_title
from transferlaws.figures.downstream import LAWS
from transferlaws.figures.inputs import SCRATCH, Fit, find, panels
from transferlaws.format import percent, short_number
from transferlaws.measurements.columns import LOSSES
from transferlaws.measurements.means import Cell, Means, TableMeans
from transferlaws.measurements.significance import Gain, Significance, gain_of
from transferlaws.measurements.table import usable

NAMES = {"bleu": "BLEU", "chrf": "chrF", "cross_entropy": "cross-entropy (nats/token)"}


def blocks(table: pd.DataFrame, fits: list[Fit], level: float) -> list[dict]:
    """One entry a (model, task, D_f), as the page's template reads it; its `keys` tell which. Intervals are of `level`."""
    shown = usable(table)
    models, means = table["model"].nunique(), TableMeans(table)
    return [block for keys, rows in panels(shown) if (block := _block(keys, rows, means, fits, models, level)) is not None]


def _block(keys: dict, rows: pd.DataFrame, table_means: TableMeans, fits: list[Fit], models: int, level: float) -> dict | None:
    metrics = [m for m in NAMES if m in rows and rows[m].notna().any()]
    mixtures = [m for m in dict.fromkeys(rows["mixture"]) if m != SCRATCH]
    if not metrics or not mixtures:
        return None
    size = float(keys["finetuning_size"])
    means = [table_means.of(task=keys["task"], model=keys["model"], metric=metric) for metric in metrics]
    aligned = "alignment" in rows and rows["alignment"].notna().any()
    lines = []
    for mixture in sorted(mixtures, key=lambda m: -_worth(means[0], m, size)):
        part = rows[rows["mixture"] == mixture]
        score = part["alignment"].dropna() if aligned else pd.Series(dtype=float)
        lines.append(
            {
                "mixture": mixture,
                "alignment": f"{score.iloc[0]:.2f}" if len(score) else "",
                "tokens": short_number(part["pretraining_tokens"].max()),
                "cells": [_cell(rows, found, found.last(mixture, size), level) for found in means],
                "laws": [text for metric in metrics if (text := _law(fits, metric, mixture, keys))],
            }
        )
    scratch = {"mixture": "none (from scratch)", "alignment": "", "tokens": "0", "laws": []}
    lines.append(scratch | {"cells": [_cell(rows, found, found.scratch(size), level) for found in means]})
    return {
        "keys": keys,
        "title": panel_title(keys, models),
        "sentences": list(dict.fromkeys(text for found in _deciding(means) for text in _sentences(found, mixtures, size, level))),
        "aligned": aligned,
        "metrics": [NAMES[metric] for metric in metrics],
        "table": lines,
    }


def _deciding(means: list[Means]) -> list[Means]:
    """The first score and the cross-entropy: of a small test set the score is the noisier witness, but it is what users see."""
    return means[:1] + [found for found in means[1:] if found.metric in LOSSES]


def _worth(means: Means, mixture: str, size: float) -> float:
    """For sorting: the mean at the last rung, higher is better."""
    cell = means.last(mixture, size)
    return float("-inf") if cell is None else means.direction * means.cells[cell].estimate


def _cell(rows: pd.DataFrame, means: Means, cell: Cell | None, level: float) -> dict:
    if cell is None:
        return {"value": "", "seeds": "not measured", "gain": None}
    values = rows[(rows["mixture"] == cell[0]) & (rows["pretraining_tokens"] == cell[2])][means.metric].dropna()
    digits = _digits(means.metric)
    spread = f", {values.min():.{digits}f} to {values.max():.{digits}f}" if len(values) > 1 else ""
    found = gain_of(means.gain(cell, means.scratch(cell[1])), level) if cell[2] > 0 else None
    return {
        "value": f"{means.cells[cell].estimate:.{digits}f}",
        "seeds": f"{len(values)} seed{'s' * (len(values) > 1)}{spread}",
        "gain": None if found is None else interval(found, means.metric) | {"verdict": _verdict(found, "scratch")},
    }


def _digits(metric: str) -> int:
    return 3 if metric in LOSSES else 1


def interval(found: Gain, metric: str) -> dict[str, str]:
    """An improvement and its interval as signed text."""
    return {part: _signed(getattr(found, part), _digits(metric)) for part in ("estimate", "low", "high")}


def _signed(value: float | None, digits: int) -> str:
    return "unknown" if value is None else f"{value:+.{digits}f}".replace("-", "−")


def _verdict(found: Gain, than: str) -> str:
    if found.significance is Significance.UNKNOWN:
        return "one seed: noise unknown"
    chance = "" if found.significance is Significance.SURELY else f" (probability of a gain {percent(round(found.probability, 2))})"
    return f"{found.significance.than(better=found.estimate > 0)} {than}{chance}"


def _law(fits: list[Fit], metric: str, mixture: str, keys: dict) -> str | None:
    fit = find(fits, LAWS[metric], metric, mixture=mixture, **keys)
    if fit is None:
        return None
    error = (fit.document.get("held_out") or {}).get("are")
    held_out = f", held-out error {percent(error)}" if error is not None and fit.has_curve else ""
    return f"{NAMES[metric].split(' (')[0]}: {NOTES.get(fit.state, fit.state)}{held_out}"


def _sentences(means: Means, mixtures: list[str], size: float, level: float) -> list[str]:
    """Which mixture did best, how surely it helps at all, and leads the next; which do harm."""
    gains = {m: found for m in mixtures if (found := gain_of(means.gain(means.last(m, size), means.scratch(size)), level))}
    if not gains:
        return ["Nothing was trained from scratch here, so what pretraining is worth cannot be said."]
    order = sorted(gains, key=lambda mixture: -gains[mixture].estimate)
    best = order[0]
    tokens = short_number(means.last(best, size)[2])
    value = f"{NAMES[means.metric]} {_phrase(gains[best], means, level)}"
    what = f"{value} over training from scratch, after {tokens} pretraining tokens"
    if gains[best].significance is Significance.UNKNOWN:
        return [f"{best} did best: {what}. With one seed this cannot be told from noise between seeds."]
    text = f"{best} did best: {what}, {_verdict(gains[best], 'scratch')}."
    if len(order) > 1:
        text += _lead(means, best, order[1], size, level)
    harmful = [f"{m} ({_phrase(gains[m], means, level)})" for m in order if gains[m].high < 0]
    if harmful:
        text += f" Surely worse than training from scratch: {', '.join(harmful)}."
    return [text]


def _lead(means: Means, best: str, other: str, size: float, level: float) -> str:
    """The lead over the next mixture, as the advice's comparison has it: at their largest common rung, simultaneous."""
    pair = [found for found in leads(means, size, level) if {found[0], found[1]} == {best, other}]
    if not pair:
        return ""
    first, _, tokens, difference = pair[0]
    lead = gain_of(difference if first == best else difference.times(-1), level)
    after = "" if tokens == means.last(best, size)[2] else f" (both after {short_number(tokens)})"
    return f" Against the next, {other}{after}, that is {_phrase(lead, means, level)}: {_verdict(lead, 'it')}."


def _phrase(found: Gain, means: Means, level: float) -> str:
    text = interval(found, means.metric)
    ends = f" ({percent(level)} interval {text['low']} to {text['high']})"
    return text["estimate"] + ("" if found.low is None else ends)
