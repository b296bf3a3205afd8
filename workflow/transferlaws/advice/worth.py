"""What each mixture is worth over training from scratch, per (model, task, D_f), in numbers and in words."""

import pandas as pd

from transferlaws.advice.comparison import leads
from transferlaws.format import percent, short_number
from transferlaws.laws.document import FitDocument
from transferlaws.laws.settings import law_of
from transferlaws.laws.verdict import STATES
from transferlaws.measurements.columns import LOSSES
from transferlaws.measurements.means import Cell, Means, TableMeans
from transferlaws.measurements.panels import SCRATCH, panels
from transferlaws.measurements.significance import Gain, Significance, definitions, gain_of
from transferlaws.measurements.table import diverged

NAMES = {"bleu": "BLEU", "chrf": "chrF", "cross_entropy": "cross-entropy (nats/token)"}
Documents = dict[str, FitDocument]


def worth(table: TableMeans, documents: Documents, level: float) -> list[dict]:
    """One entry per panel: its keys, the sentences of the answer, and every mixture with its means and gains; best first."""
    return [entry for keys, rows in panels(table.table) if (entry := _panel(keys, rows, table, documents, level)) is not None]


def _panel(keys: dict, rows: pd.DataFrame, table: TableMeans, documents: Documents, level: float) -> dict | None:
    metrics = [m for m in NAMES if m in rows and rows[m].notna().any()]
    mixtures = [m for m in dict.fromkeys(rows["mixture"]) if m != SCRATCH]
    if not metrics or not mixtures:
        return None
    size = float(keys["finetuning_size"])
    means = [table.of(task=keys["task"], model=keys["model"], metric=metric) for metric in metrics]
    lines = []
    for mixture in sorted(mixtures, key=lambda m: -_height(means[0], m, size)):
        part = rows[rows["mixture"] == mixture]
        alignment = part["alignment"].dropna() if "alignment" in part else pd.Series(dtype=float)
        lines.append(
            {
                "mixture": mixture,
                "alignment": float(alignment.iloc[0]) if len(alignment) else None,
                "pretraining_tokens": float(part["pretraining_tokens"].max()),
                "values": {found.metric: _value(rows, found, found.last(mixture, size), level) for found in means},
                "laws": [text for metric in metrics if (text := _law(documents, metric, mixture, keys))],
            }
        )
    scratch = {found.metric: _value(rows, found, found.scratch(size), level) for found in means}
    return {
        **keys,
        "sentences": list(dict.fromkeys(text for found in _deciding(means) for text in _sentences(found, mixtures, size, level))),
        "mixtures": lines,
        "scratch": scratch,
    }


def _deciding(means: list[Means]) -> list[Means]:
    """The first score and the cross-entropy: of a small test set the score is the noisier witness, but it is what users see."""
    return means[:1] + [found for found in means[1:] if found.metric in LOSSES]


def _height(means: Means, mixture: str, size: float) -> float:
    """For sorting: the mean at the last rung, higher is better."""
    cell = means.last(mixture, size)
    return float("-inf") if cell is None else means.direction * means.cells[cell].estimate


def _value(rows: pd.DataFrame, means: Means, cell: Cell | None, level: float) -> dict | None:
    """Mean, number and range of seeds of a cell, and what it gains over scratch; None where it was not measured."""
    if cell is None:
        return None
    values = rows[(rows["mixture"] == cell[0]) & (rows["pretraining_tokens"] == cell[2])][means.metric].dropna()
    found = gain_of(means.gain(cell, means.scratch(cell[1])), level) if cell[2] > 0 else None
    gain = None
    if found is not None:
        gain = {"estimate": found.estimate, "low": found.low, "high": found.high}
        gain |= {"probability": found.probability, "sureness": found.significance, "text": _verdict(found, "scratch")}
    return {
        "mean": means.cells[cell].estimate,
        "seeds": len(values),
        "lowest": float(values.min()),
        "highest": float(values.max()),
        "gain": gain,
    }


def digits(metric: str) -> int:
    """Decimals with which a metric and its gains are written."""
    return 3 if metric in LOSSES else 1


def fixed(value: float | None, metric: str) -> str:
    """An end of a gain as signed text, with the decimals of its metric."""
    return "unknown" if value is None else f"{value:+.{digits(metric)}f}".replace("-", "−")


def _verdict(found: Gain, than: str) -> str:
    if found.significance is Significance.UNKNOWN:
        return "one seed: noise unknown"
    chance = "" if found.significance is Significance.SURELY else f" (probability of a gain {percent(round(found.probability, 2))})"
    return f"{found.significance.than(better=found.estimate > 0)} {than}{chance}"


def _law(documents: Documents, metric: str, mixture: str, keys: dict) -> str | None:
    document = documents.get(law_of(metric))
    fit = document and document.find(metric, mixture=mixture, **keys)
    if not fit:
        return None
    error = fit.held_out.are if fit.held_out else None
    held_out = f", held-out error {percent(error)}" if error is not None and fit.may_draw else ""
    return f"{NAMES[metric].split(' (')[0]}: {STATES.get(fit.state, fit.state)}{held_out}"


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
    estimate, low, high = (fixed(end, means.metric) for end in (found.estimate, found.low, found.high))
    return estimate + ("" if found.low is None else f" ({percent(level)} interval {low} to {high})")


def remarks(table: TableMeans, level: float) -> list[str]:
    """How the intervals are made, what the words mean that follow from them, and what they leave out."""
    measured = table.everything
    texts = [
        "Improvements are at each mixture's largest number of pretraining tokens: score up, cross-entropy down; means over seeds "
        "are geometric, here as in laws, advice and figures. "
        f"Their {percent(level)} intervals hold the noise between seeds, pooled over all mixtures, rungs and D_f of a task; "
        "noise of the test set that all share cancels.",
        definitions(level),
        "A law that is rejected, or could not be fitted, predicts nothing. Where parameters are not identified the points do not "
        "fix them, though predictions near the points may still be good.",
    ]
    ends = measured[measured["pretraining_tokens"] > 0].groupby("mixture")["pretraining_tokens"].max()
    shorter = [f"{mixture} at {short_number(end)}" for mixture, end in ends.items() if end < ends.max()]
    if shorter:
        texts.append(
            f"Not every mixture goes as far as {short_number(ends.max())} pretraining tokens; these end earlier: "
            f"{', '.join(shorter)}. Their last rungs are compared with more pretraining than they had."
        )
    texts += cut_off(measured)
    lost = int(diverged(measured).sum())
    if lost:
        texts.append(f"{lost} of {len(measured)} runs diverged at every learning rate; they are left out of means and figures.")
    return texts


CUT = {
    "finetuning_sources_cut": ("fine-tuning sources", "finetuning_pairs"),
    "finetuning_targets_cut": ("fine-tuning targets", "finetuning_pairs"),
    "test_sources_cut": ("test sources", "test_items"),
    "test_targets_cut": ("test targets", "test_items"),
    "test_references_cut": ("references that no hypothesis can reach", "test_items"),
    "test_hypotheses_cut": ("hypotheses", "test_items"),
}


def cut_off(table: pd.DataFrame) -> list[str]:
    """A sentence a task on what limits of length took away where it is more than 1 % of anything, the worst row of each."""
    texts = []
    for task, rows in table.groupby("task", sort=False):
        shares = {}
        for column, (words, whole) in CUT.items():
            if column in rows and whole in rows:
                share = (rows[column] / rows[whole]).max()
                if share > 0.01:
                    shares[words] = share
        if shares:
            lost = ", ".join(f"{percent(share)} of {words}" for words, share in shares.items())
            texts.append(
                f"{task}: cut off by the limits of length, at most: {lost}. "
                "Losses are of what was left, and BLEU and chrF suffer: raise finetuning.length, evaluation.length and "
                "evaluation.max_length, or train the vocabulary on the task's languages."
            )
    return texts
