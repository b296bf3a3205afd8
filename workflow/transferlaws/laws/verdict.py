"""What a fit may be used for: how it ended, which parameters are identified, and whether it is trusted."""

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


def why_not_forecast(status: str, held_out: dict | None) -> str:
    """Why a law with this status and `held_out` of its report forecasts nothing: what it did; empty if it may forecast.

    Parameters that are not identified are no reason: the band says how loosely they hold the prediction, the held-out rung how
    well.
    """
    reasons = {
        Status.BOUND_HIT: "ended with a parameter at the edge of its allowed range",
        Status.REJECTED: "is contradicted by the points, by more than noise",
        Status.NOT_CONVERGED: "did not reach an optimum",
        Status.TOO_FEW_POINTS: "has too few points",
    }
    if status in reasons:
        return reasons[Status(status)]
    if held_out is None:
        return "was tested on no held-out rung"
    if held_out["inside"] is not None and held_out["inside"] < 0.5:
        return f"has only {held_out['inside']:.0%} of the held-out points within its interval"
    return ""


def may_forecast(status: str, held_out: dict | None) -> bool:
    """Whether a law with this status and `held_out` of its report may say what was not measured."""
    return not why_not_forecast(status, held_out)


def may_split(status: str) -> bool:
    """Whether a budget may be split by the law: its optimum was found, and no point contradicts it."""
    return status not in (Status.REJECTED, Status.NOT_CONVERGED, Status.TOO_FEW_POINTS)


def was_fitted(status: str) -> bool:
    """Whether there were points enough to fit the law at all."""
    return status != Status.TOO_FEW_POINTS


def state(status: str, verdict: dict) -> str:
    """How far a reader may trust the curve: 'holds', 'untested', 'not identified', or a status in words that has no curve."""
    if status in (Status.REJECTED, Status.NOT_CONVERGED, Status.BOUND_HIT, Status.TOO_FEW_POINTS):
        return status.replace("-", " ")
    if verdict.get("law_holds") is False or verdict.get("monotone") is False:
        return "rejected"
    if status != Status.CONVERGED or not verdict.get("identified"):
        return "not identified"
    return "untested" if verdict.get("law_holds") is None else "holds"


def may_draw(status: str, verdict: dict) -> bool:
    """Whether the fit may be drawn as a curve."""
    return state(status, verdict) in ("holds", "untested", "not identified")


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
