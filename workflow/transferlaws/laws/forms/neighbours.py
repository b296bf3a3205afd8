"""Laws that a user compares with and that are not a plain sum of power laws: Kaplan's, the rectified law, repeated data."""

from itertools import product

import numpy as np

from transferlaws.laws.forms.form import Design, Form, Parameter
from transferlaws.laws.forms.posynomial import EXPONENT_MAXIMUM, nonnegative_least_squares
from transferlaws.statistics.arrays import Array

REPETITION_MAXIMUM = 20.0


def _safe_log(total: Array, jacobian: Array) -> tuple[Array, Array]:
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(total)
        jacobian = jacobian / total[..., None]
    jacobian[~np.isfinite(log)] = 0.0
    return log, jacobian


class Kaplan(Form):
    """`L(N, D) = ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D`.

    Internal: coefficients of the two terms of the centred equation, their exponent ratio g = alpha_N / alpha_D, and alpha_D.
    """

    name = "kaplan"
    equation = "L(N, D) = ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D"
    source = "Kaplan et al. 2020 (arXiv 2001.08361), eq. 1.5"
    columns = ("parameters_non_embedding", "finetuning_size")
    minimum_distinct = (2, 3)
    lower = np.array([0.0, 0.0, 0.0, 1e-3])
    upper = np.array([np.inf, np.inf, 20.0, EXPONENT_MAXIMUM])
    parameters = (
        Parameter("N_c", "parameters", lower=0.0),
        Parameter("D_c", "tokens", lower=0.0),
        Parameter("alpha_N", "1", lower=0.0),
        Parameter("alpha_D", "1", lower=1e-3, upper=EXPONENT_MAXIMUM),
    )

    def log_prediction(self, theta: Array, design: Design) -> tuple[Array, Array]:  # noqa: D102
        c, d, g, power = (theta[:, k, None] for k in range(4))
        n, s = design.logs[:, 0], design.logs[:, 1]
        model, data = np.exp(-g * n), np.broadcast_to(np.exp(-s), (len(theta), len(s)))
        inner = np.stack([model, data, -c * model * n, np.zeros_like(model)], axis=-1)
        log, jacobian = _safe_log(c * model + d * data, inner)
        jacobian *= power[..., None]
        jacobian[..., 3] = np.where(np.isfinite(log), log, 0.0)
        return power * log, jacobian

    def starts(self, design: Design, log_values: Array) -> Array:  # noqa: D102
        grid = np.array(list(product(np.geomspace(0.1, 10.0, 25), np.geomspace(0.02, 1.5, 25))))
        n, s = design.logs[:, 0], design.logs[:, 1]
        columns = np.stack([np.exp(-grid[:, :1] * n), np.broadcast_to(np.exp(-s), (len(grid), len(s)))], axis=-1)
        columns = columns * np.exp(-log_values / grid[:, 1:])[..., None]
        return np.hstack([nonnegative_least_squares(columns, np.ones(len(log_values))), grid])

    def natural(self, theta: Array, design: Design) -> Array:  # noqa: D102
        c, d, g, power = theta.T
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            shift = design.level / power
            model = np.exp((shift + np.log(c)) / g + design.centre[0])
            data = np.exp(shift + np.log(d) + design.centre[1])
        return np.stack([model, data, g * power, power], axis=1)


class Rectified(Form):
    """`L(D_f) = B / (D_l + D_f^beta) + E`: a power law with the data that pretraining is worth, D_l, already learned.

    Internal: E, B and D_l of the centred equation, beta.
    """

    name = "rectified"
    equation = "L(D_f) = B / (D_l + D_f^beta) + E"
    source = "Lin et al. 2024 (arXiv 2402.02314)"
    columns = ("finetuning_size",)
    minimum_distinct = (4,)
    lower = np.zeros(4)
    upper = np.array([np.inf, np.inf, 1e6, EXPONENT_MAXIMUM])
    parameters = (
        Parameter("E", "nats/token", 0, lower=0.0),
        Parameter("B", "nats/token * finetuning_unit^beta", lower=0.0),
        Parameter("D_l", "finetuning_unit^beta", lower=0.0),
        Parameter("beta", "1", lower=0.0, upper=EXPONENT_MAXIMUM),
        Parameter("loss_before_fine_tuning", "nats/token", lower=0.0, derived=True),
    )

    def log_prediction(self, theta: Array, design: Design) -> tuple[Array, Array]:  # noqa: D102
        e, b, learned, beta = (theta[:, k, None] for k in range(4))
        s = design.logs[:, 0]
        grown = np.exp(beta * s)
        share = 1 / (learned + grown)
        inner = np.stack([np.ones_like(share), share, -b * share**2, -b * share**2 * grown * s], axis=-1)
        return _safe_log(e + b * share, inner)

    def starts(self, design: Design, log_values: Array) -> Array:  # noqa: D102
        grid = np.array(list(product(np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 25)]), np.geomspace(0.05, 3.0, 30))))
        share = 1 / (grid[:, :1] + np.exp(grid[:, 1:] * design.logs[:, 0]))
        columns = np.stack([np.ones_like(share), share], axis=-1) * np.exp(-log_values)[:, None]
        return np.hstack([nonnegative_least_squares(columns, np.ones(len(log_values))), grid])

    def natural(self, theta: Array, design: Design) -> Array:  # noqa: D102
        e, b, learned, beta = theta.T
        unit, scale = np.exp(design.level), np.exp(beta * design.centre[0])
        with np.errstate(divide="ignore", invalid="ignore"):
            before = unit * (e + np.where(b > 0, b / learned, 0.0))
        return np.stack([e * unit, b * unit * scale, learned * scale, beta, before], axis=1)


class RepeatedData(Form):
    """`L(D) = E + A / D'^alpha`, `D' = U + U R* (1 - exp(-(D / U - 1) / R*))`: tokens D of which U are unique.

    The data half of the published law, for models of one size (at one size its other half is a constant and belongs to E).
    Internal: E and A of the centred equation, alpha, and 1 / R*, which is 0 where repetition costs nothing.
    """

    name = "repeated-data"
    equation = "L(D) = E + A / D'^alpha with D' = U + U * R_star * (1 - exp(-(D / U - 1) / R_star))"
    source = "Muennighoff et al. 2023 (arXiv 2305.16264), data half"
    columns = ("pretraining_tokens", "pretraining_unique_tokens")
    minimum_distinct = (4, 1)
    lower = np.zeros(4)
    upper = np.array([np.inf, np.inf, EXPONENT_MAXIMUM, REPETITION_MAXIMUM])
    parameters = (
        Parameter("E", "nats/token", 0, lower=0.0),
        Parameter("A", "nats/token * tokens^alpha", lower=0.0),
        Parameter("alpha", "1", lower=0.0, upper=EXPONENT_MAXIMUM),
        Parameter("R_star", "repetitions", lower=1 / REPETITION_MAXIMUM, upper=np.inf),
        Parameter("A_at_reference", "unit of the value", lower=0.0, derived=True),
    )

    def log_effective(self, decay: Array, design: Design) -> tuple[Array, Array]:
        """Centred ln D' and its derivative by 1/R*; decay (B, 1) -> (B, n)."""
        tokens, unique = design.x.T
        extra = np.maximum(tokens / unique - 1, 0.0)
        z = decay * extra
        small = z < 1e-4
        safe = np.where(small, 1.0, z)
        worth = np.where(small, 1 - z / 2 + z * z / 6, -np.expm1(-safe) / safe)
        slope = np.where(small, -0.5 + z / 3, (np.exp(-safe) - worth) / safe)
        growth = 1 + extra * worth
        return np.log(unique) + np.log(growth) - design.centre[0], extra * extra * slope / growth

    def log_prediction(self, theta: Array, design: Design) -> tuple[Array, Array]:  # noqa: D102
        e, a, alpha, decay = (theta[:, k, None] for k in range(4))
        log, slope = self.log_effective(decay, design)
        power = np.exp(-alpha * log)
        inner = np.stack([np.ones_like(power), power, -a * power * log, -a * power * alpha * slope], axis=-1)
        return _safe_log(e + a * power, inner)

    def starts(self, design: Design, log_values: Array) -> Array:  # noqa: D102
        grid = np.array(list(product(np.geomspace(0.02, 3.0, 30), np.concatenate([[0.0], np.geomspace(0.005, 5.0, 20)]))))
        power = np.exp(-grid[:, :1] * self.log_effective(grid[:, 1:], design)[0])
        columns = np.stack([np.ones_like(power), power], axis=-1) * np.exp(-log_values)[:, None]
        return np.hstack([nonnegative_least_squares(columns, np.ones(len(log_values))), grid])

    def natural(self, theta: Array, design: Design) -> Array:  # noqa: D102
        e, a, alpha, decay = theta.T
        unit = np.exp(design.level)
        with np.errstate(divide="ignore"):
            return np.stack([e * unit, a * unit * np.exp(alpha * design.centre[0]), alpha, 1 / decay, a * unit], axis=1)


KAPLAN, RECTIFIED, REPEATED_DATA = Kaplan(), Rectified(), RepeatedData()
