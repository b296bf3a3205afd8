"""Where a mixture law is fitted or predicted: weights over corpora, and what else was varied."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FLOOR = 1e-3
"""Added to a share before a power of it is taken, so that a corpus without a share keeps a finite slope."""


@dataclass(frozen=True)
class Points:
    """Points of a study, n of them over k corpora; a leading axis of draws may stand before both."""

    weights: Array
    """(n, k), rows that sum to 1."""
    tokens: Array | None = None
    """(n,) pretraining tokens seen, all corpora together."""
    unique: Array | None = None
    """(n, k) distinct tokens of each corpus; infinite where text never repeats."""
    size: Array | None = None
    """(n,) model parameters."""

    @property
    def corpora(self) -> int:
        """Number of corpora, k."""
        return self.weights.shape[-1]

    def __len__(self) -> int:
        return self.weights.shape[-2]

    def rows(self, chosen: Array) -> "Points":
        """The points `chosen`, an index or a mask of shape (n,)."""
        return Points(*(None if part is None else part[chosen] for part in (self.weights, self.tokens, self.unique, self.size)))

    def at(self, weights: Array) -> "Points":
        """Other mixtures, (..., m, k), at the largest tokens and size of these points and with the unique tokens known there."""
        last = 0 if self.tokens is None else int(np.argmax(self.tokens))
        return Points(
            np.asarray(weights, dtype=float),
            tokens=None if self.tokens is None else self.tokens.max(keepdims=True),
            unique=None if self.unique is None else self.unique[last : last + 1],
            size=None if self.size is None else self.size.max(keepdims=True),
        )

    def varied(self, part: str) -> bool:
        """Whether tokens or size take more than one value."""
        values = getattr(self, part)
        return values is not None and bool(np.ptp(values) > 0)

    def passes(self) -> Array | None:
        """(n, k) times that each corpus is read; None where tokens or unique tokens are unknown."""
        if self.tokens is None or self.unique is None:
            return None
        return self.weights * self.tokens[..., None] / self.unique
