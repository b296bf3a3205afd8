"""A fitted law with its draws: it predicts, and is saved and read again without being fitted again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

import transferlaws
from transferlaws.errors import UserError
from transferlaws.files import atomic, check_sha256, sha256, write_json
from transferlaws.laws.document import DrawsFile, Estimate, Fit, FitDocument, Provenance, read_document
from transferlaws.laws.forms.form import Design, Form
from transferlaws.laws.law import Law
from transferlaws.laws.registry import LAWS
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.verdict import Status
from transferlaws.statistics.arrays import Array
from transferlaws.statistics.intervals import interval


@dataclass(frozen=True)
class LawFit:
    """One fitted curve."""

    law: str
    fit: Fit
    """The fit as in `laws/<law>.json`."""
    internal: Array
    """Draws of the internal parameters, (B, P); B is 0 where the noise is not known."""
    protocol: FitSettings

    @property
    def form(self) -> Form:
        """The equation."""
        return LAWS[self.law].form

    @property
    def status(self) -> Status:
        """How the fit ended."""
        return self.fit.status

    @property
    def parameters(self) -> dict[str, Estimate]:
        """Every parameter with its interval."""
        return self.fit.parameters

    @property
    def draws(self) -> dict[str, Array]:
        """Bootstrap draws of every parameter by name, each (B,); infinite where a draw does not bound it."""
        return natural_draws(self.form, self.internal, self._design()) if len(self.internal) else {}

    def natural_estimate(self) -> Array:
        """The estimate of every parameter of `parameters`, in their order, infinite where it is unbounded."""
        return self.form.natural(np.array([self.fit.internal.estimate]), self._design())[0]

    def at(self, x: ArrayLike) -> tuple[Array, Array]:
        """Estimates (m,) in the unit of the values, and their draws (B, m); x (m, d) or (m,)."""
        design = self._design().at(matrix(x, len(self.form.columns), self.law))
        estimate = self.form.predict(np.array([self.fit.internal.estimate]), design)[0]
        return estimate, self.form.predict(self.internal, design)

    def predict(self, x: ArrayLike, *, level: float | None = None) -> tuple[Array, Array, Array]:
        """Estimate, low and high in the unit of the values, each of shape (m,); x (m, d), (m,) or one number.

        NaN ends without known noise. `level` is the interval's coverage, a share; left out: that of the fit's settings. Raises
        `UserError` for a level that is no share and where nothing was fitted.
        """
        level = self.protocol.level if level is None else level
        if not 0 < level < 1:
            raise UserError(f"level: {level:g}; a level is a share between 0 and 1, such as 0.9 for intervals of 90 %.")
        estimate, draws = self.at(x)
        return estimate, *interval(draws, level, estimate, self.form.edges(self.internal))

    def to_frame(self) -> pd.DataFrame:
        """One row per parameter: estimate, low, high, unit, identified."""
        frame = pd.DataFrame([p.model_dump() for p in self.parameters.values()], index=list(self.parameters))
        return frame.rename_axis("parameter")

    def summary(self) -> str:
        """The fit in words and numbers, for the terminal."""
        roles = [point.role for point in self.fit.points]
        lines = [f"{self.law}: {self.form.equation}"]
        lines.append(f"status {self.status}; {roles.count('fit')} points fitted, {roles.count('held-out')} held out")
        if self.fit.was_fitted:
            width = max(map(len, self.parameters))
            lines.append(f"{'':{width}}  {'estimate':>10}  {f'{self.fit.level:.0%} interval':>24}")
            for name, p in self.parameters.items():
                ends = "[" + ", ".join("unbounded" if end is None else f"{end:.4g}" for end in (p.low, p.high)) + "]"
                estimate = "unbounded" if p.estimate is None else f"{p.estimate:.4g}"
                note = "" if p.identified else "  not identified"
                lines.append(f"{name:{width}}  {estimate:>10}  {ends:>24}  {p.unit}{note}".rstrip())
        return "\n".join([*lines, self.fit.verdict.text])

    def plot(self, axes: object = None) -> object:
        """Points, law and band against the first x column; on new matplotlib axes where none are given. Returns the axes."""
        import matplotlib.pyplot as plt

        axes = plt.subplots()[1] if axes is None else axes
        column, band = self.fit.columns[0], self.fit.band
        for role, face in (("fit", None), ("held-out", "none")):
            points = [point for point in self.fit.points if point.role == role]
            axes.plot([getattr(p, column) for p in points], [p.value for p in points], "o", mfc=face, color="C0", label=role)
        lines = pd.DataFrame(band or {column: [], "estimate": [], "low": [], "high": []}, dtype=float)
        for _, line in lines.groupby(self.fit.columns[1:]) if self.fit.columns[1:] else [("", lines)]:
            axes.plot(line[column], line["estimate"], color="C1")
            axes.fill_between(line[column], line["low"], line["high"], color="C1", alpha=0.2)
        axes.set(xscale="log", xlabel=column, ylabel=self.fit.metric)
        axes.legend()
        return axes

    def save(self, path: str | Path) -> None:
        """Write the document at `path` (a name in .json) and its draws beside it."""
        write_fits(path, law=LAWS[self.law], settings=self.protocol, fits=[self], measurements=None)

    @staticmethod
    def load(path: str | Path, **keys: object) -> "LawFit":
        """Read a fit; of a document with several, the one whose group agrees with `keys`."""
        found = [fit for fit in read_fits(path) if fit.fit.covers(**keys)]
        if len(found) != 1:
            raise UserError(
                f"{path}: {len(found)} fits agree with {keys or 'no keys'}; expected one. The groups are "
                f"{'; '.join(str(fit.fit.group) for fit in read_fits(path)[:5])}."
            )
        return found[0]

    def _design(self) -> Design:
        if self.fit.internal is None:
            raise UserError(f"{self.law}: nothing was fitted: {self.fit.verdict.text}")
        centre = np.array(self.fit.internal.centre)
        nowhere = np.empty((0, len(centre)))
        return Design(x=nowhere, logs=nowhere, centre=centre, level=self.fit.internal.log_level)


def natural_draws(form: Form, internal: Array, design: Design) -> dict[str, Array]:
    """Draws of the equation's named parameters, each (B,), from internal ones (B, P)."""
    return dict(zip((p.name for p in form.parameters), form.natural(internal, design).T, strict=True))


def write_fits(
    path: str | Path, *, law: Law, settings: FitSettings, fits: Sequence[LawFit], measurements: str | Path | None
) -> None:
    """Write the document of one law's fits, and their draws in the npz file of the same name.

    `settings` are resolved; `measurements` is the table, None for arrays. Raises `UserError` for a draw that is not finite.
    """
    path = Path(path)
    arrays: dict[str, Array] = {}
    for index, fit in enumerate(fits):
        if not np.isfinite(fit.internal).all():
            raise UserError(f"{law.form.name}: a draw of {fit.fit.group} is not finite. Fit it again with another protocol.")
        if len(fit.internal):
            arrays |= {f"{index}/{name}": values for name, values in fit.draws.items()} | {f"{index}/internal": fit.internal}
    draws = path.with_suffix(".npz")
    with atomic(draws) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)
    document = FitDocument(
        law=law.form.name,
        equation=law.form.equation,
        source=law.form.source,
        # every setting is written, also those at their default
        protocol=FitSettings.model_validate(settings.model_dump()),
        provenance=Provenance(
            version=transferlaws.__version__,
            measurements=None if measurements is None else str(measurements),
            measurements_sha256=None if measurements is None else sha256(measurements),
            seed=settings.seed,
        ),
        draws=DrawsFile(file=draws.name, sha256=sha256(draws)),
        fits=[fit.fit for fit in fits],
    )
    write_json(path, {"schema": document.schema_} | document.model_dump(mode="json", exclude_unset=True))


def read_fits(path: str | Path, document: FitDocument | None = None, metric: str | None = None) -> list[LawFit]:
    """Every fit of a document (of `metric`), with its draws; `UserError` where the draws are missing, altered or not finite."""
    document = read_document(path) if document is None else document
    file = Path(path).with_name(document.draws.file)
    check_sha256(file, document.draws.sha256, path)
    law, found = LAWS[document.law], []
    with np.load(file, allow_pickle=False) as arrays:
        for index, fit in enumerate(document.fits):
            if metric not in (None, fit.metric):
                continue
            internal = np.empty((0, law.form.size))
            if fit.internal is not None and fit.internal.draws:
                internal = arrays[f"{index}/internal"]
            if not np.isfinite(internal).all():
                raise UserError(f"{file}: a draw of {fit.group} is not finite. Run `transferlaws fit` again.")
            found.append(LawFit(document.law, fit, internal, document.protocol))
    return found


def matrix(x: ArrayLike, width: int, law: str) -> Array:
    """Values of x as (m, width); raises `UserError` for another shape and for values that are not positive and finite."""
    x = np.asarray(x, dtype=float)
    x = np.atleast_1d(x)[:, None] if x.ndim < 2 else x
    if x.ndim != 2 or x.shape[1] != width:
        raise UserError(f"x: shape {x.shape}; {law} needs {width} column{'s' * (width > 1)}.")
    if not (np.isfinite(x).all() and (x > 0).all()):
        first = np.argwhere(~(np.isfinite(x) & (x > 0)))[0]
        raise UserError(f"x: number {first[0]} of column {first[1]} is {x[tuple(first)]}; every x must be positive and finite.")
    return x
