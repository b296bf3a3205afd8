"""The part of the test-set noise that all models share, from per-sentence statistics.

A corpus metric is a smooth function of sums over sentences, so its log moves by the sum of the sentences' influences (the delta
method, or infinitesimal jackknife). Influences of two models on the same sentences correlate: that share of the noise moves all
points together and cannot be seen in residuals; the rest is different for every model and is in the residuals already.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from transferlaws.errors import UserError
from transferlaws.files import check_sums
from transferlaws.measurements.columns import KEY
from transferlaws.statistics.arrays import Array

SENTENCE_KEY = tuple(name for name in KEY if name != "finetuning_unit")


def cross_entropy_influence(nll: Array, tokens: Array) -> Array:
    """Of each sentence on ln(sum of nats / sum of tokens)."""
    return nll / nll.sum() - tokens / tokens.sum()


def bleu_influence(counts: Array) -> Array:
    """Of each sentence on ln BLEU; counts (n, 10) are sacrebleu's: lengths of hypothesis and reference, 4 matches, 4 n-grams."""
    total = np.maximum(counts.sum(axis=0), 1)
    precision = (counts[:, 2:6] / total[2:6] - counts[:, 6:10] / total[6:10]).mean(axis=1)
    if total[0] >= total[1]:
        return precision
    ratio = total[1] / total[0]  # ln of the brevity penalty is 1 - reference / hypothesis
    return precision - ratio * (counts[:, 1] / total[1] - counts[:, 0] / total[0])


def chrf_influence(counts: Array, beta: float = 2.0) -> Array:
    """Of each sentence on ln chrF; counts (n, 3 * orders) are sacrebleu's: hypothesis, reference and matching n-grams an order."""
    hypothesis, reference, match = (counts[:, part::3].astype(float) for part in range(3))
    sums = [np.maximum(part.sum(axis=0), 1) for part in (hypothesis, reference, match)]
    precisions, recalls = sums[2] / sums[0], sums[2] / sums[1]
    precision, recall = precisions.mean(), recalls.mean()
    to_precision = (precisions * (match / sums[2] - hypothesis / sums[0])).mean(axis=1)
    to_recall = (recalls * (match / sums[2] - reference / sums[1])).mean(axis=1)
    mixed = beta**2 * precision + recall
    return to_precision / precision + to_recall / recall - (beta**2 * to_precision + to_recall) / mixed


def with_sentences(table: pd.DataFrame, path: str | Path) -> pd.DataFrame:
    """Replace `<metric>_noise` by its shared part, for cross_entropy, bleu and chrf, and add `<metric>_influence`.

    `path` is sentences.parquet: one row per (measurement, test sentence) with nll, tokens, and counts of BLEU and chrF. The shared
    part is the noise of each measurement times the square root of the mean correlation between measurements of its task.
    The influence of each sentence on the log metric tells which models err together on which sentences.
    """
    check_sums(Path(path).parent, Path(path).name)
    try:
        sentences = pd.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Run `transferlaws score` first, or leave --sentences out.") from None
    missing = [name for name in (*SENTENCE_KEY, "index", "nll", "tokens") if name not in sentences.columns]
    if missing:
        raise UserError(f"{path}: missing column {', '.join(missing)}. Pass the sentences.parquet of `transferlaws score`.")
    table = table.copy()
    rows = {tuple(row[:-1]): row[-1] for row in table[[*SENTENCE_KEY, "row"]].itertuples(index=False)}
    influences: dict[tuple[str, str], dict[int, Array]] = {}
    for key, own in sentences.sort_values("index").groupby(list(SENTENCE_KEY), sort=False):
        if key not in rows:
            continue
        found = {"cross_entropy": cross_entropy_influence(own.nll.to_numpy(float), own.tokens.to_numpy(float))}
        for metric, influence in (("bleu", bleu_influence), ("chrf", chrf_influence)):
            name = f"{metric}_statistics"
            if name in own.columns and own[name].notna().all():
                found[metric] = influence(np.stack(own[name].to_numpy()))
        for metric, value in found.items():
            influences.setdefault((key[0], metric), {})[rows[key]] = value
    for (_, metric), own in influences.items():
        if metric not in table.columns:
            continue
        matrix = np.stack(list(own.values()))  # (measurements, sentences)
        covariance = matrix @ matrix.T
        deviation = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(deviation, deviation)
        count = len(matrix)
        mean = (correlation.sum() - count) / (count * (count - 1)) if count > 1 else 1.0
        shared = pd.Series(deviation * np.sqrt(max(mean, 0.0)), index=list(own))
        here = table.row.isin(shared.index)
        column = f"{metric}_noise"
        if column not in table.columns:
            table[column] = np.nan
        table.loc[here, column] = table.row[here].map(shared) * table[metric][here]
        column = f"{metric}_influence"
        if column not in table.columns:
            table[column] = pd.Series([None] * len(table), index=table.index, dtype=object)
        table.loc[here, column] = table.row[here].map(own)
    return table
