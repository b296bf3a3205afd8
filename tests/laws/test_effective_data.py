"""Paper C: its published coefficients from data simulated with them, its golden numbers, and what cannot be used."""

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from transferlaws.laws.document import report
from transferlaws.laws.effective_data import fit_effective_data, fraction, monotone_cubic, unified_loss
from transferlaws.laws.groups import groups_of
from transferlaws.laws.protocols import resolve
from transferlaws.laws.registry import LAWS
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.simulate import Noise, transfer_measurements
from transferlaws.seeding import generator

LAW = LAWS["effective-data"]
TEXT, MIX = (1.9e4, 0.18, 0.38), (2.1e5, 0.096, 0.38)  # table 1
KAPLAN = (1e12, 1e13, 0.08, 0.1)
NONE = Noise()


def fit(table, **settings):
    settings = resolve(LAW, FitSettings(bootstraps=400, **settings))
    table = table.assign(row=np.arange(2, len(table) + 2))
    groups = groups_of(table, law=LAW, metric="cross_entropy", settings=settings)
    return [report(r, law=LAW, settings=settings) for r in fit_effective_data(groups, law=LAW, settings=settings)]


def simulated(parameters, noise=NONE, sizes=(1e6, 1e7, 1e8, 1e9), finetuning=(1e5, 1e6, 1e7), scratch=None):
    return transfer_measurements(
        parameters=np.array(parameters),
        kaplan=np.array(KAPLAN),
        model_sizes=np.array(sizes),
        finetuning_sizes=np.array(finetuning),
        scratch_sizes=np.geomspace(1e5, 1e11, 25) if scratch is None else scratch,
        noise=noise,
        generator=generator(3, "transfer"),
    )


@pytest.mark.parametrize("truth", [TEXT, MIX])
@pytest.mark.parametrize("protocol", ["default", "hernandez"])
def test_published_coefficients_are_recovered(truth, protocol):
    (found,) = fit(simulated(truth), protocol=protocol, low_data_share=1e9)
    estimates = [found["parameters"][name]["estimate"] for name in ("k", "alpha", "beta")]
    assert estimates[1:] == pytest.approx(truth[1:], abs=2e-3)
    assert np.log(estimates[0]) == pytest.approx(np.log(truth[0]), abs=0.03)


@pytest.mark.parametrize("protocol", ["default", "hernandez"])
def test_intervals_hold_the_truth_with_noise(protocol):
    (found,) = fit(simulated(TEXT, Noise(0.001, 0.001)), protocol=protocol, low_data_share=1e9)
    for name, value in zip(("k", "alpha", "beta"), TEXT, strict=True):
        low, high = found["parameters"][name]["low"], found["parameters"][name]["high"]
        assert low < value < high
    assert found["noise"]["residual"] == pytest.approx(0.001, rel=0.25)


def test_golden_numbers_of_the_paper():
    k, alpha, beta = TEXT
    transferred = k * 3e5**alpha * 4e7**beta
    assert transferred == pytest.approx(1.42e8, rel=0.01)
    assert transferred / 3e5 == pytest.approx(475, rel=0.01)
    assert 10**alpha == pytest.approx(1.51, abs=0.005)
    assert 10**beta == pytest.approx(2.40, abs=0.005)
    assert 1.9e4 * 1.75e11**beta == pytest.approx(3.56e8, rel=0.01)
    assert 2.1e5 * 1.75e11**beta == pytest.approx(3.93e9, rel=0.01)
    assert 300**alpha == pytest.approx(2.79, abs=0.005)
    assert 300 ** MIX[1] == pytest.approx(1.73, abs=0.005)
    share = fraction(k=k, alpha=alpha, beta=beta, finetuning_size=np.array([3e5]), parameters=np.array([4e7]))
    assert share[0] == pytest.approx(transferred / (3e5 + transferred))


def test_ten_times_the_data_in_model_size():
    (found,) = fit(simulated(TEXT), low_data_share=1e9)
    assert found["parameters"]["model_size_for_10x_data"]["estimate"] == pytest.approx(10 ** (0.18 / 0.38), rel=0.01)


def test_unified_law_agrees_with_the_inverted_curves_where_fine_tuning_data_are_few():
    table = simulated(TEXT, finetuning=(1e3,), scratch=np.geomspace(1e3, 1e11, 30))
    tuned = table[(table.mixture == "text") & (table.seed == 1)]
    predicted = unified_loss(
        kaplan=np.array(KAPLAN),
        k=TEXT[0],
        alpha=TEXT[1],
        beta=TEXT[2],
        finetuning_size=1e3,
        parameters=tuned.parameters_non_embedding,
    )
    assert predicted.to_numpy() == pytest.approx(tuned.cross_entropy.to_numpy(), rel=1e-3)


def test_ossified_and_censored_points_are_kept_and_say_why():
    table = simulated(TEXT, sizes=(1e6, 1e7, 1e8), finetuning=(1e5, 1e6, 1e7))
    tuned = table.mixture == "text"
    worse = tuned & (table.parameters_non_embedding == 1e6) & (table.finetuning_size == 1e7)
    scratch_there = table[(table.mixture == "scratch") & (table.parameters_non_embedding == 1e6)]
    table.loc[worse, "cross_entropy"] = scratch_there[scratch_there.finetuning_size < 9e6].cross_entropy.min()
    best = tuned & (table.parameters_non_embedding == 1e8) & (table.finetuning_size == 1e7)
    table.loc[best, "cross_entropy"] = 0.9 * table.cross_entropy.min()
    (found,) = fit(table, low_data_share=1e9)
    reasons = [p for p in found["points"] if p["role"] == "excluded"]
    assert {p["reason"].split(":")[0] for p in reasons} == {"ossification", "censored"}
    ossified = [p for p in reasons if p["reason"].startswith("ossification")]
    assert len(ossified) == 3
    assert all(p["value"] <= 0 for p in ossified)
    assert len(found["points"]) == len(table)


def test_only_low_data_points_are_fitted():
    (found,) = fit(simulated(TEXT, finetuning=(1e5, 1e6, 1e7, 1e8)))
    limits = {float(n): limit for n, limit in found["data_limits"].items()}
    for point in found["points"]:
        if point["reason"].startswith("not low-data"):
            assert point["finetuning_size"] > 0.1 * limits[point["parameters_non_embedding"]]
        elif point["role"] == "fit":
            assert point["finetuning_size"] <= 0.1 * limits[point["parameters_non_embedding"]]


def test_monotone_cubic_is_scipys():
    random = np.random.default_rng(0)
    x = np.sort(random.uniform(0, 10, (5, 8)), axis=1)
    y = np.sort(random.uniform(-3, 3, 8))
    at = np.stack([np.linspace(row[0], row[-1], 50) for row in x])
    expected = np.stack([PchipInterpolator(row, y)(a) for row, a in zip(x, at, strict=True)])
    assert monotone_cubic(x, y, at) == pytest.approx(expected, abs=1e-10)
