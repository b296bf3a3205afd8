"""One fit without an end, or at a bound, never ends the advice: what it cannot say is said to be unknown."""

import json

import numpy as np
import pytest

from transferlaws.advice.budget import best_split
from transferlaws.advice.page import _times
from transferlaws.format import interval, signed
from transferlaws.measurements.means import Quantity, seed_mean

PRICES = {"budget": 1e5, "pretraining_token_price": 1e-5, "finetuning_unit_price": 0.01}


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(1.0, 3.0, "2 [1, 3]"), (1.0, None, "2 [1, unbounded]"), (None, 3.0, "2 [unbounded, 3]"), (None, None, "2")],
)
def test_an_interval_with_one_end_is_unbounded_at_the_other(low, high, text):
    found = {"estimate": 2.0, "low": low, "high": high}
    assert interval(found) == text
    assert signed(found).replace("+", "") == text
    assert interval(found | {"estimate": None}) == "unknown"
    assert interval({"estimate": 2.0, "low": 1.0, "high": float("inf")}) == "2 [1, unbounded]"


def test_the_size_of_a_model_is_said_where_it_is_identified():
    found = {"estimate": 2.4, "low": 1.5, "high": 3.0, "identified": True, "status": "converged"}
    assert _times(found) == "2.4 [1.5, 3] times as large (converged)"
    for change in ({"high": None}, {"identified": False}, {"estimate": None}, {"low": None, "high": None}):
        assert "do not identify" in _times(found | change)


@pytest.mark.parametrize("parameters", [[1.0, 0.5, 0.0, 0.3, 0.2], [1.0, 0.5, 0.0, 0.0, 0.2], [1.0, 0.0, 0.0, 0.3, 0.2]])
def test_without_transfer_all_money_goes_to_fine_tuning_and_its_loss_is_a_number(parameters):
    split = best_split(parameters=np.array([parameters]), **PRICES)
    units = PRICES["budget"] / PRICES["finetuning_unit_price"]
    assert split.pretraining_tokens[0] == 0 and split.finetuning_units[0] == units
    assert split.loss[0] == pytest.approx(parameters[0] + parameters[1] * units**-0.2, rel=1e-12)


def test_no_number_without_an_end_gets_into_the_advice():
    draws = np.append(np.linspace(0, 1, 50), [np.inf] * 20)
    found = Quantity(0.5, draws).json(0.9)
    assert found["high"] is None
    json.dumps(found, allow_nan=False)


def test_the_mean_over_seeds_is_geometric_and_leaves_out_zeros():
    assert seed_mean([1.0, 4.0]) == pytest.approx(2.0)
    assert seed_mean([0.0, 3.0]) == pytest.approx(3.0)
    assert seed_mean([0.0, 0.0]) == 0.0
