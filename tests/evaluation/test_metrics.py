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
from transferlaws.evaluation.tokenizers import problems, tokenizer_for

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
    theirs = BLEU(tokenize=tokenizer_for(settings, "en")), CHRF(word_order=settings.chrf_word_order)
    assert bleu.value == pytest.approx(theirs[0].corpus_score(hypotheses, [references]).score, abs=1e-9)
    assert chrf.value == pytest.approx(theirs[1].corpus_score(hypotheses, [references]).score, abs=1e-9)
    assert f"tok:{tokenizer_for(settings, None)}" in bleu.signature
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


JAPANESE = [
    "今日は天気がいいので公園に行きます。",
    "図書館で本を借りました。",
    "彼は毎朝早く起きて走ります。",
    "駅までどのくらいかかりますか。",
]


def test_japanese_is_scored_by_characters_and_says_so():
    near = [line.replace("。", "").replace("本", "雑誌") for line in JAPANESE]
    bleu, _ = Scorer(JAPANESE, ScoreSettings(bootstrap=20), "ja").score(near)
    assert bleu.value > 50 and "tok:char" in bleu.signature
    assert Scorer(JAPANESE, ScoreSettings(bootstrap=20, tokenize="13a"), "ja").score(near)[0].value < 5


OWN = {"zh": "zh", "zh-Hant": "zh", "yue": "zh", "ja": "char", "ko": "char", "th": "char", "lo": "char", "km": "char", "my": "char"}
OWN |= {"bo": "char", "de": "13a", "hi": "13a", "vi": "13a", "pt-BR": "13a", None: "13a"}


@pytest.mark.parametrize(("language", "tokenizer"), OWN.items())
def test_the_target_language_chooses_the_tokenizer(language, tokenizer):
    assert tokenizer_for(ScoreSettings(), language) == tokenizer
    assert tokenizer_for(ScoreSettings(tokenize="intl"), language) == "intl"


def test_what_a_scorer_needs_is_looked_for_before_anything_runs(monkeypatch, tmp_path):
    monkeypatch.setattr("transferlaws.evaluation.tokenizers.find_spec", lambda name: None)
    monkeypatch.setenv("SACREBLEU", str(tmp_path))

    def lines(target="ja", **raw):
        return " ".join(problems(ScoreSettings(**raw), {"t": target}))

    assert lines() == ""
    assert "13a" in lines(tokenize="13a") and "`char` is taken" in lines(tokenize="13a") and not lines("de", tokenize="13a")
    assert "transferlaws[ja]" in lines(tokenize="ja-mecab") and "transferlaws[ko]" in lines("ko", tokenize="ko-mecab")
    assert str(tmp_path) in lines(tokenize="flores200")
    assert "transferlaws[comet]" in lines(comet="Unbabel/wmt22-comet-da")
    monkeypatch.undo()
    assert "no such file" in lines(comet=str(tmp_path / "x.ckpt")) or "not installed" in lines(comet=str(tmp_path / "x.ckpt"))


def test_a_tokenizer_that_is_not_installed_is_no_traceback(monkeypatch):
    monkeypatch.setitem(sys.modules, "MeCab", None)
    monkeypatch.delitem(sys.modules, "sacrebleu.tokenizers.tokenizer_ja_mecab", raising=False)
    with pytest.raises(UserError, match=r"scoring\.tokenize: `ja-mecab` cannot be used here"):
        Scorer(JAPANESE, ScoreSettings(tokenize="ja-mecab"), "ja")
