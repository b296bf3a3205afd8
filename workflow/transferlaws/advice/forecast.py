"""What a trusted law adds to what was measured."""

from dataclasses import dataclass

import numpy as np

from transferlaws.advice.context import Context
from transferlaws.laws.law_fit import LawFit
from transferlaws.measurements.means import Quantity, added

GRID = 200


@dataclass(frozen=True)
class Candidate:
    """One curve with the law fitted to it."""

    key: dict
    """Task, model, mixture, D_f and its unit."""
    law: LawFit | None
    missing: str = ""
    """Why there is no law."""

    @property
    def status(self) -> str | None:
        """How the fit ended; None without one."""
        return self.law and self.law.status

    @property
    def text(self) -> str:
        """The law's verdict in words."""
        return self.law.fit.verdict.text if self.law else f"{self.missing}."

    @property
    def turns_back(self) -> bool:
        """Whether the measured values turn back by more than noise."""
        return self.law is not None and self.law.fit.verdict.monotone is False

    @property
    def mistrust(self) -> str:
        """Why the law forecasts nothing; empty if it may."""
        if self.law is None or not self.law.fit.was_fitted:
            return self.text.rstrip(".")
        return self.law.fit.mistrust and f"{self.law.law} {self.law.fit.mistrust}"

    def predict(self, tokens: float) -> Quantity:
        """The law at D_p = tokens."""
        estimate, draws = self.law.at([tokens])
        return Quantity(float(estimate[0]), draws[:, 0])


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
        """Smallest D_p up to `end` by which the law gains `least`; None if there is none."""
        here, sign = self.candidate.predict(self.last).estimate, self.context.means.direction
        line = np.geomspace(self.last, end, GRID)
        found = np.flatnonzero(sign * (self.candidate.law.at(line)[0] - here) >= least)
        return float(line[found[0]]) if len(found) else None


def standing(candidate: Candidate, context: Context) -> Standing:
    """Measure the law at the last rung, and see whether it can be trusted beyond.

    Nor is it trusted where it misses the last rung by more than half of what is worthwhile: two such misses feign a worthwhile
    gain.
    """
    mixture, size = candidate.key["mixture"], float(candidate.key["finetuning_size"])
    last = context.means.rungs(mixture, size)[-1]
    now, mistrust = context.means.cells[mixture, size, last], candidate.mistrust
    if not mistrust:
        here = candidate.predict(last).estimate
        if abs(here - now.estimate) > context.settings.worthwhile / 2:
            mistrust = (
                f"{candidate.law.law} has {here:.4g} for the held-out rung, measured as {now.estimate:.4g}, and errs by more than "
                "half of what is worthwhile; a gain, the difference of two such values, may be off by a worthwhile one"
            )
    return Standing(candidate, context, last, now, mistrust)
