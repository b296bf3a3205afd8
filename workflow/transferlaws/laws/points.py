"""A fit's points and band as its document holds them."""

import numpy as np

from transferlaws.laws.estimate import Fitted, PointCurve, sample_of
from transferlaws.laws.forms.form import Form
from transferlaws.laws.groups import Group
from transferlaws.laws.law import Law
from transferlaws.laws.settings import FitSettings
from transferlaws.statistics.arrays import Array
from transferlaws.statistics.intervals import interval

BAND_POINTS = 40


def finite(value: float) -> float | None:
    """JSON has no NaN and no infinity: null."""
    return float(value) if np.isfinite(value) else None


def finites(values: Array) -> list[float | None]:
    """An array as JSON: null where it is not finite."""
    return [finite(value) for value in values]


def predictions_of(form: Form, curve: PointCurve) -> Array:
    """The law at every point of its group, (n,); NaN where an x is unknown or zero."""
    x = curve.group.points[list(curve.group.columns)].to_numpy(float)
    inside = np.isfinite(x).all(axis=1) & (x > 0).all(axis=1)
    predictions = np.full(len(x), np.nan)
    predictions[inside] = form.predict(curve.fit.theta[None], curve.design.at(x[inside]))[0]
    return predictions


def points_of(group: Group, predictions: Array) -> list[dict]:
    """Every row of the group as a `Point` of the document; predictions (n,)."""
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


def band_of(result: Fitted, *, law: Law, settings: FitSettings) -> dict:
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
        "estimate": finites(estimate),
        "low": finites(low),
        "high": finites(high),
    }
