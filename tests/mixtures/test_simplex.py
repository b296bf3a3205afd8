"""Allowed mixtures, the best of them against a grid, and designs."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlaws.errors import UserError
from transferlaws.mixtures.designs import rounded, space_filling
from transferlaws.mixtures.forms import FORMS
from transferlaws.mixtures.points import Points
from transferlaws.mixtures.simplex import Limits, best_mixtures, limits, project, sample

GRID = np.array([(a, b, 50 - a - b) for a, b in itertools.product(range(51), repeat=2) if a + b <= 50]) / 50
THETAS = {
    "exponential": [2.0, 0.3, -0.8, 0.9],
    "additive": [2.0, np.log(0.5), 0.4, -0.9, 1.1],
    "power": [2.0, np.log(0.4), np.log(0.6), 0.9, 0.4, 1.0],
    "exposure": [2.0, np.log(0.4), 0.9, 1.4, -0.6],
}


@pytest.mark.parametrize("name", THETAS)
@pytest.mark.parametrize("allowed", [Limits(np.zeros(3), np.ones(3)), Limits(np.array([0.1, 0, 0]), np.array([0.5, 0.3, 1]))])
def test_no_grid_point_beats_the_optimum(name, allowed):
    points = Points(GRID)
    form = FORMS[name](points)
    thetas = np.array([THETAS[name]]) + np.linspace(-0.3, 0.3, 5)[:, None] * np.array(
        [0, *[1, -1, 1, -1, 1][: len(THETAS[name]) - 1]]
    )
    weights, values = best_mixtures(form, thetas, points, allowed, sample(allowed, 60, np.random.default_rng(0)))
    inside = GRID[allowed.holds(GRID)]
    assert allowed.holds(weights).all()
    assert weights.sum(1) == pytest.approx(1)
    grid = form.predict(thetas, Points(inside))
    assert (values <= grid.min(1) + 1e-6).all()
    assert np.abs(weights - inside[grid.argmin(1)]).max() < 0.06


@st.composite
def limited(draw):
    count = draw(st.integers(2, 6))
    low = np.array(draw(st.lists(st.floats(0, 0.9 / count), min_size=count, max_size=count)))
    high = np.array(draw(st.lists(st.floats(1.1 / count, 1), min_size=count, max_size=count)))
    return Limits(low, high)


@settings(deadline=None, max_examples=50)
@given(limited(), st.integers(0, 99))
def test_a_projection_is_allowed_and_nearest(allowed, seed):
    random = np.random.default_rng(seed)
    points = random.normal(0.3, 0.6, (5, len(allowed.low)))
    found = project(points, allowed)
    assert allowed.holds(found).all()
    assert found.sum(1) == pytest.approx(1)
    others = sample(allowed, 30, random)
    nearest = ((found - points) ** 2).sum(1)
    assert (nearest[:, None] <= ((others[None] - points[:, None]) ** 2).sum(-1) + 1e-6).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 6), st.integers(0, 10), st.integers(0, 99), st.booleans())
def test_designs_are_allowed_differ_and_repeat(corpora, more, seed, singles):
    allowed = Limits(np.zeros(corpora), np.ones(corpora))
    count = corpora + 1 + more
    natural = np.arange(1, corpora + 1)
    design = space_filling(count + 1, allowed, seed=seed, singles=singles, natural=natural)
    assert design.shape == (count + 1, corpora)
    assert design.sum(1) == pytest.approx(1) and (design >= 0).all()
    assert np.allclose(design * 1000, np.rint(design * 1000))
    assert len(np.unique(design, axis=0)) == len(design)
    assert np.array_equal(design, space_filling(count + 1, allowed, seed=seed, singles=singles, natural=natural))
    assert (np.abs(design - natural / natural.sum()).max(1) < 0.002).any()
    if singles:
        assert np.array_equal(design[:corpora], np.eye(corpora))


def test_a_design_fills_the_simplex_better_than_chance():
    allowed = Limits(np.zeros(3), np.ones(3))

    def gap(weights):
        return np.sqrt(((np.sqrt(GRID)[:, None] - np.sqrt(weights)[None]) ** 2).sum(-1).min(1).max())

    random = np.random.default_rng(0)
    assert gap(space_filling(16, allowed, seed=0)) < min(gap(random.dirichlet(np.ones(3), 16)) for _ in range(20))


def test_limits_come_from_text_that_exists():
    found = limits(["en", "de"], available={"de": 1e6}, passes=4, tokens=1e7, least={"en": 0.1})
    assert found.high == pytest.approx([1, 0.4]) and found.low == pytest.approx([0.1, 0])
    assert (rounded(project(np.array([[0.2, 0.8]]), found), found) == [[0.6, 0.4]]).all()
    with pytest.raises(UserError, match=r"No mixture keeps these shares: en 0 to 0.1; de 0 to 0.4"):
        limits(["en", "de"], available={"de": 1e6}, passes=4, tokens=1e7, most={"en": 0.1})
    with pytest.raises(UserError, match="minimum_share: fr: no such corpus"):
        limits(["en", "de"], least={"fr": 0.1})


def test_a_design_without_room_says_so():
    with pytest.raises(UserError, match="Ask for at least 4"):
        space_filling(2, Limits(np.zeros(3), np.ones(3)), seed=0)
