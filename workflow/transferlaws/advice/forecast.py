"""What a trusted law adds to what was measured."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from transferlaws.advice.context import Context
from transferlaws.laws.estimate import Fitted, Unfitted
from transferlaws.laws.law import Law
from transferlaws.laws.verdict import why_not_forecast
from transferlaws.measurements.means import Quantity, added

GRID = 200


@dataclass(frozen=True)
class Candidate:
    """One curve with the law fitted to it."""

    law: Law
    result: Fitted | Unfitted
    report: dict

    @property
    def key(self) -> dict:
        """Task, model, mixture, D_f and its unit."""
        return self.result.group.key if isinstance(self.result, Unfitted) else self.result.curve.group.key

    def predict(self, tokens: float) -> Quantity:
        """The law at D_p = tokens."""
        curve, form = self.result.curve, self.law.form
        design = curve.design.at(np.array([[tokens]]))
        estimate = form.predict(curve.fit.theta[None], design)[0, 0]
        return Quantity(float(estimate), form.predict(self.result.draws.thetas, design)[:, 0])

    def first(self, reached: Callable[[np.ndarray], np.ndarray], *, start: float, end: float) -> float | None:
        """Smallest D_p in [start, end] whose predicted value is `reached`; None if there is none."""
        line = np.geomspace(start, end, GRID)
        curve = self.result.curve
        found = np.flatnonzero(reached(self.law.form.predict(curve.fit.theta[None], curve.design.at(line[:, None]))[0]))
        return float(line[found[0]]) if len(found) else None


@dataclass(frozen=True)
class Standing:
    """A curve where its measurements end, and whether its law says how it goes on."""

    candidate: Candidate
    context: Context
    last: float
    """Largest measured D_p."""
    now: Quantity
    """Measured mean there."""
    mistrust: str
    """Why the law forecasts nothing; empty if it does."""

    def gain(self, tokens: float) -> Quantity:
        """By how much the law is better at D_p = tokens than where the measurements end."""
        return self.context.means.better(self.candidate.predict(tokens), self.candidate.predict(self.last))

    def score(self, tokens: float) -> dict:
        """The measured value and what the law changes it by up to D_p = tokens."""
        level = self.context.settings.confidence
        return added(self.now.json(level), self.gain(tokens).times(self.context.means.direction).json(level))

    def first_gaining(self, least: float, *, end: float) -> float | None:
        """Smallest D_p up to `end` by which the law gains `least`."""
        here, sign = self.candidate.predict(self.last).estimate, self.context.means.direction
        return self.candidate.first(lambda values: sign * (values - here) >= least, start=self.last, end=end)


def standing(candidate: Candidate, context: Context) -> Standing:
    """Measure the law at the last rung, and see whether it can be trusted beyond."""
    mixture, size = candidate.key["mixture"], float(candidate.key["finetuning_size"])
    last = context.means.rungs(mixture, size)[-1]
    now = context.means.cells[mixture, size, last]
    return Standing(candidate, context, last, now, _mistrust(candidate, context, last, now))


def _mistrust(candidate: Candidate, context: Context, last: float, now: Quantity) -> str:
    """Also where the law misses the last rung by more than half of what is worthwhile: two such misses feign a worthwhile gain."""
    name, report = candidate.law.form.name, candidate.report
    if isinstance(candidate.result, Unfitted):
        return report["verdict"]["text"].rstrip(".")
    reason = why_not_forecast(report["status"], report["held_out"])
    if reason:
        return f"{name} {reason}"
    here = candidate.predict(last).estimate
    if abs(here - now.estimate) <= context.settings.worthwhile / 2:
        return ""
    return (
        f"{name} has {here:.4g} for the held-out rung, measured as {now.estimate:.4g}, and errs by more than half of what is "
        "worthwhile; a gain, the difference of two such values, may be off by a worthwhile one"
    )
