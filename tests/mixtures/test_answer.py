"""Draws, the set of the best mixtures, chances and proposals on planted studies."""

import numpy as np
import pytest

from transferlaws.mixtures.answer import optimum, simultaneous, worth
from transferlaws.mixtures.compare import best_of, candidate, folds_of, forms_for
from transferlaws.mixtures.designs import space_filling
from transferlaws.mixtures.draws import draw
from transferlaws.mixtures.fit import fit
from transferlaws.mixtures.form import CORPUS
from transferlaws.mixtures.forms import FORMS
from transferlaws.mixtures.planted import study
from transferlaws.mixtures.points import Points
from transferlaws.mixtures.propose import propose
from transferlaws.mixtures.settings import MixtureSettings
from transferlaws.mixtures.simplex import Limits
from transferlaws.mixtures.study_answer import answer, document
from transferlaws.mixtures.table import Study
from transferlaws.seeding import generator

EVERYTHING = Limits(np.zeros(3), np.ones(3))
WEIGHTS = space_filling(18, EVERYTHING, seed=1)
TRUTH = np.array([[2.0, np.log(0.5), np.log(0.7), 1.5, 0.5, -1.0]])


def planted(noise, seed=0, runs=1, weights=WEIGHTS):
    points = Points(weights)
    true = FORMS["power"](points).predict(TRUTH, points)
    return points, true + noise * np.random.default_rng(seed).standard_normal((runs, len(weights))).mean(0)


def as_study(points, values, runs=1, noise=np.nan):
    count = len(points)
    return Study({}, ["a", "b", "c"], points, np.arange(count), np.full(count, runs), ["loss"], values, np.array([noise]))


def test_more_data_narrows_the_set_and_it_holds_the_best():
    shares = []
    for noise in (0.1, 0.01):
        points, values = planted(noise)
        draws = draw(fit(FORMS["power"](points), points, values), 300, generator(0, "x"))
        best = optimum(draws, points, EVERYTHING, 0.9, generator(0, "y"), pool=900)
        shares.append(best.inside[2:902].mean())
        assert best.weights.sum() == pytest.approx(1)
    assert shares[1] < shares[0] / 3


def test_the_set_and_the_intervals_hold_the_truth_about_as_often_as_they_say():
    found = [
        study(form="power", fitted="power", corpora=3, mixtures=12, runs=1, noise=0.04, level=0.9, draws=150, seed=s)
        for s in range(12)
    ]
    assert sum(each.set_holds_best for each in found) >= 8  # 12 draws of 0.9: fewer than 8 once in 4,000
    assert 0.8 < np.mean([each.unseen_held for each in found]) < 0.99
    assert np.mean([each.regret for each in found]) < 0.02


def test_draws_follow_the_prior_where_data_are_silent():
    weights = np.vstack([np.eye(3)[:2], [[0.5, 0.5, 0], [0.7, 0.3, 0], [0.2, 0.8, 0], [0.9, 0.1, 0]]])
    points, values = planted(0.01, weights=weights)
    draws = draw(fit(FORMS["exponential"](points), points, values), 800, generator(0, "x"))
    worths = draws.thetas[0][:, 1:]
    unknown = (worths[:, 2] - worths[:, :2].mean(1)).std()
    seen, unseen = draws.predict(Points(np.eye(3)[[0, 2]]))[0].std(0)
    assert unseen > 10 * seen
    assert unknown == pytest.approx(CORPUS * np.sqrt(1.5), rel=0.15)  # of three corpora that differ by the prior alone


def test_comparison_finds_the_law_that_made_the_data():
    points, values = planted(0.005)
    fold = folds_of(np.arange(len(points)), 18, 0)
    laws = [candidate(form, points, values, fold) for form in forms_for(points, losses=True)]
    names = [law.name for law in laws]
    assert "joint" not in names  # neither tokens nor size vary
    assert names[best_of(laws, values)[0]] in ("power", "additive")
    assert laws[names.index("constant")].aicc[0] > laws[names.index("power")].aicc[0]


def test_a_corpus_of_more_worth_lowers_the_loss_and_ends_hold_all_at_once():
    points, values = planted(0.01)
    draws = draw(fit(FORMS["power"](points), points, values), 400, generator(0, "x"))
    gains = worth(draws, points, np.full(3, 1 / 3))
    assert gains.mean(0).argsort().tolist() == [2, 1, 0]
    assert np.abs(gains.mean(1)).max() < 1e-9  # what moves to one comes from the others, at equal shares
    low, high = simultaneous(gains, 0.9)
    assert ((gains >= low) & (gains <= high)).all(1).mean() == pytest.approx(0.9, abs=0.02)


def test_scores_are_read_upward():
    points, values = planted(0.02)
    settings = MixtureSettings(draws=200, candidates=300)
    down = document(answer(as_study(points, values), 0, score=False, settings=settings), settings)
    up = document(answer(as_study(points, 30 - values), 0, score=True, settings=settings), settings)
    assert up["better"] == "more" and down["better"] == "less"
    assert up["law"] == down["law"]
    assert list(up["proposed"]["weights"].values()) == pytest.approx(list(down["proposed"]["weights"].values()), abs=0.05)
    assert up["proposed"]["predicted"]["estimate"] == pytest.approx(30 - down["proposed"]["predicted"]["estimate"], abs=0.01)
    assert up["worth"][0]["corpus"] == down["worth"][0]["corpus"] == "a"
    assert up["worth"][0]["change"]["estimate"] > 0 > down["worth"][0]["change"]["estimate"]


def test_too_few_mixtures_are_said_to_be_too_few():
    points, values = planted(0.01, weights=WEIGHTS[:6])
    settings = MixtureSettings(draws=100, candidates=100, law="power", folds=6)
    said = document(answer(as_study(points, values), 0, score=False, settings=settings), settings)["identified"]
    assert any("6 mixtures of 3 corpora cannot pin down the 6 parameters" in note for note in said)


def test_proposals_go_where_nothing_is_known_and_cheap_ones_first():
    weights = np.vstack([np.eye(3)[:2], [[0.5, 0.5, 0], [0.7, 0.3, 0], [0.2, 0.8, 0], [0.9, 0.1, 0], [0.35, 0.65, 0]]])
    points, values = planted(0.01, weights=weights)
    settings = MixtureSettings(draws=300, candidates=300, law="power")
    found = answer(as_study(points, values), 0, score=False, settings=settings)
    now, free = propose(found, 3, run_cost=1.0, corpus_cost=np.zeros(3), seed=0)
    _, dear = propose(found, 1, run_cost=1.0, corpus_cost=np.array([0, 0, 1000.0]), seed=0)
    assert free[0].weights[2] > 0.05
    assert dear[0].weights[2] < free[0].weights[2]
    assert free[0].regret_after < now
    assert len(np.unique([p.weights for p in free], axis=0)) == 3
