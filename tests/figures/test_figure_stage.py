"""Every figure from a simulated study: drawn, the same bytes again, and a clear refusal where the table cannot carry it."""

import json
import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest

from support import simulated_study
from transferlaws.cli import main
from transferlaws.figures.settings import FIGURES, FigureSettings
from transferlaws.figures.stage import FIGURES as DRAWN
from transferlaws.files import sha256

STUDIES = {"transfer-gap": "surface", "effective-data": "scaling"}


def draw(name, csv, laws, prefix, settings='{"dpi": 60}'):
    files = ["--measurements", str(csv), "--laws", *map(str, laws), "--output-prefix", str(prefix)]
    return main(["figure", name, *files, "--settings", settings])


def test_names_in_the_config_are_the_figures_there_are():
    assert set(FIGURES) == set(DRAWN)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_and_the_same_again(name, request, tmp_path):
    csv, laws = request.getfixturevalue(STUDIES.get(name, "curves"))
    assert draw(name, csv, laws, tmp_path / "one") == 0
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9, "svg.fonttype": "path"}):  # a user's matplotlibrc
        assert draw(name, csv, laws, tmp_path / "two") == 0
    for kind in ("svg", "png"):
        one, two = ((tmp_path / f"{which}.{kind}").read_bytes() for which in ("one", "two"))
        assert one == two and len(one) > 5000
    text = " ".join(ElementTree.parse(tmp_path / "one.svg").getroot().itertext())  # SVG text is text
    assert "cross-entropy" in text or "BLEU" in text or "upstream loss" in text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.png", "one.svg", "two.png", "two.svg"]


@pytest.mark.parametrize("name", FIGURES)
def test_a_table_without_what_the_figure_needs_is_refused(name, request, tmp_path, capfd):
    _, laws = request.getfixturevalue(STUDIES.get(name, "curves"))
    source = {"curves": simulated_study.measurements, "surface": simulated_study.surface, "scaling": simulated_study.scaling}
    table = source[STUDIES.get(name, "curves")]()
    needed = {"upstream": "upstream_cross_entropy", "alignment": "alignment"}.get(name, "cross_entropy")
    broken, laws = tmp_path / "broken.csv", [json.loads(path.read_text()) for path in laws]
    for change in (
        table.drop(columns=needed),
        table.assign(**{needed: float("nan")}).drop(columns=[c for c in ("bleu", "chrf") if c in table]),
        table[table["pretraining_tokens"] == 0],
        table.iloc[:0],
    ):
        change.to_csv(broken, index=False)
        fits = [tmp_path / f"{law['law']}.json" for law in laws if law["law"] != "effective-data"]  # it holds its own points
        for path, law in zip(fits, laws, strict=False):
            law["provenance"]["measurements_sha256"] = sha256(broken)
            path.write_text(json.dumps(law))
        assert draw(name, broken, fits, tmp_path / "figure") == 1
        message = capfd.readouterr().err
        assert str(broken) in message and "Traceback" not in message
    assert not list(tmp_path.glob("figure*"))


@pytest.mark.parametrize("name", ["transfer-gap", "effective-data"])
def test_a_law_that_was_not_fitted_is_named_with_the_remedy(name, curves, tmp_path, capfd):
    assert draw(name, curves[0], [], tmp_path / "figure") == 1
    assert f"Add `{name}: {{}}` to the study's laws" in " ".join(capfd.readouterr().err.split())


def test_transfer_gap_needs_several_sizes(tmp_path, capfd):
    csv, laws = simulated_study.write(tmp_path, simulated_study.measurements(), ("transfer-gap",))
    assert draw("transfer-gap", csv, laws, tmp_path / "figure") == 1
    assert "finetuning_size" in capfd.readouterr().err


def test_fits_of_another_table_are_refused(curves, surface, tmp_path, capfd):
    assert draw("downstream", surface[0], curves[1], tmp_path / "figure") == 1
    assert "fitted to another table" in " ".join(capfd.readouterr().err.split())


def test_one_checkpoint_with_two_upstream_losses_is_refused(tmp_path, capfd):
    table = simulated_study.measurements(tasks=("en-de", "en-fr"))
    table.loc[table["task"] == "en-fr", "upstream_cross_entropy"] += 0.1
    table.to_csv(tmp_path / "measurements.csv", index=False)
    assert draw("upstream", tmp_path / "measurements.csv", [], tmp_path / "figure") == 1
    assert "two values of upstream_cross_entropy" in " ".join(capfd.readouterr().err.split())


def test_a_file_that_is_no_fit_is_refused(curves, tmp_path, capfd):
    (tmp_path / "advice.json").write_text(json.dumps({"schema": 1, "answers": []}))
    assert draw("downstream", curves[0], [tmp_path / "advice.json"], tmp_path / "figure") == 1
    assert "not a fit" in capfd.readouterr().err


def test_wrong_settings_are_refused(curves, tmp_path, capfd):
    assert draw("downstream", *curves, tmp_path / "figure", '{"colour": 1}') == 1
    assert "colour" in capfd.readouterr().err
    with pytest.raises(ValueError):
        FigureSettings(width=0)


def test_a_table_without_scores_draws_cross_entropy(tmp_path):
    table = simulated_study.scaling()
    csv, _ = simulated_study.write(tmp_path, table[table["model"] == "n600000"], ())
    assert draw("summary", csv, [], tmp_path / "figure") == 0
    assert "reduction of cross-entropy" in (tmp_path / "figure.svg").read_text()
