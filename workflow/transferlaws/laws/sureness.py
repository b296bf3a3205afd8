"""How sure it is that one of two is better: the one rule behind these words, wherever a reader meets them."""

from enum import StrEnum

from transferlaws.laws.measured import Quantity


class Sureness(StrEnum):
    """That a difference has the sign of its estimate, by its interval of level L."""

    SURELY = "surely"
    """The interval leaves out 0: a probability of at least (1 + L) / 2."""
    PROBABLY = "probably"
    """The interval holds 0, and the probability is at least L."""
    NOT_TOLD_APART = "not told apart"
    """The probability is less than L."""
    UNKNOWN = "unknown"
    """Seeds are too few to know the noise."""

    @property
    def than(self) -> str:
        """What one is of the other that it is measured to be better than, as in 'A is ... B'."""
        return {
            Sureness.SURELY: "surely better than",
            Sureness.PROBABLY: "probably better than",
            Sureness.NOT_TOLD_APART: "not to be told apart from",
            Sureness.UNKNOWN: "ahead (noise unknown) of",
        }[self]


def sureness(difference: Quantity, level: float) -> Sureness:
    """The word for a difference that is shown with its interval of `level`."""
    ahead = difference if difference.estimate >= 0 else difference.times(-1)
    low, probability = ahead.json(level)["low"], ahead.probability_above(0.0)
    if probability is None:
        return Sureness.UNKNOWN
    if low > 0:
        return Sureness.SURELY
    return Sureness.PROBABLY if probability >= level else Sureness.NOT_TOLD_APART


def definitions(level: float) -> str:
    """What the words mean, for the reader of a text that uses them and states the level."""
    return (
        f"Surely better: the interval of the difference leaves out 0 (a probability of at least {(1 + level) / 2:g}). Probably "
        f"better: it holds 0, but the probability is at least {level:g}. Else the two cannot be told apart. Each comparison stands "
        "alone: among many, some err."
    )
