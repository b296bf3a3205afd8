"""The coverage stage itself, on few studies; the full table is in docs/laws.md."""

import pandas as pd
import pytest

from transferlaws.cli import main
from transferlaws.laws.registry import LAWS
from transferlaws.validation.coverage import SCENARIOS


def test_every_law_has_a_scenario():
    assert {s.law for s in SCENARIOS} == set(LAWS)


def test_the_table_names_every_parameter_and_the_prediction(tmp_path):
    path = tmp_path / "coverage.csv"
    arguments = ["--studies", "4", "--bootstraps", "100", "--laws", "score-from-loss", "effective-data"]
    assert main(["coverage", "--output", str(path), *arguments]) == 0
    table = pd.read_csv(path)
    assert set(table.law) == {"score-from-loss", "effective-data"}
    assert list(table[table.law == "score-from-loss"].quantity) == ["C", "k", "prediction"]
    assert (table.studies == 4).all()


@pytest.mark.slow
@pytest.mark.parametrize("law", ["cross-entropy-power", "score-from-loss", "rectified"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(tmp_path, law):
    path = tmp_path / "coverage.csv"
    assert main(["coverage", "--output", str(path), "--studies", "150", "--bootstraps", "300", "--laws", law]) == 0
    table = pd.read_csv(path)
    judged = table[table.identified > 0.5]
    assert judged.covered.between(0.83, 0.97).all()
