import numpy as np
import pandas as pd
import pytest

from transferlaws.advice.context import deciding_metric, with_worthwhile
from transferlaws.advice.settings import AdviceSettings
from transferlaws.errors import UserError


@pytest.mark.parametrize(
    ("metric", "values", "least"),
    [("bleu", [3.0, 20.0], 1.0), ("comet", [0.5, 0.8], 0.01), ("cross_entropy", [2.0, 3.0], 0.02)],
)
def test_each_metric_has_a_default_of_its_own(metric, values, least):
    assert with_worthwhile(AdviceSettings(), metric, pd.Series(values)).worthwhile == least
    assert with_worthwhile(AdviceSettings(worthwhile=0.5), metric, pd.Series(values)).worthwhile == 0.5


@pytest.mark.parametrize(("metric", "values"), [("bleu", [0.1, 0.4]), ("bleu", [100.0, 380.0]), ("comet", [50.0, 80.0])])
def test_a_score_off_its_scale_is_refused(metric, values):
    with pytest.raises(UserError, match=f"^{metric}: "):
        with_worthwhile(AdviceSettings(), metric, pd.Series(values))


def test_a_score_of_0_without_pretraining_does_not_change_the_metric():
    rows = {"task": "t", "pretraining_tokens": [0, 1e6, 1e7], "bleu": [0.0, 3.0, 5.0], "cross_entropy": [4.0, 3.0, 2.5]}
    table = pd.DataFrame(rows).assign(row=np.arange(2, 5), status="ok")
    assert deciding_metric(table, AdviceSettings()) == ("bleu", [])
    table.loc[1, "bleu"] = 0.0
    metric, notes = deciding_metric(table, AdviceSettings())
    assert metric == "cross_entropy" and "bleu is 0 in row 3, so cross_entropy decides" in notes[0]
