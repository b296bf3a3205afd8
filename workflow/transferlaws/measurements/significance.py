"""How sure it is that one of two is better: the one rule behind these words, wherever a reader meets them."""

import math
from dataclasses import dataclass
from enum import StrEnum

from transferlaws.measurements.means import Quantity


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
        f"better: it holds 0, but the probability is at least {level:g}. Else the two cannot be told apart. Each comparison stands "
        "alone: among many, some err."
    )
