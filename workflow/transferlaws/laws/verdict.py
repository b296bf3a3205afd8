"""How a fit ended, which parameters the points identify, and the verdict in words. `Fit` says what it may be used for."""

from enum import StrEnum

import numpy as np

from transferlaws.laws.forms.form import Form
from transferlaws.statistics.arrays import Array


class Status(StrEnum):
    """How a fit ended."""

    CONVERGED = "converged"
    """At an optimum; every scale-free parameter of the equation is identified."""
    NOT_IDENTIFIED = "not-identified"
    """At an optimum, but some parameter's interval is unbounded or wide; predictions keep their band."""
    BOUND_HIT = "bound-hit"
    """A parameter ended at the edge of its allowed range (not a coefficient at its natural boundary 0)."""
    REJECTED = "rejected"
    """The points contradict the law, or turn back, by more than noise."""
    NOT_CONVERGED = "not-converged"
    """The optimiser did not reach an optimum."""
    TOO_FEW_POINTS = "too-few-points"
    """Fewer different points than the law needs; nothing was fitted."""


STATES = {  # of `Fit.state` and what it says, in the order in which panels give them
    "rejected": "law rejected",
    "not converged": "the law's fit did not converge",
    "bound hit": "the law's fit ended at a bound",
    "too few points": "too few points for the law",
    "not identified": "parameters not identified",
    "untested": "no repeated runs to test the law",
}


def identified(*, form: Form, low: Array, high: Array, ratio: float) -> Array:
    """Which scale-free parameters the data pin down: the interval is bounded, of one sign, its ends within a factor `ratio`."""
    lower = np.array([p.lower for p in form.parameters])
    upper = np.array([p.upper for p in form.parameters])
    scale_free = np.array([p.scale_free for p in form.parameters])
    with np.errstate(invalid="ignore", divide="ignore"):
        bounded = np.isfinite(low) & np.isfinite(high) & (low > lower) & (high < upper)
        size = np.sort(np.abs([low, high]), axis=0)
        return scale_free & bounded & (low * high > 0) & (size[1] <= ratio * size[0])


def text_of(*, reason: str, monotone: bool | None, holds: bool | None, pinned: list[str], loose: list[str]) -> str:
    """The verdict in words."""
    parts = []
    if monotone is not None:
        parts.append("monotone within noise" if monotone else "not monotone: it turns back by more than noise")
    if holds is not None:
        parts.append("the law holds" if holds else "the law is rejected: it misses the points by more than noise")
    if holds is None:
        parts.append("whether the law holds cannot be tested (no repeated measurements, or as many parameters as rungs)")
    if pinned:
        parts.append(f"identified: {', '.join(pinned)}")
    if loose:
        parts.append(f"not identified: {', '.join(loose)}")
    if reason:
        parts.append(reason)
    return "; ".join(parts) + "."
