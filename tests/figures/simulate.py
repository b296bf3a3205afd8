"""A measurement table and fits as the workflow writes them, with known laws, for figures to be drawn from."""

import math

import numpy as np
import pandas as pd

LADDER = (64_000, 256_000, 1_000_000, 4_000_000, 16_000_000)
# mixture -> alignment, A (ln units), alpha of the score law's argument, share of the loss that pretraining can remove
MIXTURES = {"en+de": (1.0, 0.9, 0.32), "en": (0.7, 0.4, 0.20), "fr": (0.0, 0.2, 0.09)}
SIGNATURE = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"


def bleu(mixture, tokens, task_gain=1.0):
    _, start, slope = MIXTURES[mixture]
    return task_gain * (6.0 + (start + slope * math.log(tokens / 2e4)) ** 1.6 * 2.2)


def cross_entropy(mixture, tokens, easier=0.0):
    _, start, slope = MIXTURES[mixture]
    return 2.1 - easier + (1.6 - 0.3 * start) * (tokens / 6.4e4) ** (-0.6 * slope)


def measurements(tasks=("en-de",), sizes=(8000,), seeds=(1, 2), ladder=LADDER, models=("mini",), rng_seed=0):
    """One row per (model, mixture, task, D_f, seed, rung), scratch included."""
    random = np.random.default_rng(rng_seed)
    rows = []
    for m, model in enumerate(models):
        for t, task in enumerate(tasks):
            for size in sizes:
                gain, easier = (
                    (1 + 0.25 * math.log(size / 8000)) * (1 - 0.1 * t) * (1 + 0.2 * m),
                    0.1 * math.log(size / 8000) + 0.1 * m,
                )
                for mixture, tokens in [("scratch", 0)] + [(x, y) for x in MIXTURES for y in ladder]:
                    for seed in seeds:
                        mean = 7.0 * gain if tokens == 0 else bleu(mixture, tokens, gain)
                        loss = 3.75 - easier if tokens == 0 else cross_entropy(mixture, tokens, easier)
                        score = mean + random.normal(0, 0.25)
                        rows.append(row(model, task, size, mixture, seed, tokens, score, loss * math.exp(random.normal(0, 0.006))))
    return pd.DataFrame(rows)


def row(model, task, size, mixture, seed, tokens, score, loss):
    pretrained = tokens > 0
    return {
        "study": "simulated", "task": task, "kind": "translation", "model": model, "mixture": mixture,
        "alignment": MIXTURES[mixture][0] if pretrained else "", "seed": seed,
        "parameters_non_embedding": 410_000, "parameters_total": 700_000,
        "pretraining_tokens": tokens, "pretraining_epochs": round(tokens / 9e6, 3), "annealed": False,
        "upstream_cross_entropy": 2.4 + 30 * tokens**-0.23 + 0.01 * seed + 0.1 * len(mixture) if pretrained else "",
        "finetuning_size": size, "finetuning_unit": "pairs", "finetuning_pairs": size, "finetuning_tokens": size * 11,
        "learning_rate": 0.01, "dev_cross_entropy": loss * 0.99, "cross_entropy": loss, "cross_entropy_per_character": loss / 4,
        "bleu": score, "chrf": 20 + 1.3 * score, "bleu_signature": SIGNATURE, "chrf_signature": SIGNATURE.replace("tok:13a", "nc:6"),
        "bleu_noise": 0.45, "chrf_noise": 0.4, "test_items": 1000, "test_tokens": 9000, "test_sha256": "ab" * 32,
        "contamination_removed": 123, "status": "ok",
    }  # fmt: skip


def fit_documents(table, rejected=(), unidentified=()):
    """`score-log` and `cross-entropy-power` as `transferlaws fit` writes them, from the simulation's own laws; the last rung held out."""
    documents = []
    for law, metric in (("score-log", "bleu"), ("cross-entropy-power", "cross_entropy")):
        fits = []
        for keys, rows in table[table["pretraining_tokens"] > 0].groupby(["task", "model", "mixture", "finetuning_size"]):
            group = dict(zip(("task", "model", "mixture", "finetuning_size"), keys, strict=True))
            group["finetuning_size"] = int(group["finetuning_size"])
            ladder = np.geomspace(rows["pretraining_tokens"].min(), 4 * rows["pretraining_tokens"].max(), 60)
            means = rows.groupby("pretraining_tokens")[metric].mean()
            estimate = np.interp(np.log(ladder), np.log(means.index), means.to_numpy())
            width = 0.02 * estimate * (1 + np.log(ladder / ladder[0]) / 4)
            bad, vague = group["mixture"] in rejected, group["mixture"] in unidentified
            last = rows["pretraining_tokens"].max()
            points = [
                {"row": int(i), "seed": int(r["seed"]), "pretraining_tokens": r["pretraining_tokens"], "value": r[metric],
                 "role": "held-out" if r["pretraining_tokens"] == last else "fit", "reason": "", "prediction": r[metric], "residual": 0.0}
                for i, r in rows.iterrows()
            ]  # fmt: skip
            fits.append({
                "group": group, "metric": metric, "scale": 100 if metric == "bleu" else 1,
                "status": "rejected" if bad else "not-identified" if vague else "converged",
                "parameters": {"alpha": {"estimate": 0.3, "low": 0.2, "high": 0.5, "unit": "", "identified": not vague}},
                "level": 0.9, "objective": 0.01, "points": points,
                "held_out": {"are": 0.021, "huber": 1e-4, "r2_log": 0.97},
                "band": {"pretraining_tokens": ladder.tolist(), "estimate": estimate.tolist(), "low": (estimate - width).tolist(), "high": (estimate + width).tolist()},
                "verdict": {"monotone": not bad, "p_value": 0.001 if bad else 0.6, "law_holds": not bad, "identified": not (bad or vague), "text": "simulated"},
            })  # fmt: skip
        documents.append({
            "schema": 1, "law": law, "equation": "L = E + A/D_p^alpha", "source": "simulated", "protocol": {},
            "provenance": {"version": "0.1.0", "measurements": "measurements.csv", "measurements_sha256": "00", "seed": 1}, "fits": fits,
        })  # fmt: skip
    return documents
