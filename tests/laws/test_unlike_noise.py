"""Noise that is not a run effect and a residual alike everywhere, drawn by another hand than the package's simulator."""

import numpy as np
import pytest

from support.studies import RUNGS, curve, isoflop, power
from transferlaws.laws.api import fit_law
from transferlaws.laws.settings import FitSettings

SETTINGS = FitSettings(bootstraps=200, held_out_rungs=0)


def fitted(kind, seed, **more):
    x, values, runs = curve(kind, np.random.default_rng(seed), **more)
    return fit_law(law="cross-entropy-power", x=x, values=values, runs=runs, settings=SETTINGS)


@pytest.mark.parametrize(
    ("kind", "words"), [("own slopes", "runs differ in slope"), ("grows", "noise grows along"), ("shrinks", "noise shrinks along")]
)
def test_it_is_found_said_and_in_the_interval(kind, words):
    found = [fitted(kind, seed) for seed in range(12)]
    assert sum(words in f.report["verdict"]["text"].lower() for f in found) >= 7
    ends = [f.predict([4 * RUNGS[-1]]) for f in found]
    assert sum(low[0] <= power(4 * RUNGS[-1]) <= high[0] for _, low, high in ends) >= 8


def test_independent_runs_have_intervals_without_being_asked():
    x, values = isoflop(np.random.default_rng(0))
    found = fit_law(law="chinchilla", x=x, values=values, settings=SETTINGS)
    assert found.parameters["alpha"]["low"] < 0.34 < found.parameters["alpha"]["high"]
    assert found.report["noise"]["run_freedom"] == 0
    tiled = np.tile(np.geomspace(1e7, 1e10, 8), 3)
    values = power(tiled) * np.exp(0.003 * np.random.default_rng(1).standard_normal(24))
    found = fit_law(law="cross-entropy-power", x=tiled, values=values, settings=SETTINGS)
    assert 1.4 < found.parameters["E"]["low"] < found.parameters["E"]["high"] < 1.6
    assert found.report["verdict"]["law_holds"]


def test_exact_values_are_not_rejected():
    x = np.tile(RUNGS, 3)
    found = fit_law(law="cross-entropy-power", x=x, values=power(x), runs=np.repeat([0, 1, 2], 8), settings=SETTINGS)
    assert found.status == "converged"
    rounded = fit_law(law="cross-entropy-power", x=x, values=power(x).round(7), runs=np.repeat([0, 1, 2], 8))
    assert rounded.status == "converged" and rounded.report["held_out"]["inside"] == 1.0


def test_a_row_that_lies_far_off_is_named():
    x, values, runs = curve("normal", np.random.default_rng(3))
    values[13] *= 1.5
    found = fit_law(law="cross-entropy-power", x=x, values=values, runs=runs, settings=SETTINGS)
    assert "row 13 (+" in found.report["verdict"]["text"]


@pytest.mark.parametrize("law", ["transfer-gap", "zhang-multiplicative"])
@pytest.mark.parametrize("step", [0.05, 0.2])
def test_misalignment_is_seen_in_laws_of_two_columns(law, step):
    tokens, sizes = np.meshgrid(np.geomspace(1e6, 1e9, 6), np.geomspace(1e3, 1e6, 4))
    x = np.tile(np.stack([tokens.ravel(), sizes.ravel()], axis=1), (3, 1))
    values = (5 + step * np.log10(x[:, 0] / 1e6)) * x[:, 1] ** -0.2 + 1.2
    values *= np.exp(0.003 * np.random.default_rng(0).standard_normal(len(x)))
    found = fit_law(law=law, x=x, values=values, runs=np.repeat([0, 1, 2], 24), settings=SETTINGS)
    assert found.status == "rejected"
    assert "rejected" in found.report["verdict"]["text"] or "not monotone" in found.report["verdict"]["text"]
