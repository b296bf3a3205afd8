"""What figures read: the measurement table and the fits."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pandas as pd

from transferlaws.errors import UserError
from transferlaws.files import read_json, sha256
from transferlaws.laws import verdict
from transferlaws.measurements.table import read_measurements, usable

PANEL = ["model", "task", "finetuning_size", "finetuning_unit"]
SCRATCH = "scratch"
LEVEL = 0.9  # of intervals of measured means and their differences


@dataclass(frozen=True)
class Fit:
    """One fit of one law to one group, as `laws/<law>.json` holds it."""

    law: str
    group: dict
    metric: str
    status: str
    parameters: dict = field(default_factory=dict)
    points: tuple[dict, ...] = ()
    band: dict = field(default_factory=dict)
    verdict: dict = field(default_factory=dict)
    level: float = math.nan
    document: dict = field(default_factory=dict, repr=False)

    @property
    def state(self) -> str:
        """How far a figure may trust the curve, in words."""
        return verdict.state(self.status, self.verdict)

    @property
    def has_curve(self) -> bool:
        """Whether the fit may be drawn as a curve at all."""
        return verdict.may_draw(self.status, self.verdict)

    @property
    def fitted_to(self) -> float:
        """Largest pretraining tokens among the points the fit used."""
        return max(
            (p["pretraining_tokens"] for p in self.points if p["role"] == "fit" and "pretraining_tokens" in p), default=math.nan
        )

    def covers(self, **keys: object) -> bool:
        """Whether the fit's group agrees with every one of `keys` that it has."""
        return all(self.group[key] == value for key, value in keys.items() if key in self.group)


def read_table(path: str | Path) -> pd.DataFrame:
    """The validated measurement table; its path goes with it, for messages."""
    table = read_measurements(path)
    table.attrs["path"] = str(path)
    return table


def require(table: pd.DataFrame, columns: Iterable[str], path: str | Path | None = None) -> None:
    """Raise `UserError` naming the columns that the table lacks."""
    path = path or table.attrs.get("path", "measurement table")
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise UserError(
            f"{path}: lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has {', '.join(table.columns)}."
        )


def valued(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The usable rows with a finite value in each of `columns`; `UserError` where none remain."""
    require(table, columns)
    rows = usable(table.dropna(subset=list(columns)))
    if rows.empty:
        path = table.attrs.get("path", "measurement table")
        raise UserError(f"{path}: no row of what is drawn has a value in {' and '.join(columns)}.")
    return rows


def read_fits(paths: Sequence[str | Path], measurements: str | Path) -> list[Fit]:
    """All fits of the given `laws/<law>.json` files; a file that holds no fits, or fits of another table, is an error."""
    fits = []
    for path in paths:
        document = read_json(path)
        if not isinstance(document, dict) or "fits" not in document:
            raise UserError(f"{path}: not a fit: it lacks the key `fits`. Pass the files that `transferlaws fit` wrote.")
        if document.get("provenance", {}).get("measurements_sha256") != sha256(measurements):
            raise UserError(f"{path}: was fitted to another table than {measurements}. Fit it again.")
        for fit in document["fits"]:
            try:
                fits.append(
                    Fit(
                        law=document["law"],
                        group=fit["group"],
                        metric=fit["metric"],
                        status=fit["status"],
                        parameters=fit.get("parameters") or {},
                        points=tuple(fit.get("points") or ()),
                        band=fit.get("band") or {},
                        verdict=fit.get("verdict") or {},
                        level=fit.get("level") or math.nan,
                        document=fit,
                    )
                )
            except (KeyError, TypeError) as error:
                raise UserError(f"{path}: a fit lacks {error}; the file is not in the format of `transferlaws fit`.") from None
    return fits


def find(fits: Iterable[Fit], law: str, metric: str | None = None, **keys: object) -> Fit | None:
    """The first fit of `law` (and `metric`) whose group agrees with `keys`."""
    return next((fit for fit in fits if fit.law == law and metric in (None, fit.metric) and fit.covers(**keys)), None)


def by_size(table: pd.DataFrame) -> list[str]:
    """The table's models from small to large; where sizes are unknown, in order of first appearance."""
    models = list(dict.fromkeys(table["model"]))
    if "parameters_non_embedding" not in table:
        return models
    sizes = table.groupby("model")["parameters_non_embedding"].min()
    return sorted(models, key=lambda model: sizes[model] if sizes[model] == sizes[model] else math.inf)


def panels(table: pd.DataFrame) -> list[tuple[dict, pd.DataFrame]]:
    """(keys, rows) for each (model, task, D_f), models by size, tasks in order of first appearance, D_f rising."""
    groups = [(dict(zip(PANEL, keys, strict=True)), rows) for keys, rows in table.groupby(PANEL, sort=False)]
    tasks = list(dict.fromkeys(table["task"]))
    order = {(model, task): place for place, (model, task) in enumerate(product(by_size(table), tasks))}
    return sorted(groups, key=lambda group: (order[group[0]["model"], group[0]["task"]], group[0]["finetuning_size"]))
