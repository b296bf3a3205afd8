"""What the seeds of a mixture share and mixtures do not: equal mixtures, judged by studies of another hand than the package's."""

import numpy as np
import pytest

from support.studies import Sentences, mixtures
from transferlaws.measurements.means import Quantity, TableMeans
from transferlaws.measurements.significance import Significance, seeds_to_decide, significance, simultaneous
from transferlaws.measurements.test_noise import with_sentences

RUNG = 1e8


def difference(folder, sentences, study, metric="cross_entropy", told=True, **more):
    table = mixtures(folder, np.random.default_rng(study), sentences, **more)
    if told:
        table = with_sentences(table, folder / "sentences.parquet")
    means = TableMeans(table).of(task="t", model="m", metric=metric)
    return means.better(means.cells["a", 1000.0, RUNG], means.cells["b", 1000.0, RUNG])


@pytest.mark.parametrize("metric", ["cross_entropy", "bleu"])
def test_sentences_that_suit_a_mixture_are_in_the_noise_of_its_lead(tmp_path, metric):
    suits = Sentences(mixture=0.2, seed=0.02, count=300)
    found = [difference(tmp_path, suits, k, metric) for k in range(30)]
    scatter = np.std([d.estimate for d in found])
    said = np.sqrt(np.mean([np.var(d.fixed) for d in found]))
    assert said == pytest.approx(scatter, rel=0.35)
    assert sum(significance(d, 0.9) is Significance.SURELY for d in found) <= 7  # 3 expected
    without = [difference(tmp_path, suits, k, metric, told=False) for k in range(30)]
    assert sum(significance(d, 0.9) is Significance.SURELY for d in without) >= 10


def test_a_true_lead_is_found(tmp_path):
    found = [difference(tmp_path, Sentences(mixture=0.05, seed=0.05), k, lead=0.05) for k in range(10)]
    assert all(significance(d, 0.9) is Significance.SURELY for d in found)
    assert all(d.estimate > 0 for d in found)


def family(count, size=4000):
    noise = np.random.default_rng(0).standard_normal((count, size))
    return [Quantity(0.0, row) for row in noise]


def test_one_comparison_is_its_own_family():
    (alone,) = family(1)
    assert simultaneous([alone], 0.9) == [alone]


def test_simultaneous_intervals_hold_together():
    wide = simultaneous(family(10), 0.9)
    ends = np.array([(d.json(0.9)["low"], d.json(0.9)["high"]) for d in wide])
    fresh = np.random.default_rng(1).standard_normal((4000, 10))
    inside = ((ends[:, 0] <= fresh) & (fresh <= ends[:, 1])).all(axis=1).mean()
    assert inside == pytest.approx(0.9, abs=0.02)


def test_more_seeds_decide_what_seeds_leave_open_but_not_what_the_test_set_does():
    noise = np.random.default_rng(2).standard_normal(4000)
    silent = Quantity(1.0, 1 + 2 * noise, np.ones(4000))
    assert seeds_to_decide(silent, 0.9, 3) == pytest.approx(3 * (2 * 1.645) ** 2, abs=3)
    assert seeds_to_decide(Quantity(1.0, 1 + 2 * noise, 1 + noise), 0.9, 3) is None
