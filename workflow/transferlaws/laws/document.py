"""A fitted curve as the JSON that figures, advice and readers take: parameters, status, points, band, verdict."""

import numpy as np

from transferlaws.laws.bootstrap import Sample, profile
from transferlaws.laws.estimate import Fitted, PointCurve, Unfitted, ladder_of, sample_of
from transferlaws.laws.forms.form import Form
from transferlaws.laws.groups import Group
from transferlaws.laws.law import Law
from transferlaws.laws.notes import noise_notes, outliers
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.solver import huber
from transferlaws.laws.verdict import Status, identified, text_of
from transferlaws.seeding import generator
from transferlaws.statistics.arrays import Array, cells_of
from transferlaws.statistics.intervals import interval
from transferlaws.statistics.noise import draw_noise
from transferlaws.statistics.tests import lack_of_fit, monotone_p_value, pure_error

BAND_POINTS = 40


def report(result: Fitted | Unfitted, *, law: Law, settings: FitSettings) -> dict:
    """One entry of `fits` in `laws/<law>.json`."""
    if isinstance(result, Unfitted):
        return _head(result.group) | _without_fit(result, law)
    form, curve = law.form, result.curve
    estimate = form.natural(curve.fit.theta[None], curve.design)[0]
    low, high = interval(form.natural(result.draws.thetas, curve.design), settings.level, estimate, form.edges(result.draws.thetas))
    if curve.undetermined:
        low, high = np.full_like(low, np.nan), np.full_like(high, np.nan)
    pinned = identified(form=form, low=low, high=high, ratio=settings.identified_ratio)
    verdict = _verdict(result, law=law, settings=settings, pinned=pinned)
    status, reason = _status(form, curve, verdict)
    names = np.array([p.name for p in form.parameters])
    verdict["text"] = text_of(
        reason=reason,
        monotone=verdict["monotone"],
        holds=verdict["law_holds"],
        pinned=names[pinned].tolist(),
        loose=names[~pinned].tolist(),
    )
    verdict["text"] = " ".join(
        [verdict["text"], *(f"{note[0].upper()}{note[1:]}." for note in [*result.notes, *noise_notes(result), *outliers(curve)])]
    )
    parameters = {
        p.name: {
            "estimate": finite(estimate[k]),
            "low": finite(low[k]),
            "high": finite(high[k]),
            "unit": p.unit,
            "identified": bool(pinned[k]),
        }
        for k, p in enumerate(form.parameters)
    }
    return _head(curve.group) | {
        "status": status,
        "parameters": parameters,
        "level": settings.level,
        "reference": dict(zip(curve.group.columns, curve.design.reference.tolist(), strict=True)),
        "objective": curve.fit.objective,
        "optimum": {
            "gradient_norm": curve.fit.gradient_norm,
            "converged": curve.fit.converged,
            "starts": curve.fit.starts,
            "agreeing": curve.fit.agreeing,
        },
        "noise": {
            "run": float(np.sqrt(result.evidence.run_variance)),
            "run_freedom": result.evidence.run_freedom,
            "residual": finite(np.sqrt(result.evidence.residual_variance)),
            "residual_freedom": result.evidence.residual_freedom,
            "test_set": float(curve.sample.noise.mean()),
        },
        "aicc": _aicc(curve, form),
        "profiles": _profiles(result, law=law, settings=settings),
        "points": _points(curve.group, _predictions(form, curve)),
        "held_out": _held_out(result, law=law, settings=settings),
        "band": _band(result, law=law, settings=settings),
        "verdict": verdict,
        **result.extra,
    }


def finite(value: float) -> float | None:
    """JSON has no NaN and no infinity: null."""
    return float(value) if np.isfinite(value) else None


def _finites(values: Array) -> list[float | None]:
    return [finite(value) for value in values]


def _head(group: Group) -> dict:
    return {"group": group.key, "metric": group.metric, "scale": group.scale, "columns": list(group.columns)}


def _without_fit(result: Unfitted, law: Law) -> dict:
    unknown = {"estimate": None, "low": None, "high": None, "identified": False}
    text = f"{law.form.name} cannot be fitted: {result.reason}."
    return {
        "status": Status.TOO_FEW_POINTS,
        "parameters": {p.name: unknown | {"unit": p.unit} for p in law.form.parameters},
        "objective": None,
        "points": _points(result.group, np.full(len(result.group.points), np.nan)),
        "held_out": None,
        "band": None,
        "verdict": {
            "monotone": None,
            "p_value": None,
            "law_holds": None,
            "law_p_value": None,
            "identified": False,
            "text": text,
        },
    }


def _verdict(result: Fitted, *, law: Law, settings: FitSettings, pinned: Array) -> dict:
    form, curve = law.form, result.curve
    log, jacobian = form.log_prediction(curve.least.theta, curve.design)
    free = (curve.least.theta[0] > form.lower) & (curve.least.theta[0] < form.upper)
    misfit = result.misfit
    scale, error = None, result.error
    if result.evidence.growth:
        scale = np.exp(result.evidence.growth * curve.design.logs[:, ladder_of(curve.group.columns)])
        error = pure_error(log_values=curve.log_values, cells=cells_of(curve.sample.x), runs=curve.sample.runs, scale=scale)
    if misfit == "F":
        misfit = lack_of_fit(
            residuals=curve.log_values - log[0],
            jacobian=jacobian[0][:, free],
            cells=cells_of(curve.sample.x),
            runs=curve.sample.runs,
            error=error,
            scale=scale,
        )
    order = None
    if "pretraining_tokens" in curve.group.columns:
        everything = sample_of(curve.group, ("fit", "held-out"))
        ladder = ladder_of(curve.group.columns)
        lines = cells_of(np.delete(everything.x, ladder, axis=1)) if everything.x.shape[1] > 1 else np.zeros(len(everything.x), int)
        found = [
            monotone_p_value(
                log_values=np.log(everything.values[lines == line]),
                x=everything.x[lines == line, ladder],
                runs=everything.runs[lines == line],
                error=result.error,
                direction=1 if law.kind == "score" else -1,
                generator=generator(settings.seed, "monotone", form.name, curve.group.metric, sorted(curve.group.key.items())),
            )
            for line in np.unique(lines)
        ]
        found = [p for p in found if p is not None]
        order = min(1.0, len(found) * min(found)) if found else None  # Bonferroni over the lines of a surface
    own = [k for k, p in enumerate(form.parameters) if p.scale_free and not p.derived]
    return {
        "monotone": None if order is None else bool(order >= settings.significance),
        "p_value": order,
        "law_holds": None if misfit is None else bool(misfit >= settings.significance),
        "law_p_value": misfit,
        "identified": bool(pinned[own].all()),
        "text": "",
    }


def _status(form: Form, curve: PointCurve, verdict: dict) -> tuple[Status, str]:
    if np.ptp(curve.log_values) == 0:
        return Status.NOT_IDENTIFIED, "every value is the same"
    if not curve.fit.converged and not curve.undetermined:
        return Status.NOT_CONVERGED, "the optimiser did not reach an optimum"
    if verdict["law_holds"] is False or verdict["monotone"] is False:
        return Status.REJECTED, ""
    if curve.undetermined:
        return Status.NOT_IDENTIFIED, "the points cannot tell some parameters apart"
    if np.any(curve.fit.theta >= form.upper):
        return Status.BOUND_HIT, "a parameter ended at the edge of its allowed range"
    return (Status.CONVERGED if verdict["identified"] else Status.NOT_IDENTIFIED), ""


def _predictions(form: Form, curve: PointCurve) -> Array:
    x = curve.group.points[list(curve.group.columns)].to_numpy(float)
    inside = np.isfinite(x).all(axis=1) & (x > 0).all(axis=1)
    predictions = np.full(len(x), np.nan)
    predictions[inside] = form.predict(curve.fit.theta[None], curve.design.at(x[inside]))[0]
    return predictions


def _points(group: Group, predictions: Array) -> list[dict]:
    rows = []
    for point, prediction in zip(group.points.to_dict("records"), predictions, strict=True):
        value = point["value"]
        comparable = value > 0 and prediction > 0  # false for NaN
        rows.append(
            {
                "row": int(point["row"]),
                "seed": point["seed"],
                "mixture": point["mixture"],
                **{column: finite(point[column]) for column in group.columns},
                "value": finite(value),
                **{column: finite(point[column]) for column in group.extras},
                "role": point["role"],
                "reason": point["reason"],
                "prediction": finite(prediction),
                "residual": finite(np.log(value / prediction)) if comparable else None,
            }
        )
    return rows


def _aicc(curve: PointCurve, form: Form) -> float | None:
    """Small-sample Akaike criterion of the least-squares fit to log values; comparable between laws on the same points."""
    count, free, squares = len(curve.log_values), form.size + 1, 2 * float(curve.least.objective[0])
    if count - free - 1 <= 0 or squares <= 0:
        return None
    return count * np.log(squares / count) + 2 * free + 2 * free * (free + 1) / (count - free - 1)


def _profiles(result: Fitted, *, law: Law, settings: FitSettings) -> dict:
    """Profile of every asymptote and gap, in the unit of the value."""
    form, curve, found = law.form, result.curve, {}
    if not len(result.draws.thetas) or np.ptp(curve.log_values) == 0:
        return found
    for parameter in form.parameters:
        if not parameter.profiled:
            continue
        line = profile(
            form=form,
            design=curve.design,
            log_values=curve.log_values,
            fit=curve.fit,
            draws=result.draws,
            delta=settings.delta,
            index=parameter.internal,
            level=settings.level,
        )
        unit = np.exp(curve.design.level)
        found[parameter.name] = {
            "values": (line.values * unit).tolist(),
            "objective": line.objective.tolist(),
            "threshold": line.threshold,
            "low": finite(line.low * unit),
            "high": finite(line.high * unit),
        }
    return found


def _held_out(result: Fitted, *, law: Law, settings: FitSettings) -> dict | None:
    """Errors on the points that were predicted, not fitted; `inside` is the share within the interval of one new run."""
    curve, form = result.curve, law.form
    held = sample_of(curve.group, ("held-out",))
    if not len(held.values):
        return None
    read = held.values > 0  # a D_T may not be, or not be known
    if not read.any():
        return {"points": len(held.values), "are": None, "huber": None, "r2_log": None, "inside": result.inside}
    count, held = len(held.values), Sample(held.x[read], held.values[read], held.runs[read], held.noise[read])
    design = curve.design.at(held.x)
    prediction = form.predict(curve.fit.theta[None], design)[0]
    with np.errstate(divide="ignore"):
        residuals = np.log(held.values / prediction)
    spread = np.log(held.values) - np.log(held.values).mean()
    several = len(np.unique(held.x, axis=0)) > 1
    inside = None if result.inside == "draws" else result.inside
    if result.inside == "draws" and len(result.draws.thetas) and result.evidence.residual_freedom:
        noise = draw_noise(
            runs=held.runs,
            test_noise=held.noise,
            evidence=result.evidence,
            count=len(result.draws.thetas),
            along=design.logs[:, ladder_of(curve.group.columns)],
            generator=generator(settings.seed, "held-out", form.name, curve.group.metric, sorted(curve.group.key.items())),
        )
        low, high = interval(form.predict(result.draws.thetas, design) * np.exp(noise), settings.level)
        near = 1e-6 * held.values  # values that are exact differ by rounding
        inside = float(((low - near <= held.values) & (held.values <= high + near)).mean())
    return {
        "points": count,
        # outside the law's domain (a falling score) it predicts nothing: null, not a number
        "are": finite(float(np.mean(np.abs(held.values - prediction) / held.values))),
        "huber": finite(float(huber(residuals, settings.delta).sum())),
        "r2_log": finite(float(1 - (residuals @ residuals) / (spread @ spread))) if several and spread @ spread > 0 else None,
        "inside": inside,
    }


def _band(result: Fitted, *, law: Law, settings: FitSettings) -> dict:
    """Prediction and interval along the first x column, for every combination of the others that was measured."""
    curve, form = result.curve, law.form
    seen = sample_of(curve.group, ("fit", "held-out")).x
    line = np.geomspace(seen[:, 0].min(), seen[:, 0].max() * settings.extrapolation, BAND_POINTS)
    others = np.unique(seen[:, 1:], axis=0)
    x = np.vstack([np.column_stack([line, np.tile(other, (len(line), 1))]) for other in others])
    design = curve.design.at(x)
    estimate = form.predict(curve.fit.theta[None], design)[0]
    low, high = interval(form.predict(result.draws.thetas, design), settings.level, estimate, form.edges(result.draws.thetas))
    return {
        **{column: x[:, j].tolist() for j, column in enumerate(curve.group.columns)},
        "estimate": _finites(estimate),
        "low": _finites(low),
        "high": _finites(high),
    }
