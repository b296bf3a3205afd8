"""A law fitted to every curve of a table: point estimates, then noise pooled over curves, then bootstrap."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from transferlaws.laws.bootstrap import Bootstrap, Sample, bootstrap, evidence_of
from transferlaws.laws.forms.form import Design, Form
from transferlaws.laws.groups import Group
from transferlaws.laws.law import Law
from transferlaws.laws.protocols import chinchilla_starts
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.solver import PointFit, Solution, fit_point, minimise
from transferlaws.progress import Progress
from transferlaws.seeding import generator
from transferlaws.statistics.arrays import Array, basis_of, cells_of
from transferlaws.statistics.noise import NoiseEvidence
from transferlaws.statistics.tests import PureError, pure_error


@dataclass(frozen=True)
class PointCurve:
    """A group with its best fit, before intervals."""

    group: Group
    form: Form
    sample: Sample
    design: Design
    log_values: Array  # (n,) centred
    fit: PointFit
    least: Solution  # least squares, one replicate: noise, tests and AICc
    evidence: NoiseEvidence
    error: PureError

    @property
    def undetermined(self) -> bool:
        """Whether some combination of parameters does not change any fitted point: no interval of theirs would mean anything."""
        free = (self.least.theta[0] > self.form.lower) & (self.least.theta[0] < self.form.upper)
        columns = self.form.log_prediction(self.least.theta, self.design)[1][0][:, free]
        return basis_of(columns).shape[1] < free.sum()


@dataclass(frozen=True)
class Fitted:
    """A group's best fit with the noise it was given (pooled over curves) and the refits of its bootstrap."""

    curve: PointCurve
    evidence: NoiseEvidence
    error: PureError
    draws: Bootstrap
    extra: dict = field(default_factory=dict)
    """Further entries of the report."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the verdict."""
    misfit: float | Literal["F"] | None = "F"
    """P-value of lack of fit; "F": to be had from the F test."""
    inside: float | Literal["draws"] | None = "draws"
    """Share of held-out points inside; "draws": to be had from draws of noise about the prediction."""


@dataclass(frozen=True)
class Unfitted:
    """A group that cannot determine the law."""

    group: Group
    reason: str


def sample_of(group: Group, roles: tuple[str, ...] = ("fit",)) -> Sample:
    """The points of some roles as arrays."""
    points = group.points[group.points.role.isin(roles)]
    values, runs = points.value.to_numpy(float), points.run.to_numpy(int)
    if "fit" in roles and len(np.unique(runs)) == len(runs):
        runs = np.full(len(runs), -1)  # one point a run: run and residual are one error, and points are independent
    return Sample(
        x=points[list(group.columns)].to_numpy(float),
        values=values,
        runs=runs,
        noise=points.noise.to_numpy(float) / values,
    )


def ladder_of(columns: tuple[str, ...]) -> int:
    """The x column along which a run is measured: D_p where the law has it."""
    return columns.index("pretraining_tokens") if "pretraining_tokens" in columns else 0


def too_few(form: Form, sample: Sample, columns: tuple[str, ...]) -> str:
    """Why these points cannot determine the law; empty if they can."""
    for j, least in enumerate(form.minimum_distinct):
        found = len(np.unique(sample.x[:, j]))
        if found < least:
            return f"{found} different value{'s' * (found != 1)} of {columns[j]}, at least {least} are needed"
    cells = len(np.unique(sample.x, axis=0))
    if cells < form.size:
        return f"{cells} different points for {form.size} parameters"
    return ""


def fit_curve(group: Group, *, law: Law, settings: FitSettings) -> PointCurve | Unfitted:
    """Point estimate and noise evidence of one group."""
    form, sample = law.form, sample_of(group)
    reason = too_few(form, sample, group.columns)
    if reason:
        return Unfitted(group, reason)
    log_values = np.log(sample.values)
    design = form.design(x=sample.x, log_values=log_values)
    log_values = log_values - design.level
    starts = chinchilla_starts(design) if settings.protocol == "chinchilla" else None
    fit = fit_point(form=form, design=design, log_values=log_values, delta=settings.delta, starts=starts)
    least = minimise(form=form, design=design, log_values=log_values, start=fit.theta[None], delta=np.inf)
    everything = sample_of(group, ("fit", "held-out"))
    return PointCurve(
        group=group,
        form=form,
        sample=sample,
        design=design,
        log_values=log_values,
        fit=fit,
        least=least,
        evidence=evidence_of(
            form=form, design=design, log_values=log_values, runs=sample.runs, theta=least.theta, ladder=ladder_of(group.columns)
        ),
        error=pure_error(log_values=np.log(everything.values), cells=cells_of(everything.x), runs=everything.runs),
    )


def fit_groups(groups: list[Group], *, law: Law, settings: FitSettings) -> list[Fitted | Unfitted]:
    """Fit every group; noise is pooled over the curves of a task, model and metric unless the settings say otherwise."""
    curves: list[PointCurve | Unfitted] = []
    with Progress(f"{law.form.name}: fits", len(groups), unit="curve") as progress:
        for group in groups:
            curves.append(fit_curve(group, law=law, settings=settings))
            progress.update(1)
    results: list[Fitted | Unfitted] = []
    with Progress(f"{law.form.name}: intervals", len(curves), unit="curve") as progress:
        for curve in curves:
            if isinstance(curve, PointCurve):
                alike = [c for c in curves if isinstance(c, PointCurve) and _alike(c.group, curve.group)]
                curve = with_intervals(curve, law=law, settings=settings, pool=alike if settings.pool_noise else [curve])
            results.append(curve)
            progress.update(1)
    return results


def with_intervals(curve: PointCurve, *, law: Law, settings: FitSettings, pool: list[PointCurve]) -> Fitted:
    """Bootstrap one curve with the noise of a pool of curves (itself included)."""
    evidence = sum((c.evidence for c in pool), NoiseEvidence())
    draws = bootstrap(
        form=law.form,
        design=curve.design,
        log_values=curve.log_values,
        sample=curve.sample,
        fit=curve.fit,
        evidence=evidence,
        delta=settings.delta,
        count=settings.bootstraps,
        resampling=settings.resampling,
        ladder=ladder_of(curve.group.columns),
        generator=generator(settings.seed, "bootstrap", law.form.name, curve.group.metric, sorted(curve.group.key.items())),
    )
    return Fitted(curve, evidence, sum((c.error for c in pool), PureError()), draws)


def _alike(one: Group, other: Group) -> bool:
    return one.metric == other.metric and all(one.key.get(k) == other.key.get(k) for k in ("task", "model"))
