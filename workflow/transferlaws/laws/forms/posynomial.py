"""Laws that are a sum of power-law terms with coefficients of one sign: they are linear in the coefficients (variable projection).

With the exponents given, the best coefficients solve a non-negative least-squares problem in two or three unknowns, so a dense
grid over the exponents finds the basin of the best fit exactly and quickly.
"""

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from transferlaws.laws.forms.form import Design, Form, Parameter
from transferlaws.statistics.arrays import Array

EXPONENT_MAXIMUM = 5.0


@dataclass(frozen=True)
class Term:
    """`coefficient * prod_j x_j ** -exponent_j`; `powers` pairs a column's index with the index of its exponent."""

    coefficient: str
    unit: str
    powers: tuple[tuple[int, int], ...] = ()


def nonnegative_least_squares(columns: Array, target: Array) -> Array:
    """Exact non-negative least squares for a stack of small problems.

    columns (G, n, K) with K <= 4, target (n,); returns coefficients (G, K). Every subset of columns is solved; the best feasible
    one is the solution, because the optimum of a convex problem is the unconstrained optimum of its own support.
    """
    count = columns.shape[-1]
    gram = np.einsum("gnk,gnl->gkl", columns, columns)
    right = np.einsum("gnk,n->gk", columns, target)
    best = np.zeros(right.shape)
    gain = np.zeros(len(columns))  # reduction of the sum of squares below that of all-zero coefficients
    for size in range(1, count + 1):
        for subset in combinations(range(count), size):
            chosen = list(subset)
            block = gram[:, chosen][:, :, chosen] * (1 + 1e-12 * np.eye(size))
            solution = _solve(block, right[:, chosen])
            reduction = np.einsum("gk,gk->g", solution, right[:, chosen])
            better = np.all(solution >= 0, axis=1) & (reduction > gain)
            gain[better] = reduction[better]
            best[better] = 0.0
            best[np.ix_(better, chosen)] = solution[better]
    return best


def _solve(matrices: Array, vectors: Array) -> Array:
    """Solve a stack of systems; singular ones give -1, which no caller accepts as a coefficient."""
    good = np.abs(np.linalg.det(matrices)) > 1e-14 * np.prod(np.diagonal(matrices, axis1=1, axis2=2), axis=1)
    solution = np.full(vectors.shape, -1.0)
    if good.any():
        solution[good] = np.linalg.solve(matrices[good], vectors[good][..., None])[..., 0]
    return solution


class Posynomial(Form):
    """`value = sum of terms`, coefficients >= 0, exponents in [0, 5].

    Internal parameters: the coefficients of the centred equation as shares of the geometric mean of the values, then the exponents.
    """

    def __init__(
        self,
        *,
        name: str,
        equation: str,
        source: str,
        columns: tuple[str, ...],
        terms: tuple[Term, ...],
        exponents: tuple[str, ...],
        minimum_distinct: tuple[int, ...],
    ) -> None:
        self.name, self.equation, self.source, self.columns, self.terms = name, equation, source, columns, terms
        self.minimum_distinct = minimum_distinct
        count = len(terms)
        self.lower = np.zeros(count + len(exponents))
        self.upper = np.array([np.inf] * count + [EXPONENT_MAXIMUM] * len(exponents))
        self.parameters = (
            *(Parameter(t.coefficient, t.unit, None if t.powers else k, lower=0.0) for k, t in enumerate(terms)),
            *(Parameter(e, "1", lower=0.0, upper=EXPONENT_MAXIMUM) for e in exponents),
            *(
                Parameter(
                    f"{t.coefficient}_at_reference",
                    "unit of the value",
                    k if t.coefficient == "G" else None,
                    lower=0.0,
                    derived=True,
                )
                for k, t in enumerate(terms)
                if t.powers
            ),
        )
        self._grid_size = {1: 60, 2: 28, 3: 12}[len(exponents)]

    def _basis(self, exponents: Array, design: Design) -> Array:
        """(B, M) exponents -> values of every term with coefficient 1, (B, n, K)."""
        basis = np.ones((len(exponents), len(design.logs), len(self.terms)))
        for k, term in enumerate(self.terms):
            if term.powers:
                log = sum(exponents[:, e, None] * design.logs[:, j] for j, e in term.powers)
                basis[:, :, k] = np.exp(-log)
        return basis

    def log_prediction(self, theta: Array, design: Design) -> tuple[Array, Array]:  # noqa: D102
        count = len(self.terms)
        coefficients = theta[:, :count]
        basis = self._basis(theta[:, count:], design)
        total = (basis * coefficients[:, None, :]).sum(axis=-1)
        jacobian = np.zeros((*total.shape, theta.shape[1]))
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.log(total)
            basis /= total[..., None]
            jacobian[:, :, :count] = basis
            for k, term in enumerate(self.terms):
                for j, e in term.powers:
                    jacobian[:, :, count + e] -= basis[:, :, k] * coefficients[:, k, None] * design.logs[:, j]
        jacobian[~np.isfinite(log)] = 0.0
        return log, jacobian

    def starts(self, design: Design, log_values: Array) -> Array:  # noqa: D102
        axis = np.geomspace(0.01, 3.0, self._grid_size)
        exponents = np.array(list(product(axis, repeat=self.size - len(self.terms))))
        # relative residuals stand in for log residuals; they agree to first order
        columns = self._basis(exponents, design) * np.exp(-log_values)[:, None]
        return np.hstack([nonnegative_least_squares(columns, np.ones(len(log_values))), exponents])

    def natural(self, theta: Array, design: Design) -> Array:  # noqa: D102
        count = len(self.terms)
        exponents = theta[:, count:]
        at_reference = theta[:, :count] * np.exp(design.level)
        coefficients = at_reference.copy()
        for k, term in enumerate(self.terms):
            for j, e in term.powers:
                coefficients[:, k] = coefficients[:, k] * np.exp(exponents[:, e] * design.centre[j])
        powered = [k for k, term in enumerate(self.terms) if term.powers]
        return np.hstack([coefficients, exponents, at_reference[:, powered]])


CROSS_ENTROPY_POWER = Posynomial(
    name="cross-entropy-power",
    equation="L(D_p) = E + A / D_p^alpha",
    source="Isik et al. 2024 (arXiv 2402.04177), eq. 3",
    columns=("pretraining_tokens",),
    terms=(Term("E", "nats/token"), Term("A", "nats/token * tokens^alpha", ((0, 0),))),
    exponents=("alpha",),
    minimum_distinct=(3,),
)


class TransferGap(Posynomial):
    """Barnett's law, with the share of the reducible loss at the reference that no pretraining removes, G / (A p^-alpha + G)."""

    def __init__(self) -> None:
        super().__init__(
            name="transfer-gap",
            equation="L(D_p, D_f) = (A * D_p^-alpha + G) * D_f^-beta + E",
            source="Barnett 2024 (arXiv 2408.16947)",
            columns=("pretraining_tokens", "finetuning_size"),
            terms=(
                Term("E", "nats/token"),
                Term("G", "nats/token * finetuning_unit^beta", ((1, 1),)),
                Term("A", "nats/token * tokens^alpha * finetuning_unit^beta", ((0, 0), (1, 1))),
            ),
            exponents=("alpha", "beta"),
            minimum_distinct=(3, 3),
        )
        self.parameters += (Parameter("gap_share_at_reference", "1", lower=0.0, upper=1.0, derived=True),)

    def natural(self, theta: Array, design: Design) -> Array:  # noqa: D102
        reducible = theta[:, 1] + theta[:, 2]
        share = np.divide(theta[:, 1], reducible, out=np.zeros(len(theta)), where=reducible > 0)
        return np.column_stack([super().natural(theta, design), share])


TRANSFER_GAP = TransferGap()
ZHANG_MULTIPLICATIVE = Posynomial(
    name="zhang-multiplicative",
    equation="L(X, D_f) = A * X^-alpha * D_f^-beta + E",
    source="Zhang et al. 2024 (arXiv 2402.17193), multiplicative",
    columns=("pretraining_tokens", "finetuning_size"),
    terms=(Term("E", "nats/token"), Term("A", "nats/token * tokens^alpha * finetuning_unit^beta", ((0, 0), (1, 1)))),
    exponents=("alpha", "beta"),
    minimum_distinct=(2, 3),
)
ZHANG_ADDITIVE = Posynomial(
    name="zhang-additive",
    equation="L(X, D_f) = A * X^-alpha + B * D_f^-beta + E",
    source="Zhang et al. 2024 (arXiv 2402.17193), additive rival",
    columns=("pretraining_tokens", "finetuning_size"),
    terms=(
        Term("E", "nats/token"),
        Term("A", "nats/token * tokens^alpha", ((0, 0),)),
        Term("B", "nats/token * finetuning_unit^beta", ((1, 1),)),
    ),
    exponents=("alpha", "beta"),
    minimum_distinct=(3, 3),
)
CHINCHILLA = Posynomial(
    name="chinchilla",
    equation="L(N, D) = E + A / N^alpha + B / D^beta",
    source="Hoffmann et al. 2022 (arXiv 2203.15556), approach 3",
    columns=("parameters_non_embedding", "pretraining_tokens"),
    terms=(
        Term("E", "nats/token"),
        Term("A", "nats/token * parameters^alpha", ((0, 0),)),
        Term("B", "nats/token * tokens^beta", ((1, 1),)),
    ),
    exponents=("alpha", "beta"),
    minimum_distinct=(3, 3),
)
