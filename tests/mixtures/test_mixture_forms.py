"""Every mixture law: its derivatives, and its recovery from points that it made."""

import numpy as np
import pytest

from transferlaws.mixtures.compare import spearman
from transferlaws.mixtures.fit import fit
from transferlaws.mixtures.forms import FORMS
from transferlaws.mixtures.points import Points

RANDOM = np.random.default_rng(3)
WEIGHTS = RANDOM.dirichlet(np.full(4, 0.6), 60)
WEIGHTS[:4] = np.eye(4)
TOKENS = np.tile([1e6, 4e6, 1.6e7], 20)
SIZE = np.tile([1e5, 1e6], 30)
UNIQUE = np.tile([1e6, 3e6, np.inf, 5e5], (60, 1))
PLAIN = Points(WEIGHTS)
FULL = Points(WEIGHTS, TOKENS, UNIQUE, SIZE)
OWN = {
    "constant": [],
    "log-linear": [1.2, 0.9, 1.4, 1.0],
    "exponential": [0.3, -0.8, 0.9, -0.1],
    "additive": [np.log(0.5), 0.4, -0.9, 1.1, -0.2],
    "power": [np.log(0.5), np.log(0.6), 0.9, -1.4, 1.6, -0.2],
    "exposure": [np.log(0.4), 0.9, -1.4, 1.6, -0.2],
    "joint": [np.log(0.5), 0.4, -0.9, 1.1, -0.2],
}


def truth(name, points):
    """Parameters of a law for these points."""
    form = FORMS[name](points)
    own = list(OWN[name])
    if name == "exposure" and form.repeats:
        own.insert(1, np.log(0.2))
    head = [2.0] if form.offset else []
    for _ in form.references:
        head += [np.log(0.35), 0.1, -0.3, 0.0, 0.2] if name == "joint" else [0.0, np.log(0.35)]
    theta = np.array([[*head, *own]])
    assert theta.shape[1] == len(form.parameters)
    return form, theta


@pytest.mark.parametrize("points", [PLAIN, FULL], ids=["weights", "all"])
@pytest.mark.parametrize("name", FORMS)
def test_derivatives_are_those_of_the_values(name, points):
    form, theta = truth(name, points)
    thetas = theta + np.array([[0.0], [0.2], [-0.1]])
    values, slopes = form.evaluate(thetas, points)
    assert np.allclose(values, form.predict(thetas, points))
    numeric = np.stack(
        [
            (form.predict(thetas + 1e-6 * step, points) - form.predict(thetas - 1e-6 * step, points)) / 2e-6
            for step in np.eye(theta.shape[1])
        ],
        axis=-1,
    )
    assert np.allclose(slopes, numeric, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("points", [PLAIN, FULL], ids=["weights", "all"])
@pytest.mark.parametrize("name", [name for name in FORMS if name != "constant"])
def test_a_law_predicts_mixtures_of_its_own_kind(name, points):
    form, theta = truth(name, points)
    values = form.predict(theta, points)
    seen = np.arange(len(points)) < 40
    found = fit(FORMS[name](points), points, values, np.array([seen]))
    error = np.sqrt(np.mean((found.predict(points) - values)[:, ~seen] ** 2))
    assert error < 0.03 * values.std()
    assert spearman(found.predict(points)[:, ~seen], values[:, ~seen])[0] > 0.995


def test_parameters_that_noiseless_points_pin_down_are_found():
    form, theta = truth("exponential", PLAIN)
    found = fit(form, PLAIN, form.predict(theta, PLAIN))
    # the fit's unit is the values' standard deviation: exp(t h) / scale = exp((t - ln scale) h)
    assert found.theta[0, 0] * found.scale[0] == pytest.approx(theta[0, 0], abs=0.02)
    assert found.theta[0, 1:] + np.log(found.scale[0]) == pytest.approx(theta[0, 1:], abs=0.02)


def test_targets_fitted_together_are_those_fitted_alone():
    form, theta = truth("power", PLAIN)
    values = form.predict(theta + 0.1 * RANDOM.standard_normal((3, theta.shape[1])), PLAIN)
    values = values + 0.02 * RANDOM.standard_normal(values.shape)
    together = fit(form, PLAIN, values)
    for target in range(3):
        alone = fit(form, PLAIN, values[target : target + 1])
        assert alone.predict(PLAIN)[0] == pytest.approx(together.predict(PLAIN)[target], abs=1e-5)


def test_a_point_left_out_has_no_say():
    form, theta = truth("additive", PLAIN)
    values = form.predict(theta, PLAIN) + 0.01 * RANDOM.standard_normal(60)
    spoiled = values.copy()
    spoiled[0, 7] = 99.0
    include = np.ones((1, 60), dtype=bool)
    include[0, 7] = False
    one, other = fit(form, PLAIN, values, include), fit(form, PLAIN, spoiled, include)
    assert one.predict(PLAIN) == pytest.approx(other.predict(PLAIN), abs=1e-9)


def test_repeated_tokens_are_worth_less_than_new_ones_and_never_more_than_a_bound():
    points = Points(np.ones((4, 1)), np.array([1e6, 2e6, 4e6, 1e9]), np.full((4, 1), 1e6))
    form = FORMS["exposure"](points)
    seen, _ = form.seen(points, np.array([[0.5]]))
    seen = seen[0, :, 0] * form.unit / 1e6
    assert seen[0] == pytest.approx(1)
    assert 1 < seen[1] < 2 and seen[1] < seen[2] < 4
    assert seen[3] == pytest.approx(1 + 1 / 0.5)
