"""What the advice takes from the documents of fits, and what it says of those it has not."""

import json

import numpy as np
import pytest

from support import simulated_study
from support.advising import advise, table
from transferlaws.advice.page import _cells
from transferlaws.advice.stage import _fitted
from transferlaws.laws.estimate import Fitted
from transferlaws.laws.registry import LAWS
from transferlaws.measurements.table import read_measurements


def test_a_law_that_was_not_asked_for_has_no_status(tmp_path):
    advice, _ = advise(tmp_path, table(), laws=(), worthwhile=0.5)
    (answer,) = advice["answers"]
    assert answer["law"]["status"] is None
    assert "was not fitted to bleu" in answer["law"]["text"]


def test_a_law_is_fitted_again_in_its_own_way(tmp_path):
    path, (fits,) = simulated_study.write(tmp_path, simulated_study.scaling(), ("effective-data",))
    document = json.loads(fits.read_text())
    form = LAWS["effective-data"].form
    pairs = [(result, report) for result, report in _fitted(read_measurements(path), document) if isinstance(result, Fitted)]
    assert pairs
    for result, report in pairs:
        assert result.curve.group.metric == report["metric"] == "data_transferred"
        values = form.natural(result.curve.fit.theta[None], result.curve.design)[0]
        stated = [report["parameters"][p.name]["estimate"] for p in form.parameters]
        known = [k for k, value in enumerate(stated) if value is not None]
        assert values[known] == pytest.approx(np.array([stated[k] for k in known]))


def test_a_name_neither_ends_its_cell_nor_its_row(tmp_path):
    name = "en|de\nfr"
    _, page = advise(tmp_path, table(mixtures=(name,)), worthwhile=0.5)
    (row,) = [line for line in page.splitlines() if line.startswith("| en")]
    assert row.startswith("| en\\|de fr | ")
    assert row.replace("\\|", "").count("|") == 7
    assert _cells("a|b", "c") == "| a\\|b | c |"
