"""A law fitted to every curve of a table: point estimate, noise, intervals, status, verdict."""

from dataclasses import dataclass

import numpy as np

from transferlaws.laws.fit import PointFit, fit_point, huber, minimise
from transferlaws.laws.form import Array, Design, Form
from transferlaws.laws.noise import NoiseEvidence
from transferlaws.laws.registry import DELTAS, Law
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.table import Group
from transferlaws.laws.uncertainty import Sample, bootstrap, draw_noise, evidence_of, interval
from transferlaws.laws.verdict import (
    PureError,
    cells_of,
    identified,
    lack_of_fit,
    monotone_p_value,
    pure_error,
    text_of,
)
from transferlaws.progress import Progress
from transferlaws.seeding import generator

BAND_POINTS = 40


@dataclass(frozen=True)
class Curve:
    """A group with its point fit; what is pooled over groups before intervals are made."""

    group: Group
    sample: Sample
    design: Design | None
    log_values: Array  # (n,) centred
    fit: PointFit | None
    evidence: NoiseEvidence
    error: PureError
    reason: str
    """Why there is no fit; empty if there is one."""


def sample_of(group: Group, roles: tuple[str, ...] = ("fit",)) -> Sample:
    """The points of some roles as arrays."""
    points = group.points[group.points.role.isin(roles)]
    values = points.value.to_numpy(float)
    return Sample(
        x=points[list(group.columns)].to_numpy(float),
        values=values,
        runs=points.run.to_numpy(int),
        noise=points.noise.to_numpy(float) / values,
    )


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


def delta_of(law: Law, settings: FitSettings) -> float:
    """Huber threshold on log residuals."""
    return settings.delta or DELTAS[law.kind]


def fit_curve(group: Group, *, law: Law, settings: FitSettings) -> Curve:
    """Point estimate and noise evidence of one group."""
    form, sample = law.form, sample_of(group)
    reason = too_few(form, sample, group.columns)
    if reason:
        return Curve(group, sample, None, np.empty(0), None, NoiseEvidence(), PureError(), reason)
    log_values = np.log(sample.values)
    design = form.design(x=sample.x, log_values=log_values)
    log_values = log_values - design.level
    fit = fit_point(form=form, design=design, log_values=log_values, delta=delta_of(law, settings))
    evidence = evidence_of(form=form, design=design, log_values=log_values, runs=sample.runs, start=fit.theta)
    everything = sample_of(group, ("fit", "held-out"))
    error = pure_error(log_values=np.log(everything.values), cells=cells_of(everything.x), runs=everything.runs)
    return Curve(group, sample, design, log_values, fit, evidence, error, "")


def fit_groups(groups: list[Group], *, law: Law, settings: FitSettings) -> list[dict]:
    """Fit every group; returns the `fits` of a law's JSON file."""
    curves = [fit_curve(group, law=law, settings=settings) for group in groups]
    results = []
    with Progress(law.form.name, len(curves), unit="curve") as progress:
        for curve in curves:
            if curve.fit is None:
                results.append(_without_fit(curve, law=law))
            else:
                evidence, error = curve.evidence, curve.error
                if settings.pool_noise:
                    alike = [c for c in curves if c.fit is not None and _alike(c.group, curve.group)]
                    evidence = sum((c.evidence for c in alike), NoiseEvidence())
                    error = sum((c.error for c in alike), PureError())
                results.append(_with_fit(curve, law=law, settings=settings, evidence=evidence, error=error))
            progress.update(1)
    return results


def _alike(one: Group, other: Group) -> bool:
    return one.metric == other.metric and all(one.key.get(k) == other.key.get(k) for k in ("task", "model"))


def _without_fit(curve: Curve, *, law: Law) -> dict:
    text = text_of(law=law.form.name, status="too-few-points", reason=curve.reason, monotone=None, holds=None, pinned=[], loose=[])
    return {
        "group": curve.group.key,
        "metric": curve.group.metric,
        "scale": curve.group.scale,
        "columns": list(curve.group.columns),
        "status": "too-few-points",
        "parameters": {
            p.name: {"estimate": None, "low": None, "high": None, "unit": p.unit, "identified": False} for p in law.form.parameters
        },
        "objective": None,
        "points": _points(curve, np.full(len(curve.group.points), np.nan)),
        "held_out": None,
        "band": None,
        "verdict": {"monotone": None, "p_value": None, "law_holds": None, "identified": False, "text": text},
    }


def _with_fit(curve: Curve, *, law: Law, settings: FitSettings, evidence: NoiseEvidence, error: PureError) -> dict:
    form, design, fit, group = law.form, curve.design, curve.fit, curve.group
    stream = generator(settings.seed, "bootstrap", form.name, group.metric, sorted(group.key.items()))
    delta = delta_of(law, settings)
    thetas = bootstrap(
        form=form,
        design=design,
        log_values=curve.log_values,
        sample=curve.sample,
        fit=fit,
        evidence=evidence,
        delta=delta,
        count=settings.bootstraps,
        resampling=settings.resampling,
        generator=stream,
    )
    estimate = form.natural(fit.theta[None], design)[0]
    low, high = _interval(form.natural(thetas, design), settings.level, len(estimate))
    pinned = identified(form=form, estimate=estimate, low=low, high=high, width=settings.identified_width)
    verdict = _verdict(curve, law=law, settings=settings, error=error, pinned=pinned)
    status, reason = _status(form, curve, verdict, verdict["identified"])
    names = [p.name for p in form.parameters]
    verdict["text"] = text_of(
        law=form.name,
        status=status,
        reason=reason,
        monotone=verdict["monotone"],
        holds=verdict["law_holds"],
        pinned=[n for n, yes in zip(names, pinned, strict=True) if yes],
        loose=[n for n, yes in zip(names, pinned, strict=True) if not yes],
    )
    return {
        "group": group.key,
        "metric": group.metric,
        "scale": group.scale,
        "columns": list(group.columns),
        "status": status,
        "parameters": {
            p.name: {
                "estimate": _finite(estimate[k]),
                "low": _finite(low[k]),
                "high": _finite(high[k]),
                "unit": p.unit,
                "identified": bool(pinned[k]),
            }
            for k, p in enumerate(form.parameters)
        },
        "level": settings.level,
        "reference": dict(zip(group.columns, design.reference.tolist(), strict=True)),
        "objective": fit.objective,
        "optimum": {
            "gradient_norm": fit.gradient_norm,
            "converged": fit.converged,
            "starts": fit.starts,
            "agreeing": fit.agreeing,
        },
        "noise": {
            "run": float(np.sqrt(evidence.run_variance)),
            "run_freedom": evidence.run_freedom,
            "residual": _finite(np.sqrt(evidence.residual_variance)),
            "residual_freedom": evidence.residual_freedom,
            "test_set": float(curve.sample.noise.mean()),
        },
        "aicc": _aicc(curve, form),
        "points": _points(curve, _predictions(form, curve)),
        "held_out": _held_out(curve, law=law, settings=settings, thetas=thetas, evidence=evidence, stream=stream),
        "band": _band(curve, form, settings, thetas),
        "verdict": verdict,
    }


def _interval(draws: Array, level: float, size: int) -> tuple[Array, Array]:
    return interval(draws, level) if len(draws) else (np.full(size, np.nan), np.full(size, np.nan))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _verdict(curve: Curve, *, law: Law, settings: FitSettings, error: PureError, pinned: Array) -> dict:
    form = law.form
    least = minimise(form=form, design=curve.design, log_values=curve.log_values, start=curve.fit.theta[None], delta=np.inf)
    log, jacobian = form.log_prediction(least.theta, curve.design)
    misfit = lack_of_fit(
        residuals=curve.log_values - log[0],
        jacobian=jacobian[0],
        cells=cells_of(curve.sample.x),
        runs=curve.sample.runs,
        error=error,
    )
    order = None
    if len(curve.group.columns) == 1 and curve.group.columns[0] != "cross_entropy":
        everything = sample_of(curve.group, ("fit", "held-out"))
        order = monotone_p_value(
            log_values=np.log(everything.values),
            x=everything.x[:, 0],
            runs=everything.runs,
            error=error,
            direction=1 if law.kind == "score" else -1,
            generator=generator(settings.seed, "monotone", form.name, curve.group.metric, sorted(curve.group.key.items())),
        )
    own = [k for k, p in enumerate(form.parameters) if not p.name.endswith("_at_reference")]
    return {
        "monotone": None if order is None else order >= settings.significance,
        "p_value": order,
        "law_holds": None if misfit is None else misfit >= settings.significance,
        "law_p_value": misfit,
        "identified": bool(pinned[own].all()),
        "text": "",
    }


def _status(form: Form, curve: Curve, verdict: dict, everything_pinned: bool) -> tuple[str, str]:
    if np.ptp(curve.log_values) == 0:
        return "not-identified", "every value is the same"
    if not curve.fit.converged:
        return "not-converged", "the optimiser did not reach an optimum"
    if verdict["law_holds"] is False or verdict["monotone"] is False:
        return "rejected", ""
    theta = curve.fit.theta
    at_upper = [k for k in range(form.size) if theta[k] >= form.upper[k]]
    if at_upper:
        return "bound-hit", "a parameter ended at the edge of its allowed range"
    return ("converged", "") if everything_pinned else ("not-identified", "")


def _predictions(form: Form, curve: Curve) -> Array:
    points = curve.group.points
    x = points[list(curve.group.columns)].to_numpy(float)
    inside = np.isfinite(x).all(axis=1) & (x > 0).all(axis=1)
    predictions = np.full(len(points), np.nan)
    if inside.any():
        predictions[inside] = form.predict(curve.fit.theta[None], curve.design.at(x[inside]))[0]
    return predictions


def _points(curve: Curve, predictions: Array) -> list[dict]:
    rows = []
    for point, prediction in zip(curve.group.points.to_dict("records"), predictions, strict=True):
        value = _finite(point["value"])
        residual = np.log(value / prediction) if value and value > 0 and np.isfinite(prediction) and prediction > 0 else np.nan
        rows.append(
            {
                "row": int(point["row"]),
                "seed": point["seed"],
                "mixture": point["mixture"],
                **{column: _finite(point[column]) for column in curve.group.columns},
                "value": value,
                "role": point["role"],
                "reason": point["reason"],
                "prediction": _finite(prediction),
                "residual": _finite(residual),
            }
        )
    return rows


def _aicc(curve: Curve, form: Form) -> float | None:
    """Small-sample Akaike criterion of the least-squares fit to log values; comparable between laws on the same points."""
    least = minimise(form=form, design=curve.design, log_values=curve.log_values, start=curve.fit.theta[None], delta=np.inf)
    count, free = len(curve.log_values), form.size + 1
    squares = 2 * float(least.objective[0])
    if count - free - 1 <= 0 or squares <= 0:
        return None
    return count * np.log(squares / count) + 2 * free + 2 * free * (free + 1) / (count - free - 1)


def _held_out(
    curve: Curve, *, law: Law, settings: FitSettings, thetas: Array, evidence: NoiseEvidence, stream: np.random.Generator
) -> dict | None:
    """Errors on the points that were predicted, not fitted; `inside` is the share within the interval of one new run."""
    held = sample_of(curve.group, ("held-out",))
    if not len(held.values):
        return None
    form, design = law.form, curve.design.at(held.x)
    prediction = form.predict(curve.fit.theta[None], design)[0]
    residuals = np.log(held.values) - np.log(prediction)
    spread = np.log(held.values) - np.log(held.values).mean()
    several = len(np.unique(held.x, axis=0)) > 1
    inside = None
    if len(thetas) and evidence.residual_freedom:
        noise = draw_noise(runs=held.runs, test_noise=held.noise, evidence=evidence, count=len(thetas), generator=stream)
        low, high = interval(np.log(form.predict(thetas, design)) + noise, settings.level)
        inside = float(((low <= np.log(held.values)) & (np.log(held.values) <= high)).mean())
    return {
        "points": len(held.values),
        "are": float(np.mean(np.abs(held.values - prediction) / held.values)),
        "huber": float(huber(residuals, delta_of(law, settings)).sum()),
        "r2_log": float(1 - (residuals @ residuals) / (spread @ spread)) if several and spread @ spread > 0 else None,
        "inside": inside,
    }


def _band(curve: Curve, form: Form, settings: FitSettings, thetas: Array) -> dict:
    """Prediction and interval along the first x column, for every combination of the others that was measured."""
    seen = sample_of(curve.group, ("fit", "held-out")).x
    line = np.geomspace(seen[:, 0].min(), seen[:, 0].max() * settings.extrapolation, BAND_POINTS)
    others = np.unique(seen[:, 1:], axis=0)
    x = np.vstack([np.column_stack([line, np.tile(other, (len(line), 1))]) for other in others])
    design = curve.design.at(x)
    estimate = form.predict(curve.fit.theta[None], design)[0]
    low, high = _interval(form.predict(thetas, design), settings.level, len(x))
    return {
        **{column: x[:, j].tolist() for j, column in enumerate(curve.group.columns)},
        "estimate": [_finite(v) for v in estimate],
        "low": [_finite(v) for v in low],
        "high": [_finite(v) for v in high],
    }
