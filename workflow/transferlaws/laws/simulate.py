"""Measurement tables drawn from a law with known parameters: for tests, coverage, and trying out a study before paying for it."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from transferlaws.laws.forms.form import Form
from transferlaws.statistics.arrays import Array


@dataclass(frozen=True)
class Noise:
    """Standard deviations in log units, except `test_correlation`."""

    run: float = 0.0
    residual: float = 0.0
    test: float = 0.0
    """Of a score over test sets of this size."""
    test_correlation: float = 1.0
    """Correlation of the test-set noise of two models on the same test set."""


def draw(*, log_truth: Array, runs: Array, noise: Noise, generator: np.random.Generator) -> Array:
    """Log values with noise; log_truth (n,), runs (n,) integer."""
    shared = np.sqrt(noise.test_correlation) * generator.standard_normal()
    own = np.sqrt(1 - noise.test_correlation) * generator.standard_normal(len(runs))
    effects = generator.normal(0.0, noise.run, runs.max() + 1)
    return log_truth + effects[runs] + generator.normal(0.0, noise.residual, len(runs)) + noise.test * (shared + own)


def evaluate(form: Form, parameters: Array, x: Array) -> Array:
    """The published equation at x (n, d), from its natural parameters in the order of `form.parameters`, derived ones left out."""
    return EQUATIONS[form.name](parameters, *np.asarray(x, dtype=float).T)


def _repeated(values: Array, tokens: Array, unique: Array) -> Array:
    e, a, alpha, r = values
    effective = unique * (1 + r * -np.expm1(-np.maximum(tokens / unique - 1, 0) / r))
    return e + a / effective**alpha


EQUATIONS = {
    "score-log": lambda v, p: (v[0] + v[1] * np.log(p)) ** v[2],
    "cross-entropy-power": lambda v, p: v[0] + v[1] * p ** -v[2],
    "transfer-gap": lambda v, p, f: (v[2] * p ** -v[3] + v[1]) * f ** -v[4] + v[0],
    "zhang-multiplicative": lambda v, p, f: v[1] * p ** -v[2] * f ** -v[3] + v[0],
    "zhang-additive": lambda v, p, f: v[1] * p ** -v[3] + v[2] * f ** -v[4] + v[0],
    "chinchilla": lambda v, n, d: v[0] + v[1] * n ** -v[3] + v[2] * d ** -v[4],
    "kaplan": lambda v, n, d: ((v[0] / n) ** (v[2] / v[3]) + v[1] / d) ** v[3],
    "rectified": lambda v, d: v[1] / (v[2] + d ** v[3]) + v[0],
    "repeated-data": _repeated,
    "score-from-loss": lambda v, loss: v[0] * np.exp(-v[1] * loss),
    "effective-data": lambda v, d, n: v[0] * d ** v[1] * n ** v[2],
}


def measurements(
    *,
    form: Form,
    parameters: Array,
    metric: str,
    pretraining_tokens: Array,
    finetuning_sizes: Array = (10_000,),
    mixtures: tuple[str, ...] = ("en+de",),
    seeds: int = 3,
    noise: Noise,
    generator: np.random.Generator,
    scratch: float | None = None,
) -> pd.DataFrame:
    """A measurement table in which `metric` follows a law in D_p, or in (D_p, D_f).

    `scratch` adds rung 0 with this value. Runs are (mixture, seed); the test-set noise goes into `<metric>_noise`.
    """
    rows = []
    for mixture, seed, size, tokens in product(mixtures, range(1, seeds + 1), finetuning_sizes, pretraining_tokens):
        rows.append({"mixture": mixture, "seed": seed, "finetuning_size": size, "pretraining_tokens": tokens})
    table = pd.DataFrame(rows)
    x = table[list(form.columns)].to_numpy(float)
    runs = pd.factorize(table.mixture + "/" + table.seed.astype(str))[0]
    log_truth = np.log(evaluate(form, parameters, x))
    table[metric] = np.exp(draw(log_truth=log_truth, runs=runs, noise=noise, generator=generator))
    if scratch is not None:
        base = pd.DataFrame(
            [
                {"mixture": "scratch", "seed": seed, "finetuning_size": size, "pretraining_tokens": 0}
                for seed, size in product(range(1, seeds + 1), finetuning_sizes)
            ]
        )
        base[metric] = scratch * np.exp(generator.normal(0, noise.run + noise.residual, len(base)))
        table = pd.concat([table, base], ignore_index=True)
    if noise.test:
        table[f"{metric}_noise"] = noise.test * table[metric]
    table.insert(0, "task", "en-de")
    table.insert(1, "model", "mini")
    table["finetuning_unit"] = "pairs"
    table["status"] = "ok"
    return table


def transfer_measurements(
    *,
    parameters: Array,
    kaplan: Array,
    model_sizes: Array,
    finetuning_sizes: Array,
    scratch_sizes: Array,
    seeds: int = 3,
    noise: Noise,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """A measurement table in which D_T = k D_F^alpha N^beta: losses of from-scratch and of fine-tuned models.

    From-scratch losses follow Kaplan's law with (N_c, D_c, alpha_N, alpha_D); a fine-tuned model has the loss of a from-scratch
    model that was given D_F + D_T.
    """
    k, alpha, beta = parameters
    rows = []
    for size, seed in product(model_sizes, range(1, seeds + 1)):
        rows += [(size, seed, "scratch", 0, data, data) for data in scratch_sizes]
        rows += [(size, seed, "text", 1e9, data, data + k * data**alpha * size**beta) for data in finetuning_sizes]
    columns = ["parameters_non_embedding", "seed", "mixture", "pretraining_tokens", "finetuning_size", "effective"]
    table = pd.DataFrame(rows, columns=columns)
    log_truth = np.log(EQUATIONS["kaplan"](kaplan, table.parameters_non_embedding.to_numpy(), table.effective.to_numpy()))
    runs = table.groupby(["parameters_non_embedding", "mixture", "seed"]).ngroup().to_numpy()
    table["cross_entropy"] = np.exp(draw(log_truth=log_truth, runs=runs, noise=noise, generator=generator))
    table["model"] = "n" + table.parameters_non_embedding.map("{:g}".format)
    return table.drop(columns="effective").assign(task="python", finetuning_unit="characters", status="ok")
