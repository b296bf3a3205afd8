"""The mixture laws by name, and the simple ones: no effect, log-linear, exponential."""

import numpy as np

from transferlaws.mixtures.form import Form, shared
from transferlaws.mixtures.forms_power import Additive, Exposure, Joint, Power
from transferlaws.mixtures.points import Array, Points


class Constant(Form):
    """The mixture does not matter."""

    name = "constant"
    equation = "E"
    source = "null hypothesis: every mixture is as good as equal shares"

    def own_parameters(self) -> list[str]:
        """Names, in their order."""
        return []

    def own(self, theta: Array, points: Points, jacobian: bool) -> tuple[Array, Array | None]:
        """What the mixture adds, (B, n), and its derivatives (B, n, p)."""
        return np.zeros((1, len(points))), np.zeros((1, 1, 0))

    def own_prior(self, above: Array) -> tuple[Array, Array]:
        """Mean (T, p) and covariance (p, p)."""
        return np.zeros((len(above), 0)), np.zeros((0, 0))


class Exponential(Form):
    """Shares act on the logarithm of the loss above an asymptote."""

    name = "exponential"
    equation = "E + exp(sum t_i h_i)"
    source = (
        "Ye et al. 2024 (arXiv 2403.16952), eq. E + k exp(sum t_i h_i): with weights that sum to 1, ln k is a part of every t_i"
    )

    def own_parameters(self) -> list[str]:
        """Names, in their order."""
        return [f"t {i}" for i in range(self.corpora)]

    def own(self, theta: Array, points: Points, jacobian: bool) -> tuple[Array, Array | None]:
        """What the mixture adds, (B, n), and its derivatives (B, n, p)."""
        value = np.exp((theta[:, None, :] * points.weights).sum(-1))
        return value, value[..., None] * points.weights if jacobian else None

    def own_prior(self, above: Array) -> tuple[Array, Array]:
        """Mean (T, p) and covariance (p, p)."""
        return np.repeat(np.log(above)[:, None], self.corpora, axis=1), shared(self.corpora)


class LogLinear(Exponential):
    """The exponential law without an asymptote."""

    name = "log-linear"
    equation = "exp(sum t_i h_i)"
    source = "the exponential law with E = 0: ln loss is linear in the weights"
    offset = False
    losses_only = True


FORMS: dict[str, type[Form]] = {form.name: form for form in (Constant, LogLinear, Exponential, Additive, Power, Exposure, Joint)}
