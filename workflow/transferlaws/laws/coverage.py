"""Stage `coverage`: do the intervals hold the truth as often as they say? Studies are simulated from every law and fitted."""

import argparse
from dataclasses import dataclass

import numpy as np
import pandas as pd

from transferlaws.files import atomic
from transferlaws.laws.effective_data import fit_effective_data
from transferlaws.laws.estimate import Fitted, PointCurve, fit_curve, with_intervals
from transferlaws.laws.groups import Group, groups_of
from transferlaws.laws.protocols import resolve
from transferlaws.laws.registry import LAWS
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.simulate import Noise, draw, evaluate, transfer_measurements
from transferlaws.laws.verdict import identified
from transferlaws.progress import Progress
from transferlaws.seeding import generator
from transferlaws.statistics.arrays import Array
from transferlaws.statistics.intervals import interval

KAPLAN = (1e12, 1e13, 0.08, 0.1)


@dataclass(frozen=True)
class Scenario:
    """A law with known parameters, and the study that is simulated from it many times."""

    law: str
    name: str
    parameters: tuple[float, ...]
    axes: tuple[Array, ...]
    """Values of each x column; the study has all their combinations."""
    noise: Noise
    beyond: tuple[float, ...]
    """Where the prediction is judged: four times the last rung."""
    seeds: int = 3
    curves: int = 3
    """Curves of one study, over which noise is pooled; the first is judged."""
    runs_by: int | None = None
    """x column of which every value is a trajectory of its own (model sizes); None: one trajectory a seed."""


RUNGS = np.geomspace(1e6, 1e9, 8)
SIZES = np.geomspace(1e4, 1e7, 5)
MODELS = np.geomspace(1e6, 1e9, 6)
LOSS, SCORE = Noise(run=0.003, residual=0.003), Noise(run=0.01, residual=0.015, test=0.015, test_correlation=0.7)
LAST = 4 * RUNGS[-1]
FEW, SHORT, LONG = np.geomspace(1e6, 3.7e8, 4), np.geomspace(1e6, 1e8, 6), np.geomspace(1e6, 1e9, 10)
TUNING, SEEN, UNIQUE = np.geomspace(1e2, 1e7, 10), np.geomspace(1e8, 3e10, 8), np.array([1e8, 3e8, 1e9])
D_F, D_F_MODELS = np.geomspace(1e4, 1e6, 4), np.geomspace(1e6, 1e9, 4)

# name, parameters in the order of the law's list, x, noise, where to predict
SCENARIOS = (
    Scenario("score-log", "8 rungs, 3 seeds, 3 curves", (-6.9, 0.9, 1.6), (RUNGS,), SCORE, (LAST,)),
    Scenario("score-log", "8 rungs, 3 seeds, 1 curve", (-6.9, 0.9, 1.6), (RUNGS,), SCORE, (LAST,), curves=1),
    Scenario("score-log", "4 rungs, 2 seeds, 3 curves", (-6.9, 0.9, 1.6), (FEW,), SCORE, (4 * FEW[-1],), seeds=2),
    Scenario("cross-entropy-power", "8 rungs, 3 seeds, 3 curves", (1.5, 40.0, 0.25), (RUNGS,), LOSS, (LAST,)),
    Scenario("cross-entropy-power", "8 rungs, 3 seeds, 1 curve", (1.5, 40.0, 0.25), (RUNGS,), LOSS, (LAST,), curves=1),
    Scenario("cross-entropy-power", "6 rungs, 3 seeds, 3 curves", (1.5, 40.0, 0.25), (SHORT,), LOSS, (4 * SHORT[-1],)),
    Scenario(
        "cross-entropy-power", "6 rungs, 3 seeds, 3 curves, no asymptote", (0.0, 20.0, 0.15), (SHORT,), LOSS, (4 * SHORT[-1],)
    ),
    Scenario("cross-entropy-power", "10 rungs, 3 seeds, 3 curves", (1.5, 40.0, 0.25), (LONG,), LOSS, (4 * LONG[-1],)),
    Scenario("cross-entropy-power", "4 rungs, 2 seeds, 3 curves", (1.5, 40.0, 0.25), (FEW,), LOSS, (4 * FEW[-1],), seeds=2),
    Scenario("transfer-gap", "8 x 5, 3 seeds, 3 curves", (1.0, 0.9, 60.0, 0.45, 0.12), (RUNGS, SIZES), LOSS, (LAST, SIZES[-1])),
    Scenario(
        "transfer-gap", "8 x 5, 3 seeds, 3 curves, no gap", (1.0, 0.0, 60.0, 0.2, 0.12), (RUNGS, SIZES), LOSS, (LAST, SIZES[-1])
    ),
    Scenario("zhang-multiplicative", "8 x 5, 3 seeds, 3 curves", (1.0, 60.0, 0.2, 0.12), (RUNGS, SIZES), LOSS, (LAST, SIZES[-1])),
    Scenario("zhang-additive", "8 x 5, 3 seeds, 3 curves", (1.0, 20.0, 60.0, 0.2, 0.4), (RUNGS, SIZES), LOSS, (LAST, SIZES[-1])),
    Scenario(
        "chinchilla",
        "6 N x 8 D, 3 seeds",
        (1.69, 406.4, 410.7, 0.34, 0.28),
        (MODELS, RUNGS),
        LOSS,
        (4e9, LAST),
        curves=1,
        runs_by=0,
    ),
    Scenario(
        "kaplan", "6 N x 8 D, 3 seeds", (6.4e13, 1.8e13, 0.076, 0.103), (MODELS, RUNGS), LOSS, (4e9, LAST), curves=1, runs_by=0
    ),
    Scenario("rectified", "10 sizes, 3 seeds, 3 curves", (1.0, 40.0, 15.0, 0.4), (TUNING,), LOSS, (4 * TUNING[-1],)),
    Scenario(
        "repeated-data",
        "8 D x 3 U, 3 seeds, 3 curves",
        (1.87, 1488.0, 0.3527, 15.4),
        (SEEN, UNIQUE),
        LOSS,
        (4 * SEEN[-1], UNIQUE[-1]),
    ),
    Scenario("score-from-loss", "8 losses, 3 seeds, 3 curves", (90.0, 0.8), (np.linspace(1.6, 3.6, 8),), SCORE, (1.4,)),
    Scenario(
        "effective-data", "4 N x 4 D_F, 3 seeds", (1.9e4, 0.18, 0.38), (D_F, D_F_MODELS), Noise(0.001, 0.001), (4 * D_F[-1], 1e9)
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `transferlaws coverage`."""
    parser.add_argument("--output", required=True, help="coverage.csv")
    parser.add_argument("--studies", type=int, default=500, help="simulated studies a scenario")
    parser.add_argument("--bootstraps", type=int, default=500, help="bootstrap replicates a study")
    parser.add_argument("--level", type=float, default=0.9, help="coverage aimed at")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulations")
    parser.add_argument("--laws", nargs="*", choices=sorted(LAWS), help="only these laws")


def run(arguments: argparse.Namespace) -> None:
    """Simulate and fit every scenario; write one row a parameter and one for the prediction."""
    chosen = [s for s in SCENARIOS if not arguments.laws or s.law in arguments.laws]
    rows = []
    with Progress("coverage", len(chosen) * arguments.studies, unit="study") as progress:
        for scenario in chosen:
            rows += coverage_of(
                scenario,
                studies=arguments.studies,
                bootstraps=arguments.bootstraps,
                level=arguments.level,
                seed=arguments.seed,
                progress=progress,
            )
    with atomic(arguments.output) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def coverage_of(scenario: Scenario, *, studies: int, bootstraps: int, level: float, seed: int, progress: Progress) -> list[dict]:
    """How often the intervals of each parameter of the equation, and of the prediction, hold the truth.

    A parameter counts in a study where it was declared identified; the prediction counts in every study.
    """
    law = LAWS[scenario.law]
    form, truth = law.form, np.array(scenario.parameters)
    settings = resolve(law, FitSettings(bootstraps=bootstraps, level=level, held_out_rungs=0, low_data_share=1e9))
    beyond = np.array([scenario.beyond])
    truths = np.append(truth, evaluate(form, truth, beyond))
    lows, highs, estimates, pinned = [], [], [], []
    stream = generator(seed, "coverage", scenario.law, scenario.name)
    for study in range(studies):
        result = _fit(scenario, settings.model_copy(update={"seed": study}), stream)
        curve, thetas = result.curve, result.draws.thetas
        own, at = len(truth), curve.design.at(beyond)
        estimate = form.natural(curve.fit.theta[None], curve.design)[0]
        low, high = interval(form.natural(thetas, curve.design), level, estimate, form.edges(thetas))
        pinned.append(identified(form=form, low=low, high=high, ratio=settings.identified_ratio)[:own])
        ahead = form.predict(curve.fit.theta[None], at)[0]
        ahead_low, ahead_high = interval(form.predict(thetas, at), level, ahead, form.edges(thetas))
        lows.append(np.append(low[:own], ahead_low))
        highs.append(np.append(high[:own], ahead_high))
        estimates.append(np.append(estimate[:own], ahead))
        progress.update(1, scenario.law)
    low, high, estimate = np.array(lows), np.array(highs), np.array(estimates)
    counted = np.column_stack([np.array(pinned), np.ones(studies, dtype=bool)])
    names = [p.name for p in form.parameters if not p.derived] + ["prediction"]
    rows = []
    for k, name in enumerate(names):
        use = counted[:, k]
        total = int(use.sum())
        below, above = (low[use, k] > truths[k]).sum(), (high[use, k] < truths[k]).sum()
        with np.errstate(invalid="ignore"):
            width = (high[use, k] - low[use, k]) / np.abs(estimate[use, k])
        rows.append(
            {
                "law": scenario.law,
                "study": scenario.name,
                "quantity": name,
                "truth": truths[k],
                "studies": studies,
                "identified": total / studies,
                "covered": 1 - (below + above) / total if total else np.nan,
                "truth_below": below / total if total else np.nan,
                "truth_above": above / total if total else np.nan,
                "relative_width": float(np.median(width)) if total else np.nan,
                "level": level,
            }
        )
    return rows


def _fit(scenario: Scenario, settings: FitSettings, stream: np.random.Generator) -> Fitted:
    law = LAWS[scenario.law]
    if scenario.law == "effective-data":
        table = transfer_measurements(
            parameters=np.array(scenario.parameters),
            kaplan=np.array(KAPLAN),
            model_sizes=scenario.axes[1],
            finetuning_sizes=scenario.axes[0],
            scratch_sizes=np.geomspace(1e4, 1e11, 20),
            seeds=scenario.seeds,
            noise=scenario.noise,
            generator=stream,
        )
        table.insert(0, "row", np.arange(2, len(table) + 2))
        return fit_effective_data(groups_of(table, law=law, metric="cross_entropy", settings=settings), law=law, settings=settings)[
            0
        ]
    curves = [fit_curve(group, law=law, settings=settings) for group in _groups(scenario, stream)]
    pool = [curve for curve in curves if isinstance(curve, PointCurve)]
    return with_intervals(curves[0], law=law, settings=settings, pool=pool)


def _groups(scenario: Scenario, stream: np.random.Generator) -> list[Group]:
    """Curves of one simulated study; they share the test set, and nothing else."""
    law = LAWS[scenario.law]
    x = np.stack([axis.ravel() for axis in np.meshgrid(*scenario.axes, indexing="ij")], axis=1)
    x = np.tile(x, (scenario.seeds, 1))
    seeds = np.repeat(np.arange(scenario.seeds), len(x) // scenario.seeds)
    own = np.zeros(len(x), dtype=int) if scenario.runs_by is None else np.unique(x[:, scenario.runs_by], return_inverse=True)[1]
    runs = seeds * (own.max() + 1) + own
    log_truth = np.log(evaluate(law.form, np.array(scenario.parameters), x))
    groups = []
    for curve in range(scenario.curves):
        values = np.exp(draw(log_truth=log_truth, runs=runs, noise=scenario.noise, generator=stream))
        shared = np.sqrt(scenario.noise.test_correlation) * scenario.noise.test * values
        points = pd.DataFrame(
            {"row": np.arange(len(x)), "seed": seeds, "run": runs, "value": values, "noise": shared, "role": "fit"}
        )
        for j, column in enumerate(law.form.columns):
            points[column] = x[:, j]
        groups.append(Group({"curve": curve}, "simulated", "", law.form.columns, points))
    return groups
