"""Studies drawn by another hand than `transferlaws.laws.simulate`, with noise that the project's model of noise does not assume.

Runs that drift, that have their own exponent, that scatter with t noise, noise that grows or shrinks with scale, test sentences
that suit one mixture, from-scratch curves whose error all models of a size share. Plain numpy; imports nothing of the package.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

RUNGS = np.geomspace(1e6, 1.6384e10, 8)  # factor 4


def power(x, alpha=0.25):
    """Loss in nats with an asymptote of 1.5."""
    return 1.5 + 40.0 * x**-alpha


def log_law(x):
    """A score that grows as a power of the logarithm."""
    return (0.9 * np.log(x) - 6.9) ** 1.6


def student(random, freedom, size):
    """T noise, scaled so that its middle half is that of a standard normal."""
    return random.standard_t(freedom, size) * {2: 0.826, 3: 0.882}[freedom]


def run_noise(kind, random, *, seeds, rungs=RUNGS, scale=1.0):
    """Log noise (seeds, rungs) of one curve; `scale` multiplies it."""
    shape = (seeds, len(rungs))
    where = np.linspace(0, 1, len(rungs))
    normal = random.standard_normal
    if kind == "normal":
        noise = 0.003 * normal((seeds, 1)) + 0.003 * normal(shape)
    elif kind.startswith("t "):
        noise = 0.003 * student(random, int(kind[2:]), (seeds, 1)) + 0.003 * student(random, int(kind[2:]), shape)
    elif kind == "outlier":
        noise = 0.003 * normal((seeds, 1)) + 0.003 * normal(shape)
        noise[random.integers(seeds), random.integers(len(rungs))] += 0.05
    elif kind == "shrinks":
        noise = 0.01 * 0.1**where * normal(shape)
    elif kind == "grows":
        noise = 0.001 * 10**where * normal(shape)
    elif kind == "drifts":
        steps = 0.0018 * normal(shape)
        noise = np.cumsum(steps, axis=1) - steps[:, :1] + 0.0015 * normal(shape)
    elif kind == "own slopes":
        slopes = 0.004 * normal((seeds, 1))  # of ln value in ln x; the runs cross in the middle
        noise = slopes * (np.log(rungs) - np.log(rungs).mean()) + 0.0015 * normal(shape)
    else:
        raise ValueError(kind)
    return scale * noise


def curve(kind, random, *, law=power, seeds=3, rungs=RUNGS, scale=1.0):
    """X, values and run names of one curve."""
    noise = run_noise(kind, random, seeds=seeds, rungs=rungs, scale=scale)
    return np.tile(rungs, seeds), (law(rungs) * np.exp(noise)).ravel(), np.repeat(np.arange(seeds), len(rungs))


def isoflop(random, *, shrinks=False, runs=72):
    """Independent runs of a loss surface over (N, D) at eight budgets: x (n, 2) and values."""
    budgets = np.repeat(np.geomspace(1e18, 1e20, 8), runs // 8)
    size = np.sqrt(budgets / 120) * np.tile(np.geomspace(0.25, 4, runs // 8), 8)
    x = np.stack([size, budgets / (6 * size)], axis=1)
    deviation = 0.015 * 0.1 ** np.linspace(0, 1, len(x)) if shrinks else 0.003
    return x, surface(x) * np.exp(deviation * random.standard_normal(len(x)))


def surface(x):
    """Chinchilla's published form and coefficients (arXiv 2203.15556)."""
    return 1.69 + 406.4 / x[:, 0] ** 0.34 + 410.7 / x[:, 1] ** 0.28


# --- mixtures on one test set ---


@dataclass(frozen=True)
class Sentences:
    """How the log loss (or quality) of a test sentence varies: with itself, with the mixture, with the seed."""

    mixture: float
    seed: float
    base: float = 0.4
    count: int = 500


def mixtures(folder, random, sentences, *, kind="normal", names=("a", "b"), lead=0.0, seeds=3, rungs=3):
    """Measurements of mixtures that are equal on an infinite test set, but for a `lead` in log loss of the first.

    Returns the table with a column `row`, after writing measurements.csv and sentences.parquet to the folder. Every sentence has
    losses, and counts of BLEU matches drawn from the quality of its model.
    """
    ladder = np.geomspace(1e6, 1e6 * 10.0 ** (rungs - 1), rungs)
    length = random.integers(8, 30, sentences.count)
    base = sentences.base * random.standard_normal(sentences.count)
    rows, parts = [], []
    for name in names:
        suits = sentences.mixture * random.standard_normal(sentences.count)
        noise = 0.7 * run_noise(kind, random, seeds=seeds, rungs=ladder)
        for seed in range(seeds):
            own = sentences.seed * random.standard_normal(sentences.count)
            for k, tokens in enumerate(ladder):
                level = power(tokens) * np.exp(noise[seed, k] - lead * (name == names[0]))
                factor = base + suits + own - 0.5 * (sentences.base**2 + sentences.mixture**2 + sentences.seed**2)
                nll = length * level * np.exp(factor)
                matches = _matches(random, length, np.exp(-0.35 * level * np.exp(factor)))
                key = {
                    "task": "t",
                    "model": "m",
                    "mixture": name,
                    "finetuning_size": 1000.0,
                    "seed": seed,
                    "pretraining_tokens": tokens,
                }
                rows.append(key | {"cross_entropy": nll.sum() / length.sum(), "bleu": _bleu(matches), "status": "ok"})
                losses = {"index": range(len(nll)), "nll": nll, "tokens": length, "characters": 4 * length}
                parts.append(pd.DataFrame({**key, **losses, "bleu_statistics": list(matches)}))
    table = pd.DataFrame(rows).assign(finetuning_unit="pairs")
    table.to_csv(Path(folder) / "measurements.csv", index=False)
    pd.concat(parts).to_parquet(Path(folder) / "sentences.parquet")
    return table.assign(row=np.arange(2, len(table) + 2))


def _matches(random, length, quality):
    orders = np.arange(1, 5)
    grams = np.maximum(length[:, None] - orders + 1, 0)
    found = random.binomial(grams, np.clip(quality, 0, 1)[:, None] ** np.sqrt(orders))
    return np.column_stack([length, length, found, grams]).astype(float)


def _bleu(counts):
    total = counts.sum(axis=0)
    return 100 * float(np.exp(np.log(total[2:6] / total[6:10]).mean()))


# --- effective data ---

KAPLAN = (6.4e13, 1.8e13, 0.076, 0.103)


@dataclass(frozen=True)
class Transfer:
    """A study of effective data: D_T = k D_F^alpha N^beta, from-scratch curves of Kaplan's law."""

    k: float = 1.9e4
    alpha: float = 0.18
    beta: float = 0.38
    sizes: tuple[float, ...] = (3e4, 3e5, 3e6, 3e7)
    finetuning: tuple[float, ...] = (1e4, 1e5, 1e6, 1e7)
    scratch: tuple[float, ...] = tuple(np.geomspace(1e4, 1e10, 19))
    seeds: int = 3
    run: float = 0.0
    residual: float = 0.003
    pretraining: float | None = 1e9
    """None: each size has its own D_p, 20 N."""


def kaplan(n, d):
    """Loss of a from-scratch model of N parameters with D data."""
    n_c, d_c, a_n, a_d = KAPLAN
    return ((n_c / n) ** (a_n / a_d) + d_c / d) ** a_d


def transfer(study, random):
    """The measurement table of a `Transfer` study, with a column `row`."""
    rows = []
    for n in study.sizes:
        for seed in range(study.seeds):
            for mixture, sizes, tokens in (
                ("scratch", study.scratch, 0.0),
                ("text", study.finetuning, study.pretraining or 20 * n),
            ):
                d = np.array(sizes)
                effective = d + (study.k * d**study.alpha * n**study.beta if tokens else 0)
                loss = kaplan(n, effective) * np.exp(
                    study.run * random.standard_normal() + study.residual * random.standard_normal(len(d))
                )
                rows.append(
                    pd.DataFrame(
                        {
                            "task": "t",
                            "model": f"n{n:g}",
                            "mixture": mixture,
                            "finetuning_size": d,
                            "finetuning_unit": "tokens",
                            "seed": seed,
                            "pretraining_tokens": tokens,
                            "parameters_non_embedding": n,
                            "cross_entropy": loss,
                        }
                    )
                )
    table = pd.concat(rows, ignore_index=True)
    return table.assign(row=np.arange(2, len(table) + 2))
