"""The answer in words and numbers: per (model, task, D_f), which mixture helps, by how much, and how sure that is."""

import pandas as pd

from transferlaws.figures import style
from transferlaws.figures.curves import NOTES, panel_title
from transferlaws.figures.downstream import LAWS
from transferlaws.figures.gains import LOSSES, Gain, gain, last_rung
from transferlaws.figures.inputs import SCRATCH, Fit, find, panels

NAMES = {"bleu": "BLEU", "chrf": "chrF", "cross_entropy": "cross-entropy (nats/token)"}
NOTHING = (SCRATCH, 0.0)


def blocks(table: pd.DataFrame, fits: list[Fit]) -> list[dict]:
    """One entry a (model, task, D_f), as the page's template reads it; its `keys` tell which."""
    shown = table[table["status"] != "diverged"] if "status" in table else table
    models = table["model"].nunique()
    return [block for keys, rows in panels(shown) if (block := _block(keys, rows, fits, models)) is not None]


def _block(keys: dict, rows: pd.DataFrame, fits: list[Fit], models: int) -> dict | None:
    metrics = [m for m in NAMES if m in rows and rows[m].notna().any()]
    mixtures = [m for m in dict.fromkeys(rows["mixture"]) if m != SCRATCH]
    if not metrics or not mixtures:
        return None
    decisive = metrics[0]
    aligned = "alignment" in rows and rows["alignment"].notna().any()
    lines = []
    for mixture in sorted(mixtures, key=lambda m: -_gain_at_last(rows, decisive, m)):
        part = rows[rows["mixture"] == mixture]
        score = part["alignment"].dropna() if aligned else pd.Series(dtype=float)
        lines.append(
            {
                "mixture": mixture,
                "alignment": f"{score.iloc[0]:.2f}" if len(score) else "",
                "tokens": style.short_number(part["pretraining_tokens"].max()),
                "cells": [_cell(rows, metric, last_rung(rows, mixture, metric)) for metric in metrics],
                "laws": [text for metric in metrics if (text := _law(fits, metric, mixture, keys))],
            }
        )
    scratch = {"mixture": "none (from scratch)", "alignment": "", "tokens": "0", "laws": []}
    lines.append(scratch | {"cells": [_cell(rows, metric, NOTHING) for metric in metrics]})
    return {
        "keys": keys,
        "title": panel_title(keys, models),
        "sentences": _sentences(rows, decisive, mixtures),
        "advice": [],
        "aligned": aligned,
        "metrics": [NAMES[metric] for metric in metrics],
        "table": lines,
    }


def _gain_at_last(rows: pd.DataFrame, metric: str, mixture: str) -> float:
    """Improvement of the mean over seeds at the last rung, over 0 rather than scratch: for sorting."""
    cell = last_rung(rows, mixture, metric)
    if cell is None:
        return float("-inf")
    mean = rows[(rows["mixture"] == cell[0]) & (rows["pretraining_tokens"] == cell[1])][metric].mean()
    return -mean if metric in LOSSES else mean


def _cell(rows: pd.DataFrame, metric: str, cell: tuple[str, float] | None) -> dict:
    if cell is None:
        return {"value": "", "seeds": "not measured", "gain": None}
    values = rows[(rows["mixture"] == cell[0]) & (rows["pretraining_tokens"] == cell[1])][metric].dropna()
    if values.empty:
        return {"value": "", "seeds": "not measured", "gain": None}
    digits = _digits(metric)
    spread = f", {values.min():.{digits}f} to {values.max():.{digits}f}" if len(values) > 1 else ""
    found = None if cell == NOTHING else gain(rows, metric, cell, NOTHING)
    return {
        "value": f"{values.mean():.{digits}f}",
        "seeds": f"{len(values)} seed{'s' * (len(values) > 1)}{spread}",
        "gain": None if found is None else interval(found, metric) | {"verdict": _verdict(found)},
    }


def _digits(metric: str) -> int:
    return 3 if metric in LOSSES else 1


def interval(found: Gain, metric: str) -> dict[str, str]:
    """An improvement and its interval as signed text."""
    digits = _digits(metric)
    return {part: f"{getattr(found, part):+.{digits}f}".replace("-", "−") for part in ("estimate", "low", "high")}


def _verdict(found: Gain) -> str:
    if not found.freedom:
        return "one seed: seed noise unknown"
    if not found.certain:
        return "within noise"
    return "better than scratch" if found.estimate > 0 else "worse than scratch"


def _law(fits: list[Fit], metric: str, mixture: str, keys: dict) -> str | None:
    fit = find(fits, LAWS[metric], metric, mixture=mixture, **keys)
    if fit is None:
        return None
    state = {"holds": "holds"}.get(fit.state, NOTES.get(fit.state, fit.state))
    error = (fit.document.get("held_out") or {}).get("are")
    held_out = f", held-out error {style.percent(error)}" if error is not None and fit.has_curve else ""
    return f"{NAMES[metric].split(' (')[0]}: {state}{held_out}"


def _sentences(rows: pd.DataFrame, metric: str, mixtures: list[str]) -> list[str]:
    """Which mixture helps most, whether that is more than noise, whether it leads the next, which do harm."""
    cells = {mixture: cell for mixture in mixtures if (cell := last_rung(rows, mixture, metric))}
    gains = {mixture: found for mixture, cell in cells.items() if (found := gain(rows, metric, cell, NOTHING))}
    if not gains:
        return ["Nothing was trained from scratch here, so what pretraining is worth cannot be said."]
    order = sorted(gains, key=lambda mixture: -gains[mixture].estimate)
    best, unit = order[0], NAMES[metric]
    tokens = style.short_number(cells[best][1])
    value = _phrase(gains[best], metric)
    what = f"{unit} {value} over training from scratch, after {tokens} pretraining tokens"
    if not gains[best].freedom:
        sentences = [f"{best} did best: {what}. With one seed this cannot be told from noise between seeds."]
    elif gains[best].low > 0:
        sentences = [f"{best} helps most: {what}."]
    else:
        sentences = [f"No mixture beats training from scratch by more than noise. The best, {best}: {what}."]
    if len(order) > 1 and gains[best].freedom:
        lead = gain(rows, metric, cells[best], cells[order[1]])
        sure = "a lead beyond noise" if lead.low > 0 else "not a lead beyond noise: the two cannot be told apart"
        sentences.append(f"Against the next, {order[1]}, that is {_phrase(lead, metric)}, {sure}.")
    harmful = [f"{m} ({_phrase(gains[m], metric)})" for m in order if gains[m].freedom and gains[m].high < 0]
    if harmful:
        sentences.append(f"Worse than training from scratch: {', '.join(harmful)}.")
    return sentences


def _phrase(found: Gain, metric: str) -> str:
    text = interval(found, metric)
    return f"{text['estimate']} ({style.percent(found.level)} interval {text['low']} to {text['high']})"
