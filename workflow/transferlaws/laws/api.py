"""Fit a law to arrays, without a table: `fit_law(law="cross-entropy-power", x=tokens, values=losses, runs=seeds)`."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from transferlaws.errors import UserError
from transferlaws.laws.document import report
from transferlaws.laws.estimate import Fitted, fit_groups
from transferlaws.laws.groups import Group, mark_held_out
from transferlaws.laws.protocols import resolve
from transferlaws.laws.registry import LAWS
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.verdict import Status
from transferlaws.statistics.arrays import Array
from transferlaws.statistics.intervals import interval


@dataclass(frozen=True)
class LawFit:
    """A fitted law: `parameters`, `status` and `verdict` as in `laws/<law>.json`, and predictions."""

    law: str
    status: Status
    parameters: dict[str, dict]
    report: dict
    result: Fitted | None
    level: float = 0.9
    """Coverage of intervals where none is asked for."""

    def predict(self, x: ArrayLike, *, level: float | None = None) -> tuple[Array, Array, Array]:
        """Estimate, low and high in the unit of the values, each of shape (m,); x (m, d), (m,) or one number.

        NaN ends without known noise. `level` is the interval's coverage, a share; left out: that of the fit's settings. Raises
        `UserError` for a level that is no share and where nothing was fitted.
        """
        level = self.level if level is None else level
        if not 0 < level < 1:
            raise UserError(f"level: {level:g}; a level is a share between 0 and 1, such as 0.9 for intervals of 90 %.")
        if self.result is None:
            raise UserError(f"{self.law}: nothing was fitted: {self.report['verdict']['text']}")
        form, curve = LAWS[self.law].form, self.result.curve
        design = curve.design.at(_matrix(x, len(form.columns), self.law))
        estimate = form.predict(curve.fit.theta[None], design)[0]
        thetas = self.result.draws.thetas
        return estimate, *interval(form.predict(thetas, design), level, estimate, form.edges(thetas))


def fit_law(
    *,
    law: str,
    x: ArrayLike,
    values: ArrayLike,
    runs: ArrayLike | None = None,
    noise: ArrayLike | None = None,
    settings: FitSettings | None = None,
) -> LawFit:
    """Fit one curve.

    x is (n, d) or (n,), positive, in the column order of the law's equation; values (n,) positive; runs (n,) names the trajectory
    (seed) of each point, default: every point its own; noise (n,) is the test-set standard deviation of each value that all points
    share. `effective-data` here takes values of D_T; from losses it needs a table and `transferlaws fit`.

    Raises `UserError` for an unknown law, arrays of unequal length, and values that are not positive and finite.
    """
    if law not in LAWS:
        raise UserError(f"law: {law!r} is unknown; known are {', '.join(LAWS)}.")
    form = LAWS[law].form
    if not (settings is None or isinstance(settings, FitSettings)):
        raise UserError(
            f"settings: {type(settings).__name__}; give FitSettings(...), whose keys are {', '.join(FitSettings.model_fields)}."
        )
    settings = resolve(LAWS[law], settings or FitSettings())
    x = _matrix(x, len(form.columns), law)
    values = np.asarray(values, dtype=float)
    for name, array in (("values", values), ("runs", runs), ("noise", noise)):
        if array is not None and np.shape(array) != (len(x),):
            raise UserError(f"{name}: shape {np.shape(array)}, but x has {len(x)} points.")
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        raise UserError(f"values: number {bad[0]} is {values[bad[0]]}; every value must be positive and finite.")
    if runs is not None and pd.isna(np.asarray(runs)).any():
        first = int(np.flatnonzero(pd.isna(np.asarray(runs)))[0])
        raise UserError(f"runs: number {first} is empty; every point belongs to a run. Left out, each is one of its own.")
    if noise is not None:
        noise = np.asarray(noise, dtype=float)
        bad = np.flatnonzero(~(np.isfinite(noise) & (noise >= 0)))
        if len(bad):
            raise UserError(f"noise: number {bad[0]} is {noise[bad[0]]}; a standard deviation is finite and not negative.")
    points = pd.DataFrame(x, columns=list(form.columns))
    run = np.arange(len(x)) if runs is None else pd.factorize(np.asarray(runs))[0]
    points = points.assign(row=np.arange(len(x)), seed=run, run=run, mixture="", value=values, role="fit", reason="")
    points["noise"] = 0.0 if noise is None else noise
    points = mark_held_out(points, LAWS[law], form.columns, settings)
    (result,) = fit_groups([Group({}, "value", "", form.columns, points)], law=LAWS[law], settings=settings)
    found = report(result, law=LAWS[law], settings=settings)
    return LawFit(
        law, Status(found["status"]), found["parameters"], found, result if isinstance(result, Fitted) else None, settings.level
    )


def _matrix(x: ArrayLike, width: int, law: str) -> Array:
    x = np.asarray(x, dtype=float)
    x = np.atleast_1d(x)[:, None] if x.ndim < 2 else x
    if x.ndim != 2 or x.shape[1] != width:
        raise UserError(f"x: shape {x.shape}; {law} needs {width} column{'s' * (width > 1)}.")
    if not (np.isfinite(x).all() and (x > 0).all()):
        first = np.argwhere(~(np.isfinite(x) & (x > 0)))[0]
        raise UserError(f"x: number {first[0]} of column {first[1]} is {x[tuple(first)]}; every x must be positive and finite.")
    return x
