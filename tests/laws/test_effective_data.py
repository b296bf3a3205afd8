"""Paper C: its published coefficients from data simulated with them, its golden numbers, and what cannot be used."""

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from support.studies import Transfer, transfer
from transferlaws.errors import UserError
from transferlaws.laws.document import report
from transferlaws.laws.effective_data import fit_effective_data, fraction, unified_loss
from transferlaws.laws.groups import groups_of
from transferlaws.laws.hernandez import monotone_cubic
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
    settings = resolve(LAW, FitSettings(**{"bootstraps": 400, **settings}))
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
    for protocol, role in (("default", "fit"), ("hernandez", "excluded")):
        (found,) = fit(table, protocol=protocol, low_data_share=1e9)
        reasons = [p for p in found["points"] if p["role"] == role and p["reason"]]
        assert {p["reason"].split(":")[0] for p in reasons} == {"ossification", "censored"}
        ossified = [p for p in reasons if p["reason"].startswith("ossification")]
        assert len(ossified) == 3
        assert all(p["value"] <= 0 for p in ossified)
        assert len(found["points"]) == len(table)


def test_only_low_data_points_are_fitted():
    (found,) = fit(transfer(Transfer(residual=1e-4), np.random.default_rng(0)))
    limits = {float(n): limit for n, limit in found["data_limits"].items()}
    assert any(limits.values())
    assert any(p["reason"].startswith("not low-data") for p in found["points"])
    for point in found["points"]:
        limit = limits[point["parameters_non_embedding"]] or np.inf
        if point["reason"].startswith("not low-data"):
            assert point["finetuning_size"] > 0.1 * limit
        elif point["role"] == "fit":
            assert point["finetuning_size"] <= 0.1 * limit


# --- studies of another hand than the package's simulator ---


def fit_another(study, seed=0, **settings):
    return fit(transfer(study, np.random.default_rng(seed)), low_data_share=1e9, **{"bootstraps": 100, **settings})


@pytest.mark.parametrize(
    "study",
    [
        Transfer(k=30, scratch=tuple(np.geomspace(1e4, 1e9, 16))),  # D_T below D_F: many a D_T comes out below 0
        Transfer(scratch=tuple(np.geomspace(1e4, 1e8, 13))),  # a fifth of the points censored
        Transfer(k=1e3, scratch=tuple(np.geomspace(1e4, 1e7, 7)), finetuning=tuple(np.geomspace(1e4, 1e7, 7))),
    ],
)
def test_nothing_is_biased_by_what_noise_hides(study):
    found = [fit_another(study, seed)[0] for seed in range(9)]
    for name, truth, deviation in (("alpha", 0.18, 0.013), ("beta", 0.38, 0.008)):
        estimates = [f["parameters"][name]["estimate"] for f in found]
        assert np.median(estimates) == pytest.approx(truth, abs=3 * 1.25 * deviation / np.sqrt(9))
    assert sum(f["status"] == "rejected" for f in found) <= 3


def test_d_of_n_is_read_off_the_measured_curve_or_is_beyond_it():
    (found,) = fit_another(Transfer(residual=1e-5))
    limits = found["data_limits"]
    for size, right in (("30000", 2.3e7), ("300000", 1.3e8), ("3e+06", 6.5e8)):
        assert limits[size] == pytest.approx(right, rel=0.05)
    (short,) = fit_another(Transfer(residual=1e-5, scratch=tuple(np.geomspace(1e4, 5e7, 13))))
    assert short["data_limits"]["3e+07"] is None
    assert "beyond the largest from-scratch D for N = " in short["verdict"]["text"]


def test_held_out_points_are_read_too():
    (found,) = fit_another(Transfer(), held_out_rungs=1)
    assert found["held_out"]["points"] == 12
    assert found["held_out"]["inside"] >= 0.7
    assert 0 < found["held_out"]["are"] < 2  # of D_T, read where the curve is flat


def test_sizes_that_have_a_d_p_of_their_own_are_fitted_together_if_asked():
    own = Transfer(pretraining=None)
    assert all(found["status"] == "too-few-points" for found in fit_another(own))
    (found,) = fit_another(own, across=["pretraining_tokens"])
    assert found["parameters"]["alpha"]["estimate"] == pytest.approx(0.18, abs=0.03)


def test_a_scratch_point_that_breaks_order_is_named():
    table = transfer(Transfer(), np.random.default_rng(0))
    size = sorted(table.finetuning_size[table.mixture == "scratch"].unique())[10]
    table.loc[(table.mixture == "scratch") & (table.finetuning_size == size), "cross_entropy"] *= 1.2
    (found,) = fit(table, low_data_share=1e9)
    assert f"{size:g}" in found["verdict"]["text"] and "not monotone: its mean at D" in found["verdict"]["text"]


def test_settings_that_do_not_apply_are_refused():
    with pytest.raises(UserError, match="resampling"):
        fit_another(Transfer(), resampling="runs")
    with pytest.raises(UserError, match="across"):
        fit_another(Transfer(), across=["model"])


def test_monotone_cubic_is_scipys():
    random = np.random.default_rng(0)
    x = np.sort(random.uniform(0, 10, (5, 8)), axis=1)
    y = np.sort(random.uniform(-3, 3, 8))
    at = np.stack([np.linspace(row[0], row[-1], 50) for row in x])
    expected = np.stack([PchipInterpolator(row, y)(a) for row, a in zip(x, at, strict=True)])
    assert monotone_cubic(x, y, at) == pytest.approx(expected, abs=1e-10)
