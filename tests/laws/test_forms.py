"""Every law: its equation, its derivatives, its recovery from noiseless points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlaws.laws.registry import LAWS
from transferlaws.laws.simulate import evaluate
from transferlaws.laws.solver import fit_point

D = np.geomspace(1e6, 1e9, 7)
F = np.geomspace(1e4, 1e7, 5)
N = np.geomspace(1e6, 1e9, 5)


def surface(first, second):
    return np.array(np.meshgrid(first, second, indexing="ij")).reshape(2, -1).T


# law -> (parameters of the published equation, x)
TRUTHS = {
    "score-log": ([-6.9, 0.9, 1.6], D[:, None]),
    "cross-entropy-power": ([1.5, 40.0, 0.25], D[:, None]),
    "transfer-gap": ([1.0, 0.9, 60.0, 0.45, 0.12], surface(D, F)),
    "zhang-multiplicative": ([1.0, 60.0, 0.2, 0.12], surface(D, F)),
    "zhang-additive": ([1.0, 20.0, 60.0, 0.2, 0.4], surface(D, F)),
    "chinchilla": ([1.69, 406.4, 410.7, 0.34, 0.28], surface(N, D)),
    "kaplan": ([6.4e13, 1.8e13, 0.076, 0.103], surface(N, D)),
    "rectified": ([1.0, 40.0, 60.0, 0.4], np.geomspace(1e2, 1e7, 9)[:, None]),
    "repeated-data": ([1.9, 1500.0, 0.35, 15.4], surface(np.geomspace(1e7, 1e10, 9), [1e8, 1e9])),
    "score-from-loss": ([90.0, 0.8], np.linspace(1.5, 4, 7)[:, None]),
    "effective-data": ([1.9e4, 0.18, 0.38], surface(F, N)),
}


def own(law, natural):
    return natural[: len(TRUTHS[law][0])]


@pytest.mark.parametrize("law", sorted(LAWS))
def test_every_law_has_a_truth_here(law):
    assert law in TRUTHS


@pytest.mark.parametrize("law", sorted(LAWS))
def test_noiseless_points_give_back_the_parameters_of_the_published_equation(law):
    form, (truth, x) = LAWS[law].form, TRUTHS[law]
    log_values = np.log(evaluate(form, np.array(truth), x))
    design = form.design(x=x, log_values=log_values)
    fit = fit_point(form=form, design=design, log_values=log_values - design.level, delta=LAWS[law].delta)
    assert fit.converged
    assert own(law, form.natural(fit.theta[None], design)[0]) == pytest.approx(truth, rel=2e-4)
    assert form.predict(fit.theta[None], design)[0] == pytest.approx(np.exp(log_values), rel=1e-7)


@pytest.mark.parametrize("law", sorted(LAWS))
def test_extrapolation_is_the_published_equation(law):
    form, (truth, x) = LAWS[law].form, TRUTHS[law]
    log_values = np.log(evaluate(form, np.array(truth), x))
    design = form.design(x=x, log_values=log_values)
    fit = fit_point(form=form, design=design, log_values=log_values - design.level, delta=LAWS[law].delta)
    beyond = x * 1.5
    assert form.predict(fit.theta[None], design.at(beyond))[0] == pytest.approx(evaluate(form, np.array(truth), beyond), rel=1e-5)


@pytest.mark.parametrize("law", sorted(LAWS))
def test_derivatives_agree_with_central_differences(law):
    form, (truth, x) = LAWS[law].form, TRUTHS[law]
    log_values = np.log(evaluate(form, np.array(truth), x))
    design = form.design(x=x, log_values=log_values)
    theta = fit_point(form=form, design=design, log_values=log_values - design.level, delta=1.0).theta * 1.07 + 0.01
    jacobian = form.log_prediction(theta[None], design)[1][0]
    step = 1e-6 * np.maximum(np.abs(theta), 1e-2)
    moved = np.concatenate([theta + np.diag(step), theta - np.diag(step)])
    logs = form.log_prediction(moved, design)[0]
    numerical = ((logs[: form.size] - logs[form.size :]) / (2 * step)[:, None]).T
    assert jacobian == pytest.approx(numerical, rel=1e-5, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    intercept=st.floats(-8, -2),
    alpha=st.floats(0.5, 1.2),
    beta=st.floats(0.6, 3.0),
    scale=st.sampled_from([0.01, 1.0, 7.3]),
)
def test_the_log_law_is_closed_under_a_change_of_the_scores_scale(intercept, alpha, beta, scale):
    form = LAWS["score-log"].form
    truth = np.array([intercept + 6, alpha, beta])
    log_values = np.log(evaluate(form, truth, D[:, None]))
    fits = []
    for shift in (0.0, np.log(scale)):
        design = form.design(x=D[:, None], log_values=log_values + shift)
        fits.append((fit_point(form=form, design=design, log_values=log_values + shift - design.level, delta=0.1), design))
    one, other = (form.predict(fit.theta[None], design.at(D[:, None] * 10))[0] for fit, design in fits)
    assert other == pytest.approx(scale * one, rel=1e-4)
    betas = [form.natural(fit.theta[None], design)[0, 2] for fit, design in fits]
    assert betas[0] == pytest.approx(betas[1], rel=1e-3)


def test_the_log_law_with_infinite_beta_is_a_power_law():
    form = LAWS["score-log"].form
    design = form.design(x=D[:, None], log_values=np.zeros(7))
    theta = np.array([[0.0, 0.3, 0.0]])
    assert form.log_prediction(theta, design)[0][0] == pytest.approx(0.3 * design.logs[:, 0])


def test_the_share_of_the_gap_is_that_of_the_equation_at_the_reference():
    form, (truth, x) = LAWS["transfer-gap"].form, TRUTHS["transfer-gap"]
    log_values = np.log(evaluate(form, np.array(truth), x))
    design = form.design(x=x, log_values=log_values)
    fit = fit_point(form=form, design=design, log_values=log_values - design.level, delta=1e-3)
    found = dict(zip([p.name for p in form.parameters], form.natural(fit.theta[None], design)[0], strict=True))
    _, gap, coefficient, alpha, beta = truth
    p, f = design.reference
    assert found["gap_share_at_reference"] == pytest.approx(gap / (gap + coefficient * p**-alpha), rel=1e-4)
    assert found["G_at_reference"] == pytest.approx(gap * f**-beta, rel=1e-4)


def test_a_falling_log_law_ends_at_a_score_of_zero():
    form = LAWS["score-log"].form
    design = form.design(x=D[:, None], log_values=np.zeros(7))
    falling = np.array([[0.0, -0.2, 1.0]])
    scores = form.predict(falling, design.at(np.array([[1e9], [1e12]])))[0]
    assert scores[0] > 0
    assert scores[1] == 0.0


def test_repetition_is_worth_nothing_less_until_data_repeat():
    form = LAWS["repeated-data"].form
    x = np.array([[1e6, 1e8], [1e8, 1e8], [4e8, 1e8], [4e9, 1e8]])
    fresh, once, four, forty = evaluate(form, np.array([1.87, 1488, 0.3526596, 15.387756]), x)
    infinite = evaluate(form, np.array([1.87, 1488, 0.3526596, 1e9]), x)
    assert (fresh, once) == pytest.approx(infinite[:2], rel=1e-8)
    assert four == pytest.approx(infinite[2], rel=0.015)  # up to four epochs are almost as good as fresh data
    assert forty > infinite[3] * 1.05
