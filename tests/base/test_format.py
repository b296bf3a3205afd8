"""Numbers in words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlaws.costs.stage import _amount
from transferlaws.format import amount, count, percent, short_number
from transferlaws.progress import Progress


@given(st.floats(1e-6, 1e18))
@settings(deadline=None)
def test_a_short_number_says_the_number_in_at_most_three_digits(value):
    text = short_number(value)
    factor = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}.get(text[-1], 1)
    number = float(text.rstrip("kMGTPE"))
    assert number * factor == pytest.approx(value, rel=6e-3)
    assert number < 1000 and ("e" not in text or value < 1e-3)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (64_000, "64k"), (1_500_000, "1.5M"), (999.6, "1k"), (999_400, "999k"), (999_999, "1M"), (-999_999, "-1M")],
)
def test_what_rounds_up_to_a_thousand_takes_the_next_prefix(value, text):
    assert short_number(value) == text


def test_an_amount_has_its_unit():
    assert (amount(999.6e6, "B"), amount(64_000), amount(12, "B")) == ("1 GB", "64 k", "12 B")
    assert (_amount(999.6e6, "B"), _amount("", "B"), _amount(None)) == ("1 GB", "", "")


def test_progress_and_pages_say_a_number_alike():
    with Progress("score", 2_000_000, unit="token") as progress:
        progress.resume(999_999)
        assert " 1M/2M token" in progress.line()


def test_counts_and_shares():
    assert count(12_000) == "12\u202f000" and count(0.5) == "0.5" and percent(0.9) == "90 %"
