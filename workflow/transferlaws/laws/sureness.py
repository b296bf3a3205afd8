"""How sure it is that one of two is better: the one rule behind these words, wherever a reader meets them."""

import math
from enum import StrEnum

from transferlaws.laws.measured import Quantity


class Sureness(StrEnum):
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
        if self is Sureness.UNKNOWN:
            return f"{'ahead' if better else 'behind'} (noise unknown) of"
        return "not to be told apart from" if self is Sureness.NOT_TOLD_APART else f"{self} {'better' if better else 'worse'} than"


def surely_from(level: float) -> float:
    """The probability that a difference has from when its interval of `level` leaves out 0."""
    return (1 + level) / 2


def sureness(difference: Quantity, level: float) -> Sureness:
    """The word for a difference that is shown with its interval of `level`."""
    ahead = difference if difference.estimate >= 0 else difference.times(-1)
    low, probability = ahead.json(level)["low"], ahead.probability_above(0.0)
    if probability is None:
        return Sureness.UNKNOWN
    if low > 0:
        return Sureness.SURELY
    return Sureness.PROBABLY if probability >= level else Sureness.NOT_TOLD_APART


def lead_probability(difference: Quantity, level: float) -> float | None:
    """Probability that the one in front, by the estimate, is better; on the side of `surely_from` that the word says.

    Draws are finite: the end of the interval and the share of draws above 0 may disagree by one draw in thousands.
    """
    ahead = difference if difference.estimate >= 0 else difference.times(-1)
    probability, bound = ahead.probability_above(0.0), surely_from(level)
    if probability is None:
        return None
    return max(probability, bound) if sureness(difference, level) is Sureness.SURELY else min(probability, math.nextafter(bound, 0))


def definitions(level: float) -> str:
    """What the words mean, for the reader of a text that uses them and states the level."""
    return (
        f"Surely better: the interval of the difference leaves out 0 (a probability of at least {surely_from(level):g}). Probably "
        f"better: it holds 0, but the probability is at least {level:g}. Else the two cannot be told apart. Each comparison stands "
        "alone: among many, some err."
    )
