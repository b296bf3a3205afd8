"""Corpus scores from per-sentence statistics: sacrebleu counts, numpy sums, so that thousands of resamples cost nothing."""

from typing import NamedTuple

import numpy as np
from sacrebleu.metrics import BLEU, CHRF

from transferlaws.errors import UserError
from transferlaws.evaluation.settings import ScoreSettings
from transferlaws.evaluation.tokenizers import problems, tokenizer_for
from transferlaws.seeding import generator


class Score(NamedTuple):
    """A corpus score, 0-100, with what it takes to repeat it."""

    value: float
    noise: float  # standard deviation over resamples of the test set
    signature: str
    statistics: np.ndarray  # (sentences, counts) of int64, as sacrebleu lists them


class Scorer:
    """Scores systems against one list of references in a language; tokenises the references once."""

    def __init__(self, references: list[str], settings: ScoreSettings, language: str | None = None) -> None:
        tokenize = tokenizer_for(settings, language)
        try:
            self.bleu = BLEU(references=[references], tokenize=tokenize)
        except (ImportError, RuntimeError, OSError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"scoring.tokenize: `{tokenize}` cannot be used here ({reason:.200}). {' '.join(problems(settings, {'': 'en'}))}"
            ) from None
        self.chrf = CHRF(references=[references], word_order=settings.chrf_word_order)
        count = len(references)
        random = generator(settings.seed, "bootstrap", count)
        # how often each sentence is in each resample: (resamples, sentences), float because the product with the counts is BLAS
        self.resamples = random.multinomial(count, np.full(count, 1 / count), size=settings.bootstrap).astype(np.float64)

    def score(self, hypotheses: list[str]) -> tuple[Score, Score]:
        """BLEU and chrF of one system."""
        scores = []
        for metric, formula in ((self.bleu, bleu_from_counts), (self.chrf, self._chrf)):
            # the statistics are what sacrebleu's own corpus_score sums; a test holds the formulas below to corpus_score
            statistics = np.array(metric._extract_corpus_statistics(hypotheses, None), dtype=np.int64)
            resampled = formula(self.resamples @ statistics)
            value = float(formula(statistics.sum(0, keepdims=True))[0])
            scores.append(Score(value, float(resampled.std(ddof=1)), str(metric.get_signature()), statistics))
        return scores[0], scores[1]

    def _chrf(self, counts: np.ndarray) -> np.ndarray:
        return chrf_from_counts(counts, self.chrf.beta)


def bleu_from_counts(counts: np.ndarray) -> np.ndarray:
    """BLEU with exponential smoothing of rows [hypothesis length, reference length, 4 × matches, 4 × n-grams]: (n, 10) -> (n,)."""
    length, reference = counts[:, 0], counts[:, 1]
    matches, totals = counts[:, 2:6], counts[:, 6:10]
    zero = (matches == 0) & (totals > 0)
    # the k-th order without a match counts as 1 / 2^k matches
    smoothed = np.where(zero, 0.5 ** np.cumsum(zero, axis=1), matches)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.log(smoothed / totals)
        penalty = np.where(length < reference, np.exp(1 - reference / length), 1.0)
    usable = (totals > 0).all(1) & (matches > 0).any(1)
    result = np.zeros(len(counts))
    result[usable] = 100 * penalty[usable] * np.exp(precision[usable].mean(1))
    return result


def chrf_from_counts(counts: np.ndarray, beta: int = 2) -> np.ndarray:
    """ChrF of rows of [hypothesis, reference, matching n-grams] an order: (n, 3 × orders) -> (n,)."""
    hypothesis, reference, match = (counts[:, part::3].astype(np.float64) for part in range(3))
    counted = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(counted.sum(1), 1)
    precision = np.where(counted, match / np.maximum(hypothesis, 1), 0).sum(1) / orders
    recall = np.where(counted, match / np.maximum(reference, 1), 0).sum(1) / orders
    denominator = beta**2 * precision + recall
    return 100 * np.where(denominator > 0, (1 + beta**2) * precision * recall / np.where(denominator > 0, denominator, 1), 0.0)
