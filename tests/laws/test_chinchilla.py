"""Golden numbers of the refit of Chinchilla's points by Besiroglu et al. 2024 (arXiv 2404.10102)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from transferlaws.cli import main
from transferlaws.laws.api import fit_law
from transferlaws.laws.forms.posynomial import CHINCHILLA
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.solver import _derivatives, _step, fit_point, huber, minimise

GOLDEN = {"A": 477.83, "B": 2143.4, "E": 1.81722, "alpha": 0.34731, "beta": 0.36717}
OBJECTIVE = 1.018274e-3
TEX = np.array([6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083])  # ln A, ln B, ln E, alpha, beta


@pytest.fixture(scope="module")
def points():
    table = pd.read_csv(Path(__file__).parent / "data" / "chinchilla_points.csv").sort_values("loss").iloc[:-5]
    return np.stack([table.model_size, table.training_flop / (6 * table.model_size)], axis=1), table.loss.to_numpy()


@pytest.fixture(scope="module")
def problem(points):
    x, losses = points
    design = CHINCHILLA.design(x=x, log_values=np.log(losses))
    return design, np.log(losses) - design.level


def internal(natural, design):
    a, b, e, alpha, beta = natural
    logs = np.array([e, a - alpha * design.centre[0], b - beta * design.centre[1]]) - design.level
    return np.array([*np.exp(logs), alpha, beta])


def test_the_default_fit_is_the_golden_one(points):
    x, losses = points
    found = fit_law(law="chinchilla", x=x, values=losses, settings=FitSettings(held_out_rungs=0, bootstraps=100))
    for name, value in GOLDEN.items():
        assert found.parameters[name]["estimate"] == pytest.approx(value, rel=1e-3)
    assert found.report["objective"] == pytest.approx(OBJECTIVE, rel=1e-6)
    assert found.report["optimum"]["agreeing"] == found.report["optimum"]["starts"]


@pytest.mark.slow
def test_the_published_protocol_through_the_stage(points, tmp_path):
    x, losses = points
    table = pd.DataFrame({"parameters_non_embedding": x[:, 0], "pretraining_tokens": x[:, 1], "cross_entropy": losses})
    table = table.assign(task="massivetext", model="chinchilla", mixture="massivetext", seed=range(len(x)))
    table.assign(finetuning_size=1, finetuning_unit="tokens").to_csv(tmp_path / "m.csv", index=False)
    settings = json.dumps({"protocol": "chinchilla", "bootstraps": 4000})
    assert (
        main(
            [
                "fit",
                "--measurements",
                str(tmp_path / "m.csv"),
                "--law",
                "chinchilla",
                "--settings",
                settings,
                "--output",
                str(tmp_path / "c.json"),
            ]
        )
        == 0
    )
    (fit,) = json.loads((tmp_path / "c.json").read_text())["fits"]
    assert fit["optimum"]["starts"] == 4500
    assert fit["objective"] == pytest.approx(OBJECTIVE, rel=1e-6)
    for name, value in GOLDEN.items():
        assert fit["parameters"][name]["estimate"] == pytest.approx(value, rel=1e-3)
    # their 95 % percentiles of 4,000 bootstraps over points, here at 90 %: standard errors E .026, alpha .0154, beta .0206
    for name, error in (("E", 0.026), ("alpha", 0.0154), ("beta", 0.0206)):
        width = fit["parameters"][name]["high"] - fit["parameters"][name]["low"]
        assert width == pytest.approx(2 * 1.645 * error, rel=0.15)


def test_a_bootstrap_over_points_gives_the_published_standard_errors(problem):
    design, log_values = problem
    best = fit_point(form=CHINCHILLA, design=design, log_values=log_values, delta=1e-3)
    draws = np.random.default_rng(42).multinomial(240, np.full(240, 1 / 240), size=1000).astype(float)
    start = np.repeat(best.theta[None], 1000, axis=0)
    solution = minimise(form=CHINCHILLA, design=design, log_values=log_values, start=start, delta=1e-3, weights=draws)
    assert solution.converged.all()
    errors = CHINCHILLA.natural(solution.theta, design)[:, [0, 1, 3, 4]].std(axis=0)
    assert errors == pytest.approx([0.026, 124.5, 0.0154, 0.0206], rel=0.15)


def test_the_objective_at_the_published_parameters(problem):
    design, log_values = problem
    residuals = log_values - CHINCHILLA.log_prediction(internal(TEX, design)[None], design)[0][0]
    assert huber(residuals, 1e-3).sum() == pytest.approx(1.23116e-3, rel=1e-5)
    rounded = np.array([np.log(406.4), np.log(410.7), np.log(1.69), 0.34, 0.28])
    residuals = log_values - CHINCHILLA.log_prediction(internal(rounded, design)[None], design)[0][0]
    assert huber(residuals, 1e-3).sum() == pytest.approx(4.12101e-3, rel=1e-5)


def promised_reduction(*, form, design, log_values, theta, delta):
    """How much an undamped Newton step from theta promises to gain: above a millionth of the objective it was no optimum."""
    log, jacobian = form.log_prediction(theta[None], design)
    gradient, hessian, irls = _derivatives(log_values - log, jacobian, None, delta)
    stuck = ((theta <= form.lower) & (gradient > 0)) | ((theta >= form.upper) & (gradient < 0))
    return float(_step(gradient, hessian, irls, np.zeros(1), stuck)[1][0])


def test_the_convergence_check_sees_that_a_mean_objective_stops_early(points, problem):
    x, losses = points
    design, log_values = problem

    def objective(p, reduce):
        a, b, e, alpha, beta = p
        terms = np.stack([a - alpha * np.log(x[:, 0]), b - beta * np.log(x[:, 1]), np.full(len(x), e)])
        return reduce(huber(np.log(losses) - np.logaddexp.reduce(terms, axis=0), 1e-3))

    stopped = minimize(objective, TEX, args=(np.mean,), method="L-BFGS-B")
    assert stopped.success  # the optimiser itself notices nothing
    reached = objective(stopped.x, np.sum)
    assert reached > 1.1 * OBJECTIVE
    check = {"form": CHINCHILLA, "design": design, "log_values": log_values, "delta": 1e-3}
    assert promised_reduction(theta=internal(stopped.x, design), **check) > 1e-3 * reached
    best = fit_point(**check)
    assert promised_reduction(theta=best.theta, **check) < 1e-9 * best.objective
