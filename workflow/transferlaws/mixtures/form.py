"""Mixture laws: the loss as a function of the weights h over k corpora, for a whole batch of parameter vectors at once.

Values are in units of their standard deviation; scores enter with the opposite sign, so that less is always better. Coefficients
that must be positive are held as logarithms. Every law has a Gaussian prior on these internal parameters: wide where data speak, a
shrinkage of the corpora towards their common worth where they do not, so that a study with fewer mixtures than parameters has an
answer, with an interval that says so.
"""

from abc import ABC, abstractmethod

import numpy as np

from transferlaws.mixtures.points import Array, Points

OFFSET = 3.0
"""Prior standard deviation of the asymptote, in standard deviations of the values."""
LEVEL = 3.0
"""Of the logarithm that all corpora share."""
CORPUS = 1.5
"""Of each corpus around it."""
EXPONENT = 0.7
"""Of the logarithm of an exponent."""


class Form(ABC):
    """A law for the points that it is fitted to: E + what the mixture adds + what tokens and size add, if they vary.

    Parameters are E (unless the law has none), two for each of tokens and size that varies (ln coefficient at the geometric mean,
    ln exponent), then the law's own.
    """

    name: str
    equation: str
    source: str
    offset = True
    losses_only = False

    def __init__(self, points: Points):
        self.corpora = points.corpora
        self.references = {
            part: float(np.log(getattr(points, part)).mean()) for part in ("tokens", "size") if self._adds(part, points)
        }

    def _adds(self, part: str, points: Points) -> bool:
        return points.varied(part)

    @abstractmethod
    def own_parameters(self) -> list[str]:
        """Names of the law's own parameters."""

    @abstractmethod
    def own(self, theta: Array, points: Points, jacobian: bool) -> tuple[Array, Array | None]:
        """What the mixture adds, (B, n), and its derivatives (B, n, p) at theta (B, p) of the law's own parameters."""

    @abstractmethod
    def own_prior(self, above: Array) -> tuple[Array, Array]:
        """Mean (T, p) and covariance (p, p) of the law's own parameters, where values lie `above` (T,) the asymptote."""

    def own_starts(self, mean: Array, points: Points) -> list[Array]:
        """Values of the law's own parameters, each (T, p), where fits start from."""
        return [mean]

    @property
    def parameters(self) -> list[str]:
        """Names of all internal parameters, in their order."""
        head = ["E"] if self.offset else []
        return [
            *head,
            *(f"{what} of {part}" for part in self.references for what in self._scale_parameters()),
            *self.own_parameters(),
        ]

    def _scale_parameters(self) -> list[str]:
        return ["ln coefficient", "ln exponent"]

    def evaluate(self, theta: Array, points: Points, *, jacobian: bool = True) -> tuple[Array, Array | None]:
        """Values (B, n) and their derivatives (B, n, P) at theta (B, P); weights may have a leading axis of B."""
        parts, start = [], 0
        if self.offset:
            parts.append((theta[:, :1], np.ones((1, 1, 1))))
            start = 1
        for part in self.references:
            width = len(self._scale_parameters())
            parts.append(self._scale(theta[:, start : start + width], part, points))
            start += width
        parts.append(self.own(theta[:, start:], points, jacobian))
        values = sum(value for value, _ in parts)
        if not jacobian:
            return values, None
        slopes = np.empty((*values.shape, theta.shape[1]))
        at = 0
        for _, slope in parts:
            slopes[..., at : at + slope.shape[-1]] = slope
            at += slope.shape[-1]
        return values, slopes

    def predict(self, theta: Array, points: Points) -> Array:
        """Values (B, n)."""
        return self.evaluate(theta, points, jacobian=False)[0]

    def _scale(self, theta: Array, part: str, points: Points) -> tuple[Array, Array]:
        x = np.log(getattr(points, part)) - self.references[part]
        exponent = np.exp(theta[:, 1:])
        term = np.exp(theta[:, :1] - exponent * x)
        return term, np.stack([term, -term * exponent * x], axis=-1)

    def _scale_prior(self, above: Array) -> tuple[Array, Array]:
        mean = np.stack([np.log(above / 4), np.full_like(above, np.log(0.3))], axis=1)
        return mean, np.diag([LEVEL, EXPONENT]) ** 2

    def prior(self, low: Array, level: Array) -> tuple[Array, Array]:
        """Mean (T, P) and covariance (P, P) for values whose smallest is `low` and whose mean is `level`, each (T,)."""
        asymptote = low - 1 if self.offset else np.zeros_like(low)
        blocks = [(asymptote[:, None], np.full((1, 1), OFFSET**2))] if self.offset else []
        blocks += [self._scale_prior(level - asymptote) for _ in self.references]
        blocks.append(self.own_prior(level - asymptote))
        covariance = np.zeros((sum(c.shape[0] for _, c in blocks),) * 2)
        at = 0
        for _, block in blocks:
            covariance[at : at + len(block), at : at + len(block)] = block
            at += len(block)
        return np.concatenate([mean for mean, _ in blocks], axis=1), covariance

    def starts(self, mean: Array, points: Points) -> list[Array]:
        """Where fits start from, each (T, P), for the prior mean (T, P)."""
        own = len(self.own_parameters())
        head = mean.shape[1] - own
        return [np.concatenate([mean[:, :head], start], axis=1) for start in self.own_starts(mean[:, head:], points)]


def shared(count: int) -> Array:
    """Covariance of one parameter a corpus: a common part, and a smaller one of each."""
    return CORPUS**2 * np.eye(count) + LEVEL**2
