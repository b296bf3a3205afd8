"""The whole chain on a tiny study: what it writes, and that nothing is done twice."""

import json

import pandas as pd
import pytest

from support.tiny import checkout, snakemake

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(finished_tiny):
    return finished_tiny


def test_the_table_holds_every_measurement_once(folder):
    table = pd.read_csv(folder / "results" / "measurements.csv")
    assert len(table) == 2 * (2 * 4 + 1)  # seeds x (mixtures x rungs + scratch)
    assert not table.duplicated(["task", "model", "mixture", "seed", "pretraining_tokens", "finetuning_size"]).any()
    assert set(table.mixture) == {"en+de", "fr", "scratch"}
    assert (table[table.mixture == "scratch"].pretraining_tokens == 0).all()
    assert table.cross_entropy.between(0, 8).all() and table.bleu.between(0, 100).all()
    assert table.bleu_signature.str.contains("version").all() and (table.status == "ok").all()
    assert table.groupby("mixture").alignment.first()["en+de"] == pytest.approx(1.0)
    assert table.test_sha256.nunique() == 1


def test_fits_figures_and_report_are_there(folder):
    results = folder / "results"
    for law in ("cross-entropy-power", "score-log"):
        fits = json.loads((results / "laws" / f"{law}.json").read_text())["fits"]
        assert {fit["group"]["mixture"] for fit in fits} == {"en+de", "fr"}
        assert all(fit["status"] for fit in fits)
    for figure in ("downstream", "score-vs-loss", "upstream"):
        assert (results / "figures" / f"{figure}.svg").read_text().startswith("<?xml")
        assert (results / "figures" / f"{figure}.png").stat().st_size > 5000
    assert "en+de" in (results / "summary.html").read_text()
    assert (results / "report.html").stat().st_size > 100_000
    assert json.loads((results / "study.json").read_text())["pretraining"]["objective"] == "infilling"


def test_a_second_call_has_nothing_to_do(folder):
    assert "Nothing to be done" in snakemake(folder).stderr


def test_a_second_run_writes_the_same_table(folder, tmp_path):
    other = checkout(tmp_path)
    snakemake(other, "results/measurements.csv")
    assert (other / "results/measurements.csv").read_bytes() == (folder / "results/measurements.csv").read_bytes()
