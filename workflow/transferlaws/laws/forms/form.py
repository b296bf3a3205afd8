"""What a law is: an equation with named parameters, evaluated for a whole batch of parameter vectors at once.

A form works on *internal* parameters, chosen so that the fit is well conditioned: logarithms of the x columns are centred at
their mean, values are divided by their geometric mean, coefficients are those of the centred equation. `natural` turns them into
the parameters of the published equation.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from transferlaws.statistics.arrays import Array


@dataclass(frozen=True)
class Parameter:
    """A parameter of the published equation, or a quantity derived from it that data pin down better."""

    name: str
    unit: str
    internal: int | None = None
    """Index of the internal parameter of which this one is a multiple: it can be profiled."""
    lower: float = -np.inf
    upper: float = np.inf
    """Values at which the parameter leaves the law: an interval that reaches one of them is unbounded on that side."""
    derived: bool = False
    """Not a parameter of the equation, but a function of its parameters that data pin down better, or that answers a question."""
    scale_free: bool = True
    """False: another parameter decides how it changes with the unit of the values (a score of 0-1 or 0-100), and so how wide its
    interval is. The same points would identify it in one unit and not in the other: it is never called identified."""

    @property
    def profiled(self) -> bool:
        """Whether it is an asymptote or a gap, whose interval is also read off its profile."""
        return self.internal is not None


@dataclass(frozen=True)
class Design:
    """Where a law is fitted or predicted: the x columns with the centre and level that its internal parameters refer to."""

    x: Array  # (n, d) in their own units
    logs: Array  # (n, d) ln x - centre
    centre: Array  # (d,)
    level: float  # mean of ln(value) of the fitted points

    def at(self, x: Array) -> "Design":
        """The same centre and level at other places, x of shape (m, d)."""
        return replace(self, x=x, logs=_logs(x) - self.centre)

    @property
    def reference(self) -> Array:
        """Geometric mean of the fitted x, shape (d,)."""
        return np.exp(self.centre)


def _logs(x: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(x)


class Form(ABC):
    """A law. Instances have no state besides their definition."""

    name: str
    equation: str
    source: str
    columns: tuple[str, ...]
    """Default x columns of the measurement table, in the order of the equation."""
    parameters: tuple[Parameter, ...]
    lower: Array
    upper: Array
    """Bounds of the internal parameters, shape (P,)."""
    minimum_distinct: tuple[int, ...]
    """Fewest different values of each x column with which the law can be told from its neighbours."""

    @property
    def size(self) -> int:
        """Number P of free parameters."""
        return len(self.lower)

    def design(self, *, x: Array, log_values: Array) -> Design:
        """Centre x of shape (n, d), positive, and log values of shape (n,)."""
        logs = _logs(x)
        centre = logs.mean(axis=0)
        return Design(x=x, logs=logs - centre, centre=centre, level=float(np.mean(log_values)))

    @abstractmethod
    def log_prediction(self, theta: Array, design: Design) -> tuple[Array, Array]:
        """Log of prediction over level, and its derivatives.

        theta has shape (B, P). Returns (B, n) and (B, n, P); where a prediction is outside the law's domain the log is not
        finite and the derivatives are 0.
        """

    def edges(self, theta: Array) -> NDArray[np.bool_]:
        """Which parameters of each theta (B, P) are at their lower bound: a coefficient at 0 is a simpler law. (B, P)."""
        return theta <= self.lower

    @abstractmethod
    def starts(self, design: Design, log_values: Array) -> Array:
        """Starting points of shape (K, P) for centred log values of shape (n,)."""

    @abstractmethod
    def natural(self, theta: Array, design: Design) -> Array:
        """Values of `parameters` for internal parameters of shape (B, P); shape (B, len(parameters))."""

    def predict(self, theta: Array, design: Design) -> Array:
        """Predictions in the unit of the fitted values; theta (B, P) -> (B, n)."""
        return np.exp(self.log_prediction(theta, design)[0] + design.level)
