"""Noise, intervals, tests and the solver against theory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, nnls

from transferlaws.laws.api import fit_law
from transferlaws.laws.forms.posynomial import CROSS_ENTROPY_POWER, TRANSFER_GAP, nonnegative_least_squares
from transferlaws.laws.registry import LAWS
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.simulate import Noise, draw, evaluate
from transferlaws.laws.solver import fit_point, huber, minimise, minimise_from_least_squares
from transferlaws.statistics.intervals import interval

RUNGS = np.geomspace(1e6, 1e9, 7)
QUIET = Noise(0.003, 0.003)


def curve(law="cross-entropy-power", truth=(1.5, 40.0, 0.25), noise=QUIET, seeds=3, rungs=RUNGS, stream=0):
    x = np.tile(rungs, seeds)
    runs = np.repeat(np.arange(seeds), len(rungs))
    log_truth = np.log(evaluate(LAWS[law].form, np.array(truth), x[:, None]))
    return x, runs, np.exp(draw(log_truth=log_truth, runs=runs, noise=noise, generator=np.random.default_rng(stream)))


# --- solver ---


@pytest.mark.parametrize("delta", [1e-3, 0.1, np.inf])
def test_the_batched_solver_is_at_least_as_good_as_scipy(delta):
    x, _, values = curve()
    form = CROSS_ENTROPY_POWER
    design = form.design(x=x[:, None], log_values=np.log(values))
    log_values = np.log(values) - design.level
    found = fit_point(form=form, design=design, log_values=log_values, delta=delta)

    def objective(theta):
        return huber(log_values - form.log_prediction(theta[None], design)[0][0], delta).sum()

    for start in ([0.5, 0.5, 0.2], [0.7, 0.3, 0.5]):
        theirs = minimize(objective, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-16, "maxiter": 4000})
        assert found.objective <= theirs.fun * (1 + 1e-6)
    assert found.converged
    assert found.agreeing == found.starts


def test_a_batch_is_the_same_as_one_by_one():
    x, _, values = curve()
    form = CROSS_ENTROPY_POWER
    design = form.design(x=x[:, None], log_values=np.log(values))
    noisy = np.log(values) - design.level + np.random.default_rng(1).normal(0, 0.01, (20, len(x)))
    start = np.repeat(fit_point(form=form, design=design, log_values=noisy[0], delta=1e-3).theta[None], 20, axis=0)
    together = minimise(form=form, design=design, log_values=noisy, start=start, delta=1e-3)
    for k in range(20):
        alone = minimise(form=form, design=design, log_values=noisy[k], start=start[k][None], delta=1e-3)
        assert alone.objective[0] == pytest.approx(together.objective[k], rel=1e-9)


def test_where_the_loss_is_flat_between_two_seeds_the_refit_does_not_depend_on_its_start():
    x, _, values = curve(seeds=2, rungs=RUNGS[::2], noise=Noise(0.0, 0.01))
    form = CROSS_ENTROPY_POWER
    design = form.design(x=x[:, None], log_values=np.log(values))
    log_values = np.log(values) - design.level
    starts = np.array([[0.5, 0.5, 0.2], [0.7, 0.3, 0.5], [0.6, 0.3, 0.3]])
    found = minimise_from_least_squares(form=form, design=design, log_values=log_values, start=starts, delta=1e-3)
    assert found.theta == pytest.approx(np.repeat(found.theta[:1], 3, axis=0), rel=1e-5)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), columns=st.integers(1, 3))
def test_small_non_negative_least_squares_is_scipys(seed, columns):
    random = np.random.default_rng(seed)
    matrix, target = random.normal(size=(12, columns)), random.normal(size=12)
    expected, norm = nnls(matrix, target)
    found = nonnegative_least_squares(matrix[None], target)[0]
    assert found == pytest.approx(expected, abs=1e-7)
    assert np.linalg.norm(matrix @ found - target) == pytest.approx(norm, rel=1e-9)


def test_no_gap_is_a_clean_boundary_solution():
    p, f = np.array(np.meshgrid(RUNGS, np.geomspace(1e4, 1e7, 4))).reshape(2, -1)
    values = evaluate(TRANSFER_GAP, np.array([1.0, 0.0, 60.0, 0.2, 0.12]), np.stack([p, f], axis=1))
    found = fit_law(
        law="transfer-gap", x=np.stack([p, f], axis=1), values=values, settings=FitSettings(bootstraps=100, held_out_rungs=0)
    )
    assert found.parameters["G"]["estimate"] == pytest.approx(0.0, abs=1e-6)
    assert found.parameters["alpha"]["estimate"] == pytest.approx(0.2, rel=1e-3)


def test_protocol_barnett_is_one_joint_fit_of_every_point():
    p, f = np.array(np.meshgrid(RUNGS, np.geomspace(1e4, 1e7, 4))).reshape(2, -1)
    truth = np.array([1.0, 0.9, 60.0, 0.45, 0.12])
    values = evaluate(TRANSFER_GAP, truth, np.stack([p, f], axis=1))
    found, usual = (
        fit_law(law="transfer-gap", x=np.stack([p, f], axis=1), values=values, settings=FitSettings(protocol=name, bootstraps=100))
        for name in ("barnett", "default")
    )
    assert found.report["held_out"] is None
    assert {point["role"] for point in found.report["points"]} == {"fit"}
    assert usual.report["held_out"]["points"] == 4
    assert [found.parameters[name]["estimate"] for name in ["E", "G", "A", "alpha", "beta"]] == pytest.approx(truth, rel=1e-3)


# --- noise ---


def test_intervals_keep_their_level_where_an_asymptote_is_zero():
    """E is 0, its estimate max(0, Z); another parameter errs with it and, less, on its own."""
    random, studies, count, level, own = np.random.default_rng(0), 2000, 400, 0.9, 0.3
    covered, without = 0, 0
    for _ in range(studies):
        z, error = random.normal(), own * random.normal()
        free = max(0.0, z) + random.normal(size=count)
        asymptote = np.maximum(0.0, free)
        # the constrained estimate (where E is 0) has the error `own` alone
        draws = (error + own * random.normal(size=count) + asymptote)[:, None]
        estimate = np.array([error + max(0.0, z)])
        low, high = interval(draws, level, estimate, asymptote[:, None] <= 0)
        covered += low[0] <= 0 <= high[0]
        low, high = interval(draws, level, estimate)
        without += low[0] <= 0 <= high[0]
    assert 0.88 < covered / studies < 0.94
    assert without / studies < 0.87


def test_what_is_identified_does_not_depend_on_the_unit_of_the_score():
    x, runs, values = curve("score-log", (-6.9, 0.9, 1.6), Noise(0.01, 0.01))
    options = FitSettings(bootstraps=300, held_out_rungs=0)
    percent, share = (fit_law(law="score-log", x=x, values=v, runs=runs, settings=options) for v in (values, values / 100))

    def spread(found):
        return found.parameters["alpha"]["high"] / found.parameters["alpha"]["low"]

    assert spread(percent) > 1.2 * spread(share)
    assert percent.status == share.status == "converged"
    for found in (percent, share):
        assert {name for name, p in found.parameters.items() if not p["identified"]} == {"ln_A", "alpha"}


def test_shared_test_set_noise_widens_a_level_and_not_a_slope():
    x, runs, values = curve("score-log", (-6.9, 0.9, 1.6), Noise(0.005, 0.005))
    options = FitSettings(bootstraps=1000, held_out_rungs=0)
    quiet = fit_law(law="score-log", x=x, values=values, runs=runs, settings=options)
    loud = fit_law(law="score-log", x=x, values=values, runs=runs, noise=0.05 * values, settings=options)

    def width(found, name):
        return found.parameters[name]["high"] - found.parameters[name]["low"]

    assert width(loud, "score_at_reference") > 3 * width(quiet, "score_at_reference")
    assert width(loud, "elasticity_at_reference") < 1.5 * width(quiet, "elasticity_at_reference")


def test_one_run_without_repeats_and_without_freedom_has_no_interval():
    found = fit_law(
        law="cross-entropy-power", x=RUNGS[:3], values=[3.0, 2.5, 2.2], runs=[0, 0, 0], settings=FitSettings(held_out_rungs=0)
    )
    assert found.parameters["E"]["low"] is None
    assert not found.parameters["E"]["identified"]
    assert np.isnan(found.predict([1e9])[1]).all()


def test_the_profile_of_an_asymptote_agrees_with_its_bootstrap_interval():
    x, runs, values = curve()
    found = fit_law(law="cross-entropy-power", x=x, values=values, runs=runs, settings=FitSettings(held_out_rungs=0))
    line, other = found.report["profiles"]["E"], found.parameters["E"]
    assert min(line["objective"]) == pytest.approx(found.report["objective"], rel=1e-6)
    assert line["low"] == pytest.approx(other["low"], rel=0.02)
    assert line["high"] == pytest.approx(other["high"], rel=0.02)


def test_a_short_ladder_cannot_exclude_an_asymptote_of_zero():
    x, runs, values = curve(rungs=np.geomspace(1e6, 4e6, 6), noise=Noise(0.01, 0.01))
    found = fit_law(law="cross-entropy-power", x=x, values=values, runs=runs, settings=FitSettings(held_out_rungs=0))
    assert not found.parameters["E"]["identified"]
    assert found.report["profiles"]["E"]["low"] == 0.0
    assert found.status == "not-identified"


def test_data_that_never_repeat_say_nothing_of_repetition():
    x, runs, values = curve()
    unique = np.stack([x, 10 * x], axis=1)
    found = fit_law(law="repeated-data", x=unique, values=values, runs=runs, settings=FitSettings(held_out_rungs=0, bootstraps=200))
    assert not found.parameters["R_star"]["identified"]
    assert found.parameters["R_star"]["high"] is None


def test_columns_that_move_together_leave_no_parameter_identified():
    x, runs, values = curve()
    together = np.stack([x, np.sqrt(x)], axis=1)  # only alpha + beta / 2 matters
    found = fit_law(
        law="zhang-multiplicative", x=together, values=values, runs=runs, settings=FitSettings(held_out_rungs=0, bootstraps=200)
    )
    assert found.status == "not-identified"
    assert "cannot tell some parameters apart" in found.report["verdict"]["text"]
    assert not any(p["identified"] for p in found.parameters.values())


# --- verdicts ---


def test_a_law_that_the_points_contradict_is_rejected():
    x, runs, values = curve("score-log", (-6.9, 0.9, 1.6), Noise(0.005, 0.005))
    bent = values * np.where(x > 5e7, 0.6, 1.0)
    found = fit_law(law="score-log", x=x, values=bent, runs=runs, settings=FitSettings(held_out_rungs=0, bootstraps=200))
    assert found.status == "rejected"
    assert found.report["verdict"]["law_holds"] is False
