"""Mixture laws: the loss as a function of the weights h over k corpora, for a whole batch of parameter vectors at once.

Values are in units of their standard deviation; scores enter with the opposite sign, so that less is always better. Coefficients that
must be positive are held as logarithms. Every law has a Gaussian prior on these internal parameters: wide where data speak, a
shrinkage of the corpora towards their common worth where they do not, so that a study with fewer mixtures than parameters has an
answer, with an interval that says so.
"""

from abc import ABC, abstractmethod

import numpy as np

from transferlaws.mixtures.points import FLOOR, Array, Points

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
        return [*head, *(f"{what} of {part}" for part in self.references for what in self._scale_parameters()), *self.own_parameters()]

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


class Constant(Form):
    """The mixture does not matter."""

    name = "constant"
    equation = "E"
    source = "null hypothesis: every mixture is as good as equal shares"

    def own_parameters(self) -> list[str]:
        return []

    def own(self, theta: Array, points: Points, jacobian: bool) -> tuple[Array, Array | None]:
        return np.zeros((1, len(points))), np.zeros((1, 1, 0))

    def own_prior(self, above: Array) -> tuple[Array, Array]:
        return np.zeros((len(above), 0)), np.zeros((0, 0))


class Exponential(Form):
    """Shares act on the logarithm of the loss above an asymptote."""

    name = "exponential"
    equation = "E + exp(sum t_i h_i)"
    source = "Ye et al. 2024 (arXiv 2403.16952), eq. E + k exp(sum t_i h_i): with weights that sum to 1, ln k is a part of every t_i"

    def own_parameters(self) -> list[str]:
        return [f"t {i}" for i in range(self.corpora)]

    def own(self, theta: Array, points: Points, jacobian: bool) -> tuple[Array, Array | None]:
        value = np.exp((theta[:, None, :] * points.weights).sum(-1))
        return value, value[..., None] * points.weights if jacobian else None

    def own_prior(self, above: Array) -> tuple[Array, Array]:
        return np.repeat(np.log(above)[:, None], self.corpora, axis=1), shared(self.corpora)


class LogLinear(Exponential):
    """The exponential law without an asymptote."""

    name = "log-linear"
    equation = "exp(sum t_i h_i)"
    source = "the exponential law with E = 0: ln loss is linear in the weights"
    offset = False
    losses_only = True


class Power(Form):
    """Each corpus adds a power of its share; the loss falls as a power of their sum."""

    name = "power"
    equation = "E + (sum C_i (h_i + 0.001)^g)^-b"
    source = "the additive law with an exponent b of the sum (this project); b = 1 is the additive law, g = 1 effective exposure"
    exponents = ("ln g", "ln b")
    centres = (0.5, 0.7)

    def own_parameters(self) -> list[str]:
        return [*self.exponents, *(f"ln C {i}" for i in range(self.corpora))]

    def own(self, theta: Array, points: Points, jacobian: bool) -> tuple[Array, Array | None]:
        head = len(self.exponents)
        g = np.exp(theta[:, :1])
        b = np.exp(theta[:, 1:2]) if head == 2 else np.ones_like(g)
        logs = np.log(points.weights + FLOOR)
        terms = np.exp(g[:, :, None] * logs + theta[:, None, head:])
        total = terms.sum(-1)
        value = total**-b
        if not jacobian:
            return value, None
        slope = -b * value / total
        slopes = np.empty((*value.shape, theta.shape[1]))
        slopes[..., 0] = g * slope * (terms * logs).sum(-1)
        if head == 2:
            slopes[..., 1] = -b * value * np.log(total)
        np.multiply(terms, slope[..., None], out=slopes[..., head:])
        return value, slopes

    def own_prior(self, above: Array) -> tuple[Array, Array]:
        # a typical mixture of k corpora, at the centres of the exponents, lies at the mean of the values
        b = self.centres[1] if len(self.exponents) == 2 else 1.0
        level = -np.log(above) / b - np.log(self.corpora * (1 / self.corpora + FLOOR) ** self.centres[0])
        head = len(self.exponents)
        centre = np.broadcast_to(np.log(self.centres[:head]), (len(above), head))
        covariance = np.zeros((head + self.corpora,) * 2)
        covariance[:head, :head] = np.eye(head) * EXPONENT**2
        covariance[head:, head:] = shared(self.corpora)
        return np.concatenate([centre, np.repeat(level[:, None], self.corpora, axis=1)], axis=1), covariance

    def own_starts(self, mean: Array, points: Points) -> list[Array]:
        found = []
        for g in (0.3, 0.6, 1.0):
            start = mean.copy()
            start[:, 0] = np.log(g)
            found.append(start)
        return found


class Additive(Power):
    """The power law with exponent 1 of the sum."""

    name = "additive"
    equation = "E + 1 / sum C_i (h_i + 0.001)^g"
    source = "Shukor et al. 2025 (arXiv 2507.09404), additive law, with one g for all corpora and a floor under the shares"
    exponents = ("ln g",)


class Joint(Additive):
    """What tokens and size add depends on the mixture."""

    name = "joint"
    equation = "E + 1 / sum C_i (h_i + 0.001)^g + (sum B_i h_i) D^-d [+ (sum A_i h_i) N^-a]"
    source = "Shukor et al. 2025 (arXiv 2507.09404), joint law, with exponent 1 of the coefficients' sums"

    def _scale_parameters(self) -> list[str]:
        return ["ln exponent", *(f"ln coefficient {i}" for i in range(self.corpora))]

    def _scale(self, theta: Array, part: str, points: Points) -> tuple[Array, Array]:
        x = np.log(getattr(points, part)) - self.references[part]
        exponent = np.exp(theta[:, :1])
        power = np.exp(-exponent * x)
        parts = np.exp(theta[:, None, 1:]) * points.weights * power[..., None]
        value = parts.sum(-1)
        return value, np.concatenate([(-value * exponent * x)[..., None], parts], axis=-1)

    def _scale_prior(self, above: Array) -> tuple[Array, Array]:
        mean = np.full((len(above), 1 + self.corpora), np.log(0.3))
        mean[:, 1:] = np.log(above / 4)[:, None]
        covariance = np.zeros((1 + self.corpora,) * 2)
        covariance[0, 0] = EXPONENT**2
        covariance[1:, 1:] = shared(self.corpora)
        return mean, covariance


class Exposure(Form):
    """Every corpus adds its tokens, times what one of them is worth; repeated tokens count for less."""

    name = "exposure"
    equation = "E + (sum tau_i S(h_i D; U_i, l))^-b, S(d; U, l) = d up to U, then U (1 + (1 - exp(-l (d / U - 1))) / l)"
    source = "ATLAS, Longpre et al. 2025 (arXiv 2510.22037); S as in Muennighoff et al. 2023 (arXiv 2305.16264), l = 1 / R*"
    exponents = ("ln b", "ln l")
    centres = (0.7, 1 / 15.4)  # l: R* = 15.4 of Muennighoff et al.
    tiny = 1e-9

    def _adds(self, part: str, points: Points) -> bool:
        return part == "size" and points.varied(part)

    def __init__(self, points: Points):
        super().__init__(points)
        self.unit = 1.0 if points.tokens is None else float(np.exp(np.log(points.tokens).mean()))
        self.repeats = (passes := points.passes()) is not None and bool((passes > 1).any())

    def own_parameters(self) -> list[str]:
        return [*self.exponents[: self._head], *(f"ln tau {i}" for i in range(self.corpora))]

    @property
    def _head(self) -> int:
        return 2 if self.repeats else 1

    def seen(self, points: Points, rate: Array) -> tuple[Array, Array]:
        """Effective tokens of each corpus in the reference's unit, (B, n, k), and their derivative in ln rate, rate (B, 1)."""
        seen = points.weights if points.tokens is None else points.weights * (points.tokens / self.unit)[..., None]
        if points.unique is None or points.tokens is None:
            return seen, np.zeros(1)
        unique = points.unique / self.unit
        with np.errstate(invalid="ignore"):
            again = np.maximum(np.where(np.isinf(unique), 0.0, seen / unique - 1), 0.0)
        rate = rate[:, :, None]
        left = np.exp(-rate * again)
        known = np.where(np.isinf(unique), 0.0, unique)
        effective = np.minimum(seen, unique) + known * (1 - left) / rate
        return effective, known * (again * left - (1 - left) / rate)

    def own(self, theta: Array, points: Points, jacobian: bool) -> tuple[Array, Array | None]:
        head = self._head
        b = np.exp(theta[:, :1])
        rate = np.exp(theta[:, 1:2]) if head == 2 else np.full_like(b, self.centres[1])
        effective, by_rate = self.seen(points, rate)
        worth = np.exp(theta[:, None, head:])
        total = (worth * effective).sum(-1) + self.tiny
        value = total**-b
        if not jacobian:
            return value, None
        slope = -b * value / total
        parts = [(-b * value * np.log(total))[..., None]]
        if head == 2:
            parts.append((slope * (worth * by_rate).sum(-1))[..., None])
        return value, np.concatenate([*parts, slope[..., None] * (worth * effective)], axis=-1)

    def own_prior(self, above: Array) -> tuple[Array, Array]:
        head = self._head
        mean = np.empty((len(above), head + self.corpora))
        mean[:, :head] = np.log(self.centres[:head])
        mean[:, head:] = (-np.log(above) / self.centres[0])[:, None]
        covariance = np.zeros((mean.shape[1],) * 2)
        covariance[:head, :head] = np.diag([EXPONENT**2, 1.0][:head])
        covariance[head:, head:] = shared(self.corpora)
        return mean, covariance

    def own_starts(self, mean: Array, points: Points) -> list[Array]:
        found = []
        for b in (0.3, 0.7, 1.5):
            start = mean.copy()
            start[:, self._head :] *= self.centres[0] / b
            start[:, 0] = np.log(b)
            found.append(start)
        return found


FORMS: dict[str, type[Form]] = {form.name: form for form in (Constant, LogLinear, Exponential, Additive, Power, Exposure, Joint)}
