"""The words for a difference follow from the interval that is shown beside them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlaws.format import probability
from transferlaws.measurements.means import Quantity
from transferlaws.measurements.significance import Significance, definitions, lead_probability, significance, surely_from

LEVELS = st.sampled_from([0.6, 0.8, 0.9, 0.95])


def quantity(lead, skew, seed):
    """A difference whose draws are off centre and skewed, as those of a law's prediction are."""
    noise = np.random.default_rng(seed).standard_normal(2000)
    return Quantity(lead, lead + noise + skew * (noise**2 - 0.5))


@settings(deadline=None)
@given(lead=st.floats(-4, 4), skew=st.floats(-0.4, 0.4), seed=st.integers(0, 50), level=LEVELS)
def test_the_word_the_interval_and_the_probability_agree(lead, skew, seed, level):
    found = quantity(lead, skew, seed)
    word, shown = significance(found, level), found.json(level)
    ahead = found.times(1 if lead >= 0 else -1).probability_above(0.0)
    if word is Significance.SURELY:
        assert shown["low"] > 0 or shown["high"] < 0
        assert ahead >= (1 + level) / 2 - 0.002  # one draw in a thousand
    else:
        assert shown["low"] <= 0 <= shown["high"]
        assert ahead <= (1 + level) / 2 + 0.002
        assert (word is Significance.PROBABLY) == (ahead >= level)


@settings(deadline=None)
@given(lead=st.floats(0, 4), skew=st.floats(-0.4, 0.4), seed=st.integers(0, 50), level=LEVELS)
def test_the_probability_that_is_printed_is_on_the_side_of_the_word(lead, skew, seed, level):
    found, sure = quantity(lead, skew, seed), surely_from(level)
    text, word = probability(lead_probability(found, level), level, sure), significance(found, level)
    shown = float(text.removeprefix("above ").removeprefix("below ").removesuffix("%")) / 100
    assert (shown >= sure) == (word is Significance.SURELY)
    assert (sure > shown >= level) == (word is Significance.PROBABLY)


@pytest.mark.parametrize(
    ("share", "bounds", "text"),
    [
        (0.9499, (0.9, 0.95), "94%"),
        (0.95, (0.9, 0.95), "95%"),
        (np.nextafter(0.95, 0), (0.9, 0.95), "94%"),
        (0.976, (0.95, 0.975), "98%"),
        (0.9745, (0.95, 0.975), "97%"),
        (0.912, (0.912,), "91.2%"),
        (0.866, (0.9, 0.95), "87%"),
        (0.996, (0.99, 0.995), "above 99%"),
        (0.993, (0.99, 0.995), "99%"),
        (0.999, (), "above 99%"),
        (0.004, (), "below 1%"),
        (0.499, (0.5,), "49%"),
    ],
)
def test_a_probability_is_never_rounded_over_a_bound(share, bounds, text):
    assert probability(float(share), *bounds) == text


@settings(deadline=None)
@given(lead=st.floats(0.01, 4), skew=st.floats(-0.4, 0.4), seed=st.integers(0, 50), level=LEVELS)
def test_turned_round_the_word_is_the_same(lead, skew, seed, level):
    found = quantity(lead, skew, seed)
    assert significance(found.times(-1), level) is significance(found, level)


def test_without_draws_nothing_is_known_and_a_difference_of_nothing_is_not_told_apart():
    assert significance(Quantity(3.0, np.empty(0)), 0.9) is Significance.UNKNOWN
    assert significance(Quantity(0.0, np.zeros(100)), 0.9) is Significance.NOT_TOLD_APART


@pytest.mark.parametrize(("level", "sure"), [(0.9, "0.95"), (0.95, "0.975")])
def test_the_definitions_name_the_probabilities(level, sure):
    assert f"probability of at least {sure})" in definitions(level) and f"probability is at least {level:g}." in definitions(level)
