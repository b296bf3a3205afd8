"""What the advice takes from the documents of fits, and what it says of those it has not."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from support import simulated_study
from support.advising import advise, table
from transferlaws.advice.page import _row
from transferlaws.cli import main
from transferlaws.errors import ChecksumError, UserError
from transferlaws.files import sha256
from transferlaws.laws import solver
from transferlaws.laws.api import fit_law
from transferlaws.laws.document import read_document
from transferlaws.laws.law_fit import LawFit, read_fits


def test_a_law_that_was_not_asked_for_has_no_status(tmp_path):
    advice, _ = advise(tmp_path, table(), laws=(), worthwhile=0.5)
    (answer,) = advice["answers"]
    assert answer["law"]["status"] is None
    assert "was not fitted to bleu" in answer["law"]["text"]


def test_advice_figures_and_page_fit_nothing(tmp_path, monkeypatch):
    """They read documents and draws: the solver may be missing."""
    frame = table(mixtures=("en+de", "fr"))
    first, _ = advise(tmp_path, frame, worthwhile=0.5)
    names = {name: str(tmp_path / name) for name in ("measurements.csv", "score-log.json", "advice.json", "a.json", "a.md")}
    solvers = [solver.fit_point, solver.minimise, solver.minimise_from_least_squares]
    for name, module in list(sys.modules.items()):  # wherever they were imported to
        for attribute, value in list(vars(module).items()) if name.startswith("transferlaws.") else ():
            if any(value is one for one in solvers):
                monkeypatch.delattr(module, attribute)
    with pytest.raises(NameError):
        fit_law(law="score-log", x=[1e6, 1e7, 1e8, 1e9], values=[1.0, 2.0, 3.0, 4.0])
    common = ["--measurements", names["measurements.csv"], "--laws", names["score-log.json"]]
    settings = ["--settings", json.dumps({"worthwhile": 0.5})]
    assert main(["advise", *common, *settings, "--output", names["a.json"], "--markdown", names["a.md"]]) == 0
    assert json.loads((tmp_path / "a.json").read_text()) == first
    assert main(["summary", *common, "--advice", names["advice.json"], "--output", str(tmp_path / "summary.html")]) == 0


def test_draws_are_named_and_read_with_numpy_alone(tmp_path):
    _, (path,) = simulated_study.write(tmp_path, simulated_study.scaling(), ("effective-data",))
    document = read_document(path)
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        for index, fit in enumerate(document.fits):
            if not fit.internal:
                continue
            for name, stated in fit.parameters.items():
                assert arrays[f"{index}/{name}"].shape == (fit.internal.draws,)
                if stated.identified:
                    share = np.mean(arrays[f"{index}/{name}"] < stated.estimate)
                    assert 0.1 < share < 0.9
    for fit in read_fits(path):
        if fit.fit.internal:
            values = dict(zip(fit.parameters, fit.natural_estimate(), strict=True))
            for name, stated in fit.parameters.items():
                assert stated.estimate is None or values[name] == pytest.approx(stated.estimate)


@pytest.mark.parametrize("where", ["written", "read", "draws"])
def test_a_number_that_is_not_finite_is_refused(tmp_path, where):
    advise(tmp_path, table(), worthwhile=0.5)
    path = tmp_path / "score-log.json"
    fit = LawFit.load(path)
    if where == "read":
        path.write_text(path.read_text().replace('"objective": ', '"objective": NaN, "was": ', 1))
        with pytest.raises(UserError, match="objective"):
            read_document(path)
        return
    with pytest.raises(UserError, match="not finite"):
        if where == "written":
            dataclasses.replace(fit, internal=fit.internal * np.nan).save(tmp_path / "other.json")
        draws = {name: values * np.nan for name, values in np.load(path.with_suffix(".npz")).items()}
        np.savez(path.with_suffix(".npz"), **draws)
        document = json.loads(path.read_text())
        document["draws"]["sha256"] = sha256(path.with_suffix(".npz"))
        path.write_text(json.dumps(document))
        read_fits(path)


def test_altered_draws_are_refused(tmp_path):
    advise(tmp_path, table(), worthwhile=0.5)
    draws = tmp_path / "score-log.npz"
    draws.write_bytes(draws.read_bytes()[:-1] + b"x")
    with pytest.raises(ChecksumError, match="SHA-256"):
        read_fits(tmp_path / "score-log.json")


def test_a_name_neither_ends_its_cell_nor_its_row(tmp_path):
    name = "en|de\nfr"
    _, page = advise(tmp_path, table(mixtures=(name,)), worthwhile=0.5)
    (row,) = [line for line in page.splitlines() if line.startswith("| en")]
    assert row.startswith("| en\\|de fr | ")
    assert row.replace("\\|", "").count("|") == 7
    assert _row(["a|b", "c"]) == "| a\\|b | c |"
