"""Laws in powers of shares or of tokens: additive, power, joint and effective exposure."""

import numpy as np

from transferlaws.mixtures.form import EXPONENT, Form, shared
from transferlaws.mixtures.points import FLOOR, Array, Points


class Power(Form):
    """Each corpus adds a power of its share; the loss falls as a power of their sum."""

    name = "power"
    equation = "E + (sum C_i (h_i + 0.001)^g)^-b"
    source = "the additive law with an exponent b of the sum (this project); b = 1 is the additive law, g = 1 effective exposure"
    exponents = ("ln g", "ln b")
    centres = (0.5, 0.7)

    def own_parameters(self) -> list[str]:
        """Names, in their order."""
        return [*self.exponents, *(f"ln C {i}" for i in range(self.corpora))]

    def own(self, theta: Array, points: Points, jacobian: bool) -> tuple[Array, Array | None]:
        """What the mixture adds, (B, n), and its derivatives (B, n, p)."""
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
        """Mean (T, p) and covariance (p, p)."""
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
        """Three exponents, at the level of the prior."""
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
        """Names, in their order."""
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
        """What the mixture adds, (B, n), and its derivatives (B, n, p)."""
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
        """Mean (T, p) and covariance (p, p)."""
        head = self._head
        mean = np.empty((len(above), head + self.corpora))
        mean[:, :head] = np.log(self.centres[:head])
        mean[:, head:] = (-np.log(above) / self.centres[0])[:, None]
        covariance = np.zeros((mean.shape[1],) * 2)
        covariance[:head, :head] = np.diag([EXPONENT**2, 1.0][:head])
        covariance[head:, head:] = shared(self.corpora)
        return mean, covariance

    def own_starts(self, mean: Array, points: Points) -> list[Array]:
        """Three exponents, at the level of the prior."""
        found = []
        for b in (0.3, 0.7, 1.5):
            start = mean.copy()
            start[:, self._head :] *= self.centres[0] / b
            start[:, 0] = np.log(b)
            found.append(start)
        return found
