"""Noise from few seeds, intervals that are Student's, and tests of order and fit; no law anywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from transferlaws.statistics.arrays import cells_of
from transferlaws.statistics.intervals import interval
from transferlaws.statistics.noise import NoiseEvidence, draw_noise, gather
from transferlaws.statistics.tests import isotonic, lack_of_fit, monotone_p_value, pure_error

RUNGS = np.geomspace(1e6, 1e9, 7)


def test_run_and_residual_noise_are_estimated_without_bias():
    random, total, count = np.random.default_rng(0), NoiseEvidence(), 400
    runs = np.repeat(np.arange(3), 6)
    jacobian = np.stack([np.ones(18), np.tile(np.arange(6.0), 3)], axis=1)
    hat = jacobian @ np.linalg.pinv(jacobian)
    for _ in range(count):
        values = random.normal(0, 0.02, 3)[runs] + random.normal(0, 0.01, 18)
        total += gather(residuals=values - hat @ values, jacobian=jacobian, runs=runs)
    assert total.run_freedom == 2 * count
    assert total.residual_freedom == 14 * count
    assert np.sqrt(total.run_variance) == pytest.approx(0.02, rel=0.1)
    assert np.sqrt(total.residual_variance) == pytest.approx(0.01, rel=0.03)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_of_a_level_is_students_with_seeds_minus_one_degrees(seeds):
    rungs, level = 6, 0.9
    runs = np.repeat(np.arange(seeds), rungs)
    values = np.random.default_rng(seeds).normal(0, 0.05, seeds)[runs] + np.random.default_rng(9).normal(0, 1e-4, len(runs))
    jacobian = np.ones((len(runs), 1))
    evidence = gather(residuals=values - values.mean(), jacobian=jacobian, runs=runs)
    noise = draw_noise(
        runs=runs, test_noise=np.zeros(len(runs)), evidence=evidence, count=40_000, generator=np.random.default_rng(1)
    )
    low, high = interval(noise.mean(axis=1)[:, None], level)
    means = values.reshape(seeds, rungs).mean(axis=1)
    expected = student.ppf((1 + level) / 2, seeds - 1) * means.std(ddof=1) / np.sqrt(seeds)
    assert high[0] == pytest.approx(expected, rel=0.06)
    assert low[0] == pytest.approx(-expected, rel=0.06)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8), st.integers(0, 1000))
def test_isotonic_regression_is_pooling_of_violators(values, seed):
    weights = np.random.default_rng(seed).integers(1, 5, len(values)).astype(float)
    blocks = []
    for value, weight in zip(values, weights, strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, wa, na), (b, wb, nb) = blocks[-2:]
            blocks[-2:] = [[(a * wa + b * wb) / (wa + wb), wa + wb, na + nb]]
    expected = np.repeat([b[0] for b in blocks], [b[2] for b in blocks])
    assert isotonic(np.array([values]), weights)[0] == pytest.approx(expected, abs=1e-9)


def p_values(truth, studies, test):
    random, found = np.random.default_rng(3), []
    x, runs = np.tile(RUNGS[:6], 3), np.repeat(np.arange(3), 6)
    for _ in range(studies):
        values = np.tile(truth, 3) + random.normal(0, 0.02, 3)[runs] + random.normal(0, 0.01, 18)
        found.append(test(values, x, runs, random))
    return np.array(found)


def monotone(values, x, runs, random):
    error = pure_error(log_values=values, cells=cells_of(x[:, None]), runs=runs)
    return monotone_p_value(log_values=values, x=x, runs=runs, error=error, direction=1, generator=random)


def test_a_flat_curve_is_called_not_monotone_as_often_as_the_level_says():
    assert (p_values(np.zeros(6), 400, monotone) < 0.05).mean() == pytest.approx(0.05, abs=0.03)


def test_a_rising_curve_is_hardly_ever_called_not_monotone():
    assert (p_values(np.linspace(0, 0.2, 6), 200, monotone) < 0.05).mean() < 0.01


def test_a_curve_that_turns_back_is_found():
    assert (p_values(np.array([0, 0.1, 0.2, 0.2, 0.15, 0.1]), 100, monotone) < 0.05).mean() > 0.95


def test_lack_of_fit_has_its_level_under_the_law_and_power_against_another():
    design = np.stack([np.ones(18), np.tile(np.arange(6.0), 3)], axis=1)
    hat = design @ np.linalg.pinv(design)

    def misfit(values, x, runs, random):
        cells = cells_of(x[:, None])
        error = pure_error(log_values=values, cells=cells, runs=runs)
        return lack_of_fit(residuals=values - hat @ values, jacobian=design, cells=cells, runs=runs, error=error)

    assert (p_values(np.arange(6) * 0.1, 400, misfit) < 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert (p_values(0.02 * np.arange(6) ** 2, 100, misfit) < 0.05).mean() > 0.95
