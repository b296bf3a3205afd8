"""Laws of task scores: the log law of paper A and the exponential of a score in the cross-entropy."""

import numpy as np

from transferlaws.laws.forms.form import Design, Form, Parameter
from transferlaws.statistics.arrays import Array

CURVATURE_MAXIMUM = 20.0


def _log1p_ratio(z: Array) -> tuple[Array, Array]:
    """ln(1 + z) / z and its derivative, smooth through z = 0; NaN for z <= -1."""
    small = np.abs(z) < 1e-4
    safe = np.where(small, 1.0, z)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(small, 1 - z / 2 + z * z / 3, np.log1p(safe) / safe)
        slope = np.where(small, -0.5 + 2 * z / 3 - 0.75 * z * z, (1 / (1 + safe) - ratio) / safe)
    return ratio, slope


class ScoreLog(Form):
    """`f(D_p) = (ln(A * D_p^alpha))^beta`, real where A * D_p^alpha > 1.

    Internal parameters (s, c, q): with u = ln(D_p / reference) the law is ln f = s + ln(1 + q c u) / q, where s is the log score
    at the reference, c its elasticity there and q = 1/beta its curvature. q = 0 is a power law and beta infinite; the usual
    parameters lie on a long ridge, these do not. The law is closed under a change of the score's scale (0-1, 0-100): only A and
    alpha change.
    """

    name = "score-log"
    equation = "f(D_p) = (ln(A * D_p^alpha))^beta"
    source = "Isik et al. 2024 (arXiv 2402.04177), eq. 1, natural logarithm"
    columns = ("pretraining_tokens",)
    minimum_distinct = (3,)
    lower = np.array([-np.inf, -20.0, 0.0])
    upper = np.array([np.inf, 20.0, CURVATURE_MAXIMUM])
    parameters = (
        # f^(1 / beta) = ln_A + alpha ln D_p: both are in units of score^(1 / beta)
        Parameter("ln_A", "1", scale_free=False),
        Parameter("alpha", "1", scale_free=False),
        Parameter("beta", "1", lower=1 / CURVATURE_MAXIMUM, upper=np.inf),
        Parameter("score_at_reference", "unit of the score", lower=0.0, derived=True),
        Parameter("elasticity_at_reference", "1", lower=-20.0, upper=20.0, derived=True),
    )

    def log_prediction(self, theta: Array, design: Design) -> tuple[Array, Array]:  # noqa: D102
        s, c, q = theta[:, 0, None], theta[:, 1, None], theta[:, 2, None]
        u = design.logs[:, 0]
        z = q * c * u
        inside = z > -1
        ratio, slope = _log1p_ratio(np.where(inside, z, 0.0))
        # a falling score reaches 0 where A * D_p^alpha is 1, and stays there
        log = np.where(inside, s + c * u * ratio, -np.inf)
        jacobian = np.empty((*log.shape, 3))
        jacobian[..., 0] = 1.0
        jacobian[..., 1] = u * ratio + c * u * slope * q * u
        jacobian[..., 2] = (c * u) ** 2 * slope
        jacobian[~np.isfinite(log)] = 0.0
        return log, jacobian

    def starts(self, design: Design, log_values: Array) -> Array:  # noqa: D102
        # f^q is linear in u: one regression a curvature (a Box-Cox transformation of the score)
        u = design.logs[:, 0]
        found = []
        for q in np.concatenate([[0.0], np.geomspace(0.02, 10.0, 40)]):
            value = log_values if q == 0 else np.expm1(q * log_values) / q  # near ln f where q is small
            slope, level = np.polyfit(u, value, 1)
            at_zero = 1 + q * level  # f^q at the reference
            if at_zero <= 0:
                continue
            s = level if q == 0 else np.log(at_zero) / q
            found.append([s, slope / at_zero, q])
        return np.clip(np.array(found), self.lower, self.upper)

    def natural(self, theta: Array, design: Design) -> Array:  # noqa: D102
        s, c, q = theta.T
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            score = np.exp(s + design.level)
            height = np.exp(q * (s + design.level))  # ln(A * reference^alpha)
            alpha = q * c * height
            return np.stack([height - alpha * design.centre[0], alpha, 1 / q, score, c], axis=1)


class LogLinear(Form):
    """`ln value = intercept + sum_j slope_j * g_j(x_j)` with g_j either ln x_j or x_j itself: plain linear regression."""

    def __init__(
        self,
        *,
        name: str,
        equation: str,
        source: str,
        columns: tuple[str, ...],
        logarithmic: bool,
        signs: tuple[float, ...],
        parameters: tuple[Parameter, ...],
        minimum_distinct: tuple[int, ...],
    ) -> None:
        self.name, self.equation, self.source, self.columns, self.parameters = name, equation, source, columns, parameters
        self.logarithmic, self.signs, self.minimum_distinct = logarithmic, np.array(signs), minimum_distinct
        self.lower = np.full(1 + len(columns), -np.inf)
        self.upper = np.full(1 + len(columns), np.inf)

    def _terms(self, design: Design) -> Array:
        return (design.logs if self.logarithmic else design.x - design.reference) * self.signs

    def log_prediction(self, theta: Array, design: Design) -> tuple[Array, Array]:  # noqa: D102
        columns = np.hstack([np.ones((len(design.x), 1)), self._terms(design)])
        return theta @ columns.T, np.broadcast_to(columns, (len(theta), *columns.shape)).copy()

    def starts(self, design: Design, log_values: Array) -> Array:  # noqa: D102
        columns = np.hstack([np.ones((len(design.x), 1)), self._terms(design)])
        return np.linalg.lstsq(columns, log_values, rcond=None)[0][None]

    def natural(self, theta: Array, design: Design) -> Array:  # noqa: D102
        origin = design.centre if self.logarithmic else design.reference
        with np.errstate(over="ignore"):
            coefficient = np.exp(theta[:, 0] + design.level - (theta[:, 1:] * self.signs) @ origin)
        return np.column_stack([coefficient, theta[:, 1:]])


SCORE_LOG = ScoreLog()
SCORE_FROM_LOSS = LogLinear(
    name="score-from-loss",
    equation="score = C * exp(-k * L)",
    source="Gordon et al. 2021 (exponential relation of BLEU and cross-entropy), named in Isik et al. 2024, section 1",
    columns=("cross_entropy",),
    logarithmic=False,
    signs=(-1.0,),
    parameters=(Parameter("C", "unit of the score", lower=0.0), Parameter("k", "token/nat")),
    minimum_distinct=(3,),
)


class EffectiveData(LogLinear):
    """`D_T = k * D_F^alpha * N^beta`, with what ten times the data is worth in model size."""

    def __init__(self) -> None:
        super().__init__(
            name="effective-data",
            equation="D_T = k * D_F^alpha * N^beta",
            source="Hernandez et al. 2021 (arXiv 2102.01293), eq. 1.1",
            columns=("finetuning_size", "parameters_non_embedding"),
            logarithmic=True,
            signs=(1.0, 1.0),
            parameters=(
                Parameter("k", "finetuning_unit^(1 - alpha) / parameters^beta", lower=0.0),
                Parameter("alpha", "1"),
                Parameter("beta", "1"),
                Parameter("model_size_for_10x_data", "times N", lower=0.0, derived=True),
            ),
            minimum_distinct=(2, 2),
        )

    def natural(self, theta: Array, design: Design) -> Array:  # noqa: D102
        # 10 times D_F and 10^(alpha / beta) times N transfer the same data (section 6.3)
        with np.errstate(divide="ignore", over="ignore"):
            return np.column_stack([super().natural(theta, design), 10 ** (theta[:, 1] / theta[:, 2])])


EFFECTIVE_DATA = EffectiveData()
