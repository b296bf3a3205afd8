"""A fit is worked with from a notebook: summary, frame, plot, named draws; saved and read, it is the same."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from transferlaws.errors import UserError
from transferlaws.laws.api import fit_law
from transferlaws.laws.law_fit import LawFit
from transferlaws.laws.settings import FitSettings

TOKENS = np.tile(np.geomspace(1e6, 1e9, 6), 3)
RUNS = np.repeat([1, 2, 3], 6)


@pytest.fixture(scope="module")
def fit():
    noise = np.random.default_rng(0).normal(0, 0.003, 18)
    values = (1.5 + 40 * TOKENS**-0.25) * np.exp(noise)
    return fit_law(law="cross-entropy-power", x=TOKENS, values=values, runs=RUNS, settings=FitSettings(bootstraps=300))


def test_the_draws_bear_the_names_of_the_parameters_and_give_the_predictions(fit):
    draws = fit.draws
    assert list(draws) == list(fit.parameters) and {values.shape for values in draws.values()} == {(300,)}
    _, predicted = fit.at([4e9])
    assert predicted[:, 0] == pytest.approx(draws["E"] + draws["A"] * 4e9 ** -draws["alpha"], rel=1e-9)


def test_summary_and_frame_hold_every_parameter(fit):
    frame, text = fit.to_frame(), fit.summary()
    for name, parameter in fit.parameters.items():
        assert frame.loc[name, "estimate"] == parameter.estimate and f"{parameter.estimate:.4g}" in text
    assert fit.fit.verdict.text in text and "90% interval" in text


def test_a_saved_fit_predicts_the_same(fit, tmp_path):
    fit.save(tmp_path / "fit.json")
    again = LawFit.load(tmp_path / "fit.json")
    assert again.fit == fit.fit and again.protocol == fit.protocol
    for one, other in zip(fit.predict([1e7, 4e9], level=0.8), again.predict([1e7, 4e9], level=0.8), strict=True):
        assert one.tolist() == other.tolist()


def test_of_several_fits_one_is_asked_for_by_its_group(fit, tmp_path):
    named = fit.fit.model_copy(update={"group": {"mixture": "en"}})
    LawFit(fit.law, named, fit.internal, fit.protocol).save(tmp_path / "fit.json")
    assert LawFit.load(tmp_path / "fit.json", mixture="en").fit == named
    with pytest.raises(UserError, match="0 fits agree"):
        LawFit.load(tmp_path / "fit.json", mixture="fr")


def test_a_plot_has_points_law_and_band(fit):
    with matplotlib.rc_context({"backend": "agg"}):
        axes = fit.plot()
    assert sum(len(line.get_xdata()) for line in axes.lines if line.get_marker() == "o") == 18
    assert axes.collections and axes.get_xscale() == "log"


def test_the_package_itself_imports_nothing_slow():
    code = "import sys, transferlaws; assert not {'numpy', 'scipy', 'pandas'} & set(sys.modules); transferlaws.fit_law"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(ImportError):
        from transferlaws import fit_laws  # noqa: F401
