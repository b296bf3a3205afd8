"""Speed of the law fits against the published way of fitting, in one run on one machine.

    PYTHONPATH=workflow OMP_NUM_THREADS=1 python benchmarks/laws.py

writes benchmarks/results/laws.json. The published method takes minutes: scipy's L-BFGS-B from 4,500 starts, numerical gradient.
"""

import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from record import ROOT, Record, cpu
from scipy.optimize import minimize

from transferlaws.cli import main
from transferlaws.laws.forms.posynomial import CHINCHILLA, CROSS_ENTROPY_POWER
from transferlaws.laws.forms.score import SCORE_LOG
from transferlaws.laws.registry import LAWS
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.simulate import Noise, draw, evaluate, measurements
from transferlaws.laws.solver import fit_point, huber, minimise_from_least_squares
from transferlaws.seeding import generator

DELTA, BOOTSTRAPS = 1e-3, 4000


def seconds(function, repeats=3):
    """Best of some repeats, after one that warms caches up; returns (seconds, last result)."""
    function()
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - start)
    return best, result


def chinchilla_points():
    table = pd.read_csv(ROOT / "tests/laws/data/chinchilla_points.csv").sort_values("loss").iloc[:-5]
    return np.stack([table.model_size, table.training_flop / (6 * table.model_size)], axis=1), np.log(table.loss.to_numpy())


def published_objective(p, log_x, log_losses):
    a, b, e, alpha, beta = p
    terms = np.stack([a - alpha * log_x[:, 0], b - beta * log_x[:, 1], np.full(len(log_x), e)])
    return huber(log_losses - np.logaddexp.reduce(terms, axis=0), DELTA).sum()


def published_method(log_x, log_losses):
    """Seconds, best objective and share of starts within 0.1 % of it, of 4,500 L-BFGS-B runs with numerical gradients."""
    exponents, coefficients = np.arange(0, 2.5, 0.5), np.arange(0, 30, 5.0)
    grid = list(product(coefficients, coefficients, np.arange(-1, 1.5, 0.5), exponents, exponents))
    start = time.perf_counter()
    found = np.array([minimize(published_objective, p, args=(log_x, log_losses), method="L-BFGS-B").fun for p in grid])
    return time.perf_counter() - start, found.min(), (found < found.min() * 1.001).mean()


def curve(form, truth, noise):
    """A curve of the default study's shape: 4 fitted rungs, 2 seeds."""
    x = np.tile(np.geomspace(3e4, 3e7, 4), 2)[:, None]
    runs = np.repeat([0, 1], 4)
    log_values = draw(
        log_truth=np.log(evaluate(form, np.array(truth), x)), runs=runs, noise=noise, generator=generator(0, form.name)
    )
    design = form.design(x=x, log_values=log_values)
    return design, log_values - design.level


def bootstraps(form, design, log_values, deviation, delta):
    best = fit_point(form=form, design=design, log_values=log_values, delta=delta)
    noisy = form.log_prediction(best.theta[None], design)[0] + generator(1, form.name).normal(
        0, deviation, (BOOTSTRAPS, len(log_values))
    )
    start = np.repeat(best.theta[None], BOOTSTRAPS, axis=0)
    return best, noisy, lambda: minimise_from_least_squares(form=form, design=design, log_values=noisy, start=start, delta=delta)


def one_by_one(form, design, noisy, theta, delta, count=100):
    """Seconds that BOOTSTRAPS refits would take with scipy BFGS and our analytic gradient, from `count` of them."""

    def objective(p, values):
        log, jacobian = form.log_prediction(p[None], design)
        residuals = values - log[0]
        slope = np.clip(residuals, -delta, delta)
        return huber(residuals, delta).sum(), -(slope @ jacobian[0])

    bounds = list(zip(form.lower, np.where(np.isfinite(form.upper), form.upper, None), strict=True))
    start = time.perf_counter()
    for values in noisy[:count]:
        minimize(
            objective, theta, args=(values,), jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-10}
        )
    return (time.perf_counter() - start) / count * BOOTSTRAPS


def default_study(folder):
    """Every law on a table of the default study's shape, through the command line; laws that it cannot determine say so."""
    rungs = np.geomspace(16e3, 256e3, 5).round()
    options = {"pretraining_tokens": rungs, "finetuning_sizes": (4000,), "mixtures": ("en+de", "en", "fr"), "seeds": 2}
    table = measurements(
        form=SCORE_LOG, parameters=np.array([-2.0, 0.6, 1.6]), metric="bleu", noise=Noise(0.02, 0.02, 0.02, 0.7),
        generator=generator(2, "bleu"), scratch=5.0, **options,
    )  # fmt: skip
    losses = measurements(
        form=CROSS_ENTROPY_POWER, parameters=np.array([1.5, 40.0, 0.3]), metric="cross_entropy", noise=Noise(0.004, 0.004),
        generator=generator(2, "loss"), scratch=4.0, **options,
    )  # fmt: skip
    table = table.assign(chrf=20 + table.bleu, cross_entropy=losses.cross_entropy, parameters_non_embedding=4e5)
    table["pretraining_unique_tokens"] = np.minimum(table.pretraining_tokens, 1e5)
    table.to_csv(folder / "measurements.csv", index=False)
    settings = FitSettings(bootstraps=BOOTSTRAPS).model_dump_json(exclude_none=True)
    for law in LAWS:
        arguments = ["--law", law, "--settings", settings, "--output", str(folder / f"{law}.json")]
        assert main(["fit", "--measurements", str(folder / "measurements.csv"), *arguments]) == 0


def run():
    results = Record(
        "laws",
        packages=("numpy", "scipy"),
        device=f"{cpu()}, one thread",
        command="PYTHONPATH=workflow OMP_NUM_THREADS=1 python benchmarks/laws.py",
    )

    def record(figure, value, theirs=None, what=""):
        baseline = None if theirs is None else f"{theirs:.3g} s: {what}"
        results.add(figure, value, "s", baseline, None if theirs is None else theirs / value)

    x, log_losses = chinchilla_points()
    design = CHINCHILLA.design(x=x, log_values=log_losses)
    centred = log_losses - design.level
    ours, fit = seconds(lambda: fit_point(form=CHINCHILLA, design=design, log_values=centred, delta=DELTA), 10)
    theirs, objective, share = published_method(np.log(x), log_losses)
    assert fit.objective <= objective * (1 + 1e-9)
    record(
        "Chinchilla fit, 240 points", ours, theirs,
        f"4,500 scipy L-BFGS-B, numerical gradient (objective here {fit.objective:.9e}, there {objective:.9e}; "
        f"{share:.0%} of its starts end within 0.1 % of its best)",
    )  # fmt: skip
    for form, truth, noise, deviation, delta in (
        (CROSS_ENTROPY_POWER, (1.5, 40.0, 0.3), Noise(0.004, 0.004), 0.004, 1e-3),
        (SCORE_LOG, (-2.0, 0.6, 1.6), Noise(0.02, 0.02), 0.02, 0.1),
    ):
        design, log_values = curve(form, truth, noise)
        best, noisy, refit = bootstraps(form, design, log_values, deviation, delta)
        ours, solution = seconds(refit)
        assert solution.converged.mean() > 0.999
        theirs = one_by_one(form, design, noisy, best.theta, delta)
        record(f"{BOOTSTRAPS:,} bootstraps of {form.name}, 8 points", ours, theirs,
               "scipy L-BFGS-B one by one, analytic gradient, from 100 refits")  # fmt: skip
    design = CHINCHILLA.design(x=x, log_values=log_losses)
    best, noisy, refit = bootstraps(CHINCHILLA, design, centred, 0.01, DELTA)
    ours, _ = seconds(refit, 1)
    theirs = one_by_one(CHINCHILLA, design, noisy, best.theta, DELTA)
    record(f"{BOOTSTRAPS:,} bootstraps of chinchilla, 240 points", ours, theirs,
           "scipy L-BFGS-B one by one, analytic gradient, from 100 refits")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        total, _ = seconds(lambda: default_study(Path(folder)), 1)
    record(f"every law of a table like the default study's, {BOOTSTRAPS:,} bootstraps each, through the command line", total)


if __name__ == "__main__":
    run()
