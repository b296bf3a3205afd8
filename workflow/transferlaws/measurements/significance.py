"""How sure it is that one of two is better: the one rule behind these words, wherever a reader meets them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from transferlaws.measurements.means import Quantity

MANY = 100  # seeds beyond which their number is not worth saying


class Significance(StrEnum):
    """That a difference has the sign of its estimate, by its interval of level L."""

    SURELY = "surely"
    """The interval leaves out 0: a probability of at least `surely_from(L)`."""
    PROBABLY = "probably"
    """The interval holds 0, and the probability is at least L."""
    NOT_TOLD_APART = "not told apart"
    """The probability is less than L."""
    UNKNOWN = "unknown"
    """Seeds are too few to know the noise."""

    def than(self, *, better: bool = True) -> str:
        """What one is of the other that it is measured to be better or worse than, as in 'A is ... B'."""
        if self is Significance.UNKNOWN:
            return f"{'ahead' if better else 'behind'} (noise unknown) of"
        if self is Significance.NOT_TOLD_APART:
            return "not to be told apart from"
        return f"{self} {'better' if better else 'worse'} than"


def surely_from(level: float) -> float:
    """The probability that a difference has from when its interval of `level` leaves out 0."""
    return (1 + level) / 2


def significance(difference: Quantity, level: float) -> Significance:
    """The word for a difference that is shown with its interval of `level`."""
    ahead = difference if difference.estimate >= 0 else difference.times(-1)
    low, probability = ahead.json(level)["low"], ahead.probability_above(0.0)
    if probability is None:
        return Significance.UNKNOWN
    if low > 0:
        return Significance.SURELY
    return Significance.PROBABLY if probability >= level else Significance.NOT_TOLD_APART


def lead_probability(difference: Quantity, level: float) -> float | None:
    """Probability that the one in front, by the estimate, is better; on the side of `surely_from` that the word says.

    Draws are finite: the end of the interval and the share of draws above 0 may disagree by one draw in thousands.
    """
    ahead = difference if difference.estimate >= 0 else difference.times(-1)
    probability, bound = ahead.probability_above(0.0), surely_from(level)
    if probability is None:
        return None
    if significance(difference, level) is Significance.SURELY:
        return max(probability, bound)
    return min(probability, math.nextafter(bound, 0))


def simultaneous(differences: Sequence[Quantity], level: float) -> list[Quantity]:
    """The differences with draws so much wider that all their intervals of `level` together hold at that level.

    The largest deviation of a draw, each in units of its own `level` quantile, is drawn with all of them at once; its `level`
    quantile is the factor (single-step max-t; Tukey's intervals where variances are equal). One difference stays as it is.
    """
    if len(differences) < 2 or not all(len(d.draws) for d in differences):
        return list(differences)
    away = np.abs(np.stack([d.draws - d.estimate for d in differences]))
    reach = np.quantile(away, level, axis=1, keepdims=True)
    factor = float(np.quantile((away / np.maximum(reach, 1e-300)).max(axis=0), level))
    return [d.stretched(max(factor, 1.0)) for d in differences]


def seeds_to_decide(difference: Quantity, level: float, seeds: int) -> int | None:
    """How many seeds a cell would make the difference sure, if it stays what it is; None where no number would.

    Noise between seeds falls with their number, that of the test set does not.
    """
    if not len(difference.draws) or difference.fixed is None:
        return None
    reach = np.quantile(np.abs(difference.draws - difference.estimate), level)
    fixed = np.quantile(np.abs(difference.fixed - difference.estimate), level)
    left = difference.estimate**2 - fixed**2
    needed = seeds * max(reach**2 - fixed**2, 0.0) / left if left > 0 else math.inf
    return max(seeds + 1, math.ceil(needed)) if needed <= MANY else None


@dataclass(frozen=True)
class Gain:
    """An improvement in the metric's unit, with its interval; no ends and no probability where seeds are too few."""

    estimate: float
    low: float | None
    high: float | None
    probability: float | None
    """That it is an improvement at all."""
    significance: Significance
    """That it has the sign of its estimate."""


def gain_of(difference: Quantity | None, level: float) -> Gain | None:
    """An improvement as it is shown with its interval of `level`; None where there is none to show."""
    if difference is None:
        return None
    ends = difference.json(level)
    return Gain(**ends, probability=difference.probability_above(0.0), significance=significance(difference, level))


def definitions(level: float) -> str:
    """What the words mean, for the reader of a text that uses them and states the level."""
    return (
        f"Surely better: the interval of the difference leaves out 0 (a probability of at least {surely_from(level):g}). Probably "
        f"better: it holds 0, but the probability is at least {level:g}. Else the two cannot be told apart. Mixtures "
        "compared with one another are judged together: their intervals are simultaneous. Any other comparison stands alone: among "
        "many, some err."
    )
