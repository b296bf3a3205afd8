"""Scores from counts are sacrebleu's; COMET is asked for and answered through its own interface."""

import sys
import types

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF

from transferlaws.errors import UserError
from transferlaws.evaluation.comet import Comet
from transferlaws.evaluation.metrics import Scorer
from transferlaws.evaluation.settings import ScoreSettings

WORDS = ["the", "a", "cat", "dog", "sat", "on", "mat", ",", "house", "is", "red", ".", "ein", "Hund"]


def corpus(seed, noise, count=120):
    random = np.random.default_rng(seed)
    references = [" ".join(random.choice(WORDS, random.integers(1, 12))) for _ in range(count)]
    hypotheses = [
        " ".join(w if random.random() > noise else "zz" for w in line.split()[: random.integers(1, 13)]) for line in references
    ]
    return references, hypotheses


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("settings", [ScoreSettings(bootstrap=20), ScoreSettings(bootstrap=20, tokenize="char", chrf_word_order=2)])
def test_corpus_scores_equal_sacrebleu(noise, settings):
    references, hypotheses = corpus(1, noise)
    bleu, chrf = Scorer(references, settings).score(hypotheses)
    theirs = BLEU(tokenize=settings.tokenize), CHRF(word_order=settings.chrf_word_order)
    assert bleu.value == pytest.approx(theirs[0].corpus_score(hypotheses, [references]).score, abs=1e-9)
    assert chrf.value == pytest.approx(theirs[1].corpus_score(hypotheses, [references]).score, abs=1e-9)
    assert f"tok:{settings.tokenize}" in bleu.signature
    assert "version:" in chrf.signature


def test_empty_hypotheses_score_nothing():
    references, _ = corpus(1, 0)
    bleu, chrf = Scorer(references, ScoreSettings(bootstrap=20)).score([""] * len(references))
    assert (bleu.value, chrf.value, bleu.noise) == (0, 0, 0)


def test_noise_is_the_spread_of_sacrebleu_over_the_same_resamples():
    references, hypotheses = corpus(2, 0.3)
    scorer = Scorer(references, ScoreSettings(bootstrap=40))
    scores = []
    for times in scorer.resamples.astype(int):
        rows = np.repeat(np.arange(len(references)), times)
        scores.append(BLEU().corpus_score([hypotheses[i] for i in rows], [[references[i] for i in rows]]).score)
    assert scorer.score(hypotheses)[0].noise == pytest.approx(np.std(scores, ddof=1), rel=1e-9)


def test_comet_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "comet", None)
    with pytest.raises(UserError, match="COMET is not installed"):
        Comet("Unbabel/wmt22-comet-da")


def test_comet_scores_each_sentence(monkeypatch):
    def predict(items, **_):
        return types.SimpleNamespace(scores=[float(item["mt"] == item["ref"]) for item in items])

    fake = types.SimpleNamespace(
        download_model=lambda name: f"/{name}.ckpt",
        load_from_checkpoint=lambda path: types.SimpleNamespace(predict=predict),
        __version__="2.2",
    )
    monkeypatch.setitem(sys.modules, "comet", fake)
    comet = Comet("some/model")
    assert comet.score(["a", "b"], ["x", "y"], ["x", "z"]).tolist() == [1.0, 0.0]
    assert comet.signature == "model:some/model|version:2.2"
