"""Measurement tables with known laws behind them, and fits of them, for figures to be drawn from."""

import json
import math

import numpy as np
import pandas as pd

from transferlaws.cli import main

LADDER = (64_000, 256_000, 1_000_000, 4_000_000, 16_000_000)
# mixture -> alignment, start and slope of the score's law
MIXTURES = {"en+de": (1.0, 0.9, 0.32), "en": (0.7, 0.4, 0.20), "fr": (0.0, 0.2, 0.09)}
SIGNATURE = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"


def bleu(mixture, tokens):
    _, start, slope = MIXTURES[mixture]
    return 6.0 + (start + slope * math.log(tokens / 2e4)) ** 1.6 * 2.2


def cross_entropy(mixture, tokens):
    _, start, slope = MIXTURES[mixture]
    return 2.1 + (1.6 - 0.3 * start) * (tokens / 6.4e4) ** (-0.6 * slope)


def measurements(tasks=("en-de",), sizes=(8000,), seeds=(1, 2), models=("mini",)):
    """One row per (model, mixture, task, D_f, seed, rung), scratch included; the first mixture helps most, the last hardly."""
    random = np.random.default_rng(0)
    cells = [("scratch", 0), *((mixture, tokens) for mixture in MIXTURES for tokens in LADDER)]
    rows = []
    for m, model in enumerate(models):
        for t, task in enumerate(tasks):
            for size in sizes:
                gain, easier = (1 + 0.25 * math.log(size / 8000)) * (1 - 0.1 * t) * (1 + 0.2 * m), 0.1 * math.log(size / 8000)
                for mixture, tokens in cells:
                    for seed in seeds:
                        score = gain * (bleu(mixture, tokens) if tokens else 7.0) + random.normal(0, 0.25)
                        loss = (cross_entropy(mixture, tokens) if tokens else 3.75) - easier
                        loss *= math.exp(random.normal(0, 0.006))
                        rows.append(_row(model, task, size, mixture, seed, tokens, score, loss))
    return pd.DataFrame(rows)


def _row(model, task, size, mixture, seed, tokens, score, loss):
    names = {"study": "simulated", "task": task, "kind": "translation", "model": model, "mixture": mixture}
    upstream = 2.4 + 30 * tokens**-0.23 + 0.02 * seed + 0.1 * list(MIXTURES).index(mixture) if tokens else math.nan
    pretraining = {"pretraining_tokens": tokens, "pretraining_epochs": tokens / 9e6, "upstream_cross_entropy": upstream}
    tuning = {"finetuning_size": size, "finetuning_unit": "pairs", "learning_rate": 0.01, "dev_cross_entropy": loss * 0.99}
    scores = {"cross_entropy": loss, "bleu": score, "chrf": 20 + 1.3 * score, "bleu_noise": 0.45, "chrf_noise": 0.4}
    test = {"test_items": 1000, "test_tokens": 9000, "test_sha256": "ab" * 32, "contamination_removed": 123, "status": "ok"}
    signatures = {"bleu_signature": SIGNATURE, "chrf_signature": SIGNATURE.replace("tok:13a", "nc:6")}
    alignment = {"alignment": MIXTURES[mixture][0] if tokens else math.nan, "seed": seed, "parameters_non_embedding": 410_000}
    return names | alignment | pretraining | tuning | scores | signatures | test


def surface():
    """Cross-entropy that follows the transfer-gap law, the gap growing from the first mixture to the last."""
    table = measurements(sizes=(2000, 8000, 32_000))
    random = np.random.default_rng(1)
    gap = table["mixture"].map({"en+de": 0.5, "en": 3.0, "fr": 8.0, "scratch": 0.0})
    learnt = np.where(table["pretraining_tokens"] > 0, 400 * table["pretraining_tokens"].clip(lower=1) ** -0.4, 40)
    loss = (learnt + gap) * table["finetuning_size"] ** -0.25 + 1.6
    return table.assign(cross_entropy=loss * np.exp(random.normal(0, 0.006, len(table))))


def scaling():
    """Four model sizes from scratch and pretrained; the smallest, pretrained, is worse than from scratch where data are many."""
    random = np.random.default_rng(2)
    rows = []
    for parameters in (1e5, 6e5, 3e6, 1e7):
        sizes = [(0, round(d)) for d in np.geomspace(3e4, 1e8, 8)] + [(20_000_000, round(d)) for d in np.geomspace(3e4, 1e7, 5)]
        for tokens, size in sizes:
            transferred = 60 * size**0.3 * parameters**0.35 if tokens else 0
            if tokens and parameters == 1e5 and size > 1e6:
                transferred = -0.5 * size
            loss = ((3e6 / parameters) ** 1.2 + 2e7 / (size + transferred)) ** 0.25
            for seed in (1, 2):
                names = {"task": "python", "kind": "lm", "model": f"n{parameters:g}", "mixture": "text" if tokens else "scratch"}
                data = {"pretraining_tokens": tokens, "finetuning_size": size, "finetuning_unit": "tokens", "seed": seed}
                measured = {"parameters_non_embedding": parameters, "cross_entropy": loss * math.exp(random.normal(0, 0.004))}
                rows.append(names | data | measured)
    return pd.DataFrame(rows)


def write(folder, table, laws):
    """Write the table and the fits of `laws` to it by the real stage; returns their paths."""
    path = folder / "measurements.csv"
    table.to_csv(path, index=False)
    fits = []
    for law in laws:
        fits.append(folder / f"{law}.json")
        settings = json.dumps({"bootstraps": 200})
        assert main(["fit", "--measurements", str(path), "--law", law, "--settings", settings, "--output", str(fits[-1])]) == 0
    return path, fits
