"""The shared part of the test-set noise against resampling of sacrebleu's own scores."""

import numpy as np
import pandas as pd
import pytest
from sacrebleu.metrics import BLEU, CHRF

from transferlaws.errors import UserError
from transferlaws.measurements.test_noise import bleu_influence, chrf_influence, cross_entropy_influence, with_sentences

RANDOM = np.random.default_rng(0)
WORDS = np.array([f"{a}{b}" for a in ("ka", "lo", "mi", "ne", "pu") for b in ("ra", "so", "ti", "vu")])


def translations(count, quality, dropped=0.05):
    references = [" ".join(RANDOM.choice(WORDS, RANDOM.integers(8, 20))) for _ in range(count)]
    hypotheses = []
    for reference in references:
        words = [w if RANDOM.random() < quality else str(RANDOM.choice(WORDS)) for w in reference.split()]
        hypotheses.append(" ".join(w for w in words if RANDOM.random() > dropped))
    return references, hypotheses


def resampled_deviation(metric, statistics, samples=300):
    count = len(statistics)
    scores = [
        np.log(metric._compute_score_from_stats(statistics[RANDOM.integers(0, count, count)].sum(axis=0).tolist()).score)
        for _ in range(samples)
    ]
    return np.std(scores, ddof=1)


@pytest.mark.parametrize("dropped", [0.0, 0.1])  # with and without a brevity penalty
def test_the_influence_on_bleu_gives_the_deviation_of_resampled_bleu(dropped):
    references, hypotheses = translations(400, 0.7, dropped)
    metric = BLEU(references=[references])
    statistics = np.array(metric._extract_corpus_statistics(hypotheses, None))
    influence = bleu_influence(statistics)
    assert influence.sum() == pytest.approx(0.0, abs=1e-9)
    assert np.linalg.norm(influence) == pytest.approx(resampled_deviation(metric, statistics), rel=0.15)


def test_the_influence_on_chrf_gives_the_deviation_of_resampled_chrf():
    references, hypotheses = translations(400, 0.7)
    metric = CHRF(references=[references])
    statistics = np.array(metric._extract_corpus_statistics(hypotheses, None))
    influence = chrf_influence(statistics)
    assert influence.sum() == pytest.approx(0.0, abs=1e-9)
    assert np.linalg.norm(influence) == pytest.approx(resampled_deviation(metric, statistics), rel=0.15)


def test_the_influence_on_cross_entropy_is_that_of_a_ratio():
    tokens = RANDOM.integers(5, 30, 500).astype(float)
    nll = tokens * RANDOM.gamma(4, 0.6, 500)
    samples = RANDOM.integers(0, 500, (2000, 500))
    resampled = np.log(nll[samples].sum(axis=1) / tokens[samples].sum(axis=1))
    assert np.linalg.norm(cross_entropy_influence(nll, tokens)) == pytest.approx(resampled.std(), rel=0.08)


def measured(correlation, folder, count=800):
    """Six models whose per-sentence losses correlate as given."""
    rows, sentences = [], []
    shared, tokens = RANDOM.normal(size=count), np.full(count, 10.0)
    for seed in range(1, 7):
        own = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * RANDOM.normal(size=count)
        key = {"task": "t", "model": "m", "mixture": "x", "finetuning_size": 10, "seed": seed, "pretraining_tokens": 1000}
        nll = 30 + 5 * own
        rows.append({"row": seed + 1, **key, "finetuning_unit": "pairs", "cross_entropy": nll.sum() / tokens.sum()})
        sentences.append(pd.DataFrame({**key, "index": range(count), "nll": nll, "tokens": tokens, "characters": 40}))
    pd.concat(sentences).to_parquet(folder / "sentences.parquet")
    return pd.DataFrame(rows)


@pytest.mark.parametrize("correlation", [0.2, 0.7, 1.0])
def test_only_the_shared_part_of_the_noise_is_kept(tmp_path, correlation):
    table = with_sentences(measured(correlation, tmp_path), tmp_path / "sentences.parquet")
    whole = 5 / 30 / np.sqrt(800)
    assert (table.cross_entropy_noise / table.cross_entropy).mean() == pytest.approx(np.sqrt(correlation) * whole, rel=0.12)


def test_a_table_of_other_columns_is_refused(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "s.parquet")
    with pytest.raises(UserError, match="missing column task"):
        with_sentences(measured(0.5, tmp_path), tmp_path / "s.parquet")
