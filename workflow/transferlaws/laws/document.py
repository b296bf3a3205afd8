"""The document of a fitted law, `laws/<law>.json`: its type, which generates `fits.schema.json`, and what it may be used for.

Every number is finite: null is unknown, or, in an interval, unbounded.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from transferlaws.errors import UserError
from transferlaws.files import sha256
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.verdict import Status

SCHEMA = 2


class Part(BaseModel):
    """A part of the document: read-only, without keys that it does not know, without NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Estimate(Part):
    """A parameter of the equation, or a quantity derived from it, with its interval."""

    estimate: float | None
    low: float | None
    high: float | None
    unit: str
    identified: bool


class Internal(Part):
    """The fit in the parameters in which it was made, from which every prediction follows: those of the centred equation."""

    estimate: list[float]
    centre: list[float] = Field(description="mean of ln(x) of the fitted points, per x column")
    log_level: float = Field(description="mean of ln(value) of the fitted points")
    draws: int = Field(description="bootstrap refits in the file of draws; 0 where the noise is not known")


class Optimum(Part):
    """How the optimiser ended."""

    gradient_norm: float
    converged: bool
    starts: int
    agreeing: int


class Noise(Part):
    """Standard deviations in log units."""

    run: float
    run_freedom: int
    residual: float | None
    residual_freedom: int
    test_set: float


class Profile(Part):
    """The objective with an asymptote or gap held at each of `values`."""

    values: list[float]
    objective: list[float]
    threshold: float
    low: float | None
    high: float | None


class Point(Part):
    """A row of the table: its x columns (and what the law derives from it) stand beside these keys."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None]

    row: int = Field(description="line of the measurement table")
    seed: int | float | str
    mixture: str
    value: float | None
    role: Literal["fit", "held-out", "excluded", "baseline"]
    reason: str = Field(description="why it was not fitted; empty where it was")
    prediction: float | None
    residual: float | None = Field(description="ln(value / prediction)")

    @model_validator(mode="after")
    def _says_why(self) -> "Point":
        if self.role != "fit" and not self.reason:
            raise ValueError(f"row {self.row} is {self.role} without a reason")
        return self


class HeldOut(Part):
    """Errors on the points that were predicted, not fitted."""

    points: int
    are: float | None = Field(description="mean absolute relative error; null where a point is outside the law's domain")
    huber: float | None
    r2_log: float | None
    inside: float | None = Field(description="share within the interval of one new run")


class Verdict(Part):
    """What the points say of the law."""

    monotone: bool | None
    p_value: float | None
    law_holds: bool | None
    law_p_value: float | None
    identified: bool
    text: str


def _one_length(band: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    missing = {"estimate", "low", "high"} - set(band)
    if missing or len({len(values) for values in band.values()}) != 1:
        raise ValueError("a band has estimate, low, high and x columns, all of one length")
    return band


Band = Annotated[dict[str, list[float | None]], AfterValidator(_one_length)]


class Fit(Part):
    """The law fitted to one curve. Without points enough, what needs a fit is left out or null."""

    group: dict[str, float | str] = Field(description="the columns of the table that the law is not a function of")
    metric: str
    scale: str
    columns: list[str] = Field(description="x columns in the order of the equation")
    status: Status
    parameters: dict[str, Estimate]
    level: float | None = None
    reference: dict[str, float] | None = Field(None, description="geometric mean of the fitted points, by x column")
    internal: Internal | None = None
    objective: float | None
    optimum: Optimum | None = None
    noise: Noise | None = None
    aicc: float | None = None
    profiles: dict[str, Profile] | None = None
    points: list[Point]
    held_out: HeldOut | None
    band: Band | None
    verdict: Verdict
    data_limits: dict[str, float | None] | None = Field(None, description="effective-data: D(N) by N")

    @property
    def was_fitted(self) -> bool:
        """Whether there were points enough to fit the law at all."""
        return self.status != Status.TOO_FEW_POINTS

    @property
    def mistrust(self) -> str:
        """Why the law forecasts nothing: what it did; empty if it may forecast.

        Parameters that are not identified are no reason: the band says how loosely they hold the prediction, the held-out rung how
        well.
        """
        reasons = {
            Status.BOUND_HIT: "ended with a parameter at the edge of its allowed range",
            Status.REJECTED: "is contradicted by the points, by more than noise",
            Status.NOT_CONVERGED: "did not reach an optimum",
            Status.TOO_FEW_POINTS: "has too few points",
        }
        if self.status in reasons:
            return reasons[self.status]
        if self.held_out is None:
            return "was tested on no held-out rung"
        if self.held_out.inside is not None and self.held_out.inside < 0.5:
            return f"has only {self.held_out.inside:.0%} of the held-out points within its interval"
        return ""

    @property
    def may_forecast(self) -> bool:
        """Whether the law may say what was not measured."""
        return not self.mistrust

    @property
    def may_split(self) -> bool:
        """Whether a budget may be split by the law: its optimum was found, and no point contradicts it."""
        return self.status not in (Status.REJECTED, Status.NOT_CONVERGED, Status.TOO_FEW_POINTS)

    @property
    def state(self) -> str:
        """How far a reader may trust the curve: 'holds', 'untested', 'not identified', or a status in words that has no curve."""
        if self.status in (Status.REJECTED, Status.NOT_CONVERGED, Status.BOUND_HIT, Status.TOO_FEW_POINTS):
            return self.status.replace("-", " ")
        if self.verdict.law_holds is False or self.verdict.monotone is False:
            return "rejected"
        if self.status != Status.CONVERGED or not self.verdict.identified:
            return "not identified"
        return "untested" if self.verdict.law_holds is None else "holds"

    @property
    def may_draw(self) -> bool:
        """Whether the fit may be drawn as a curve."""
        return self.state in ("holds", "untested", "not identified")

    @property
    def fitted_to(self) -> float:
        """Largest pretraining tokens among the points the fit used; NaN where they are no x of the law."""
        if "pretraining_tokens" not in self.columns:
            return math.nan
        return max((point.pretraining_tokens for point in self.points if point.role == "fit"), default=math.nan)

    def covers(self, **keys: object) -> bool:
        """Whether the group agrees with every one of `keys` that it has."""
        return all(self.group[key] == value for key, value in keys.items() if key in self.group)


class Provenance(Part):
    """From what, by what, with which seed the law was fitted."""

    version: str
    measurements: str | None = Field(description="path of the table; null where the law was fitted to arrays")
    measurements_sha256: str | None
    seed: int


class DrawsFile(Part):
    """The bootstrap's draws, an npz file beside the document: `<index of the fit>/<parameter>`, each of shape (draws,).

    `<index>/internal`, of shape (draws, number of internal parameters), are those that predictions are made of.
    """

    file: str
    sha256: str


class FitDocument(Part):
    """A law fitted to every curve of a measurement table. null is unknown, or, in an interval, unbounded."""

    model_config = ConfigDict(title="laws/<law>.json", serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    schema_: Literal[SCHEMA] = Field(SCHEMA, alias="schema")
    law: str
    equation: str
    source: str
    protocol: FitSettings = Field(description="the settings, with every null replaced by the value used")
    provenance: Provenance
    draws: DrawsFile
    fits: list[Fit]

    def find(self, metric: str | None = None, **keys: object) -> Fit | None:
        """The first fit (of `metric`) whose group agrees with `keys`."""
        return next((fit for fit in self.fits if metric in (None, fit.metric) and fit.covers(**keys)), None)


def read_documents(paths: Sequence[str | Path], measurements: str | Path) -> dict[str, FitDocument]:
    """The documents of laws fitted to one table, by law; `UserError` for one of another table."""
    found, expected = {}, sha256(measurements)
    for path in paths:
        document = read_document(path)
        if document.provenance.measurements_sha256 != expected:
            raise UserError(f"{path}: was fitted to another table than {measurements}. Fit it again.")
        found[document.law] = document
    return found


def read_document(path: str | Path) -> FitDocument:
    """Read and validate a document; `UserError` naming the key of what is wrong."""
    try:
        return FitDocument.model_validate_json(Path(path).read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Pass the files that `transferlaws fit` wrote.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: not a fit: {where or 'document'}: {first['msg']}. Run `transferlaws fit` again.") from None
