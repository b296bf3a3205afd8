"""The measurement table cut into the curves of a law. No row disappears without a reason."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from transferlaws.errors import UserError
from transferlaws.laws.law import Law
from transferlaws.laws.settings import FitSettings
from transferlaws.measurements.columns import LOSSES, SCORES
from transferlaws.measurements.table import diverged, numbers


@dataclass(frozen=True)
class Group:
    """One curve: every row that belongs to it, with its role.

    `points` has the columns row (line of the CSV file, the header is line 1), seed, run, mixture, the law's x columns, value,
    noise (standard deviation of the value over test sets, 0 where unknown), role (fit, held-out, excluded, baseline), reason.
    """

    key: dict[str, object]
    metric: str
    scale: str
    columns: tuple[str, ...]
    points: pd.DataFrame
    extras: tuple[str, ...] = ()
    """Further columns of `points` that belong into a report."""


def metrics_of(table: pd.DataFrame, law: Law, chosen: list[str] | None) -> list[str]:
    """Metric columns to fit: the chosen ones, else every score of the table, or the cross-entropy."""
    wanted = chosen or (list(SCORES) if law.kind == "score" else ["cross_entropy"])
    known = SCORES if law.kind == "score" else LOSSES
    for metric in wanted:
        if metric not in known:
            raise UserError(f"metrics: {metric!r} is no {law.kind} that {law.form.name} can fit; known are {', '.join(known)}.")
    found = [metric for metric in wanted if metric in table.columns and table[metric].notna().any()]
    if chosen and found != wanted:
        raise UserError(f"metrics: {', '.join(m for m in wanted if m not in found)} is not in the table or empty in every row.")
    if not found and law.kind == "loss":
        raise UserError(f"{law.form.name}: the table has no column cross_entropy with a value in it.")
    return found


def groups_of(table: pd.DataFrame, *, law: Law, metric: str, settings: FitSettings) -> list[Group]:
    """Cut a validated table into the law's curves.

    `settings` are resolved (`protocols.resolve`). Rows with D_p = 0 are the baseline of every curve of their task, model and D_f
    where the law's x includes D_p.
    """
    columns = tuple(settings.columns)
    for column in columns:
        if column not in table.columns:
            raise UserError(f"{law.form.name}: the table has no column {column}, an x of {law.form.equation}.")
    table = table.assign(**{column: numbers("measurements", table, column) for column in columns})
    _one_way_of_measuring(table, metric)
    scratch = table.pretraining_tokens == 0
    own = {"pretrained": ~scratch, "scratch": scratch, "all": pd.Series(True, index=table.index)}[law.rows]
    groups = []
    keys = [key for key in law.group if key not in columns and key not in (settings.across or ())]
    for key, rows in table[own].groupby(keys, sort=True):
        named = dict(zip(keys, key if isinstance(key, tuple) else (key,), strict=True))
        baseline = table[scratch] if law.rows == "pretrained" else table.iloc[:0]
        for name, value in named.items():
            if name not in ("mixture", "pretraining_tokens"):
                baseline = baseline[baseline[name] == value]
        points = _points(pd.concat([rows, baseline]), metric, columns, baseline.index)
        points = mark_held_out(points, law, columns, settings)
        named = {k: v.item() if isinstance(v, np.generic) else v for k, v in named.items()}
        scale = {**SCORES, **LOSSES}[metric]
        groups.append(Group(named, metric, scale, columns, points))
    return groups


def _one_way_of_measuring(table: pd.DataFrame, metric: str) -> None:
    for column in (f"{metric}_signature", "test_sha256"):
        if column not in table.columns:
            continue
        for task, rows in table[table[metric].notna()].groupby("task"):
            found = rows[column].dropna().drop_duplicates()
            if len(found) > 1:
                first = [int(rows.row[rows[column] == value].iloc[0]) for value in found[:2]]
                raise UserError(
                    f"task {task}: {column} differs between row {first[0]} ({found.iloc[0]}) and row {first[1]} ({found.iloc[1]}). "
                    f"Values of {metric} measured in different ways cannot share a law: score them again in one way."
                )


def _points(rows: pd.DataFrame, metric: str, columns: tuple[str, ...], baseline: pd.Index) -> pd.DataFrame:
    noise = rows[f"{metric}_noise"].fillna(0.0) if f"{metric}_noise" in rows.columns else 0.0
    points = pd.DataFrame(
        {
            "row": rows.row,
            "seed": rows.seed,
            "mixture": rows.mixture,
            "rung": rows.pretraining_tokens,
            "value": rows[metric],
            "noise": noise,
        }
    )
    for column in columns:
        points[column] = rows[column]
    trajectory = rows[["model", "mixture", "seed"]].astype(str).agg("/".join, axis=1)
    points["run"] = pd.factorize(trajectory, sort=True)[0]
    points["role"], points["reason"] = "fit", ""

    def exclude(which: pd.Series, reason: str) -> None:
        which = which & (points.role == "fit")
        points.loc[which, ["role", "reason"]] = ["excluded", reason]

    exclude(diverged(rows), "training diverged")
    exclude(points.value.isna(), f"{metric} is empty")
    exclude(points.value <= 0, f"{metric} is not positive: it has no logarithm")
    fit = points.role == "fit"
    points.loc[fit & points.index.isin(baseline), ["role", "reason"]] = ["baseline", "no pretraining: D_p = 0 has no logarithm"]
    for column in columns:
        exclude(points[column].isna(), f"{column} is empty")
        exclude(points[column] <= 0, f"{column} is 0: it has no logarithm")
    return points.sort_values([*columns, "seed", "row"]).reset_index(drop=True)


def mark_held_out(points: pd.DataFrame, law: Law, columns: tuple[str, ...], settings: FitSettings) -> pd.DataFrame:
    """Mark the largest rungs as held out, as many as leave the law with its smallest number of rungs."""
    fit = points.role == "fit"
    rungs = np.sort(points[columns[0]][fit].unique())
    wanted = settings.held_out_rungs if settings.fitted_rungs is None else len(rungs) - settings.fitted_rungs
    count = max(0, min(wanted, len(rungs) - law.form.minimum_distinct[0]))
    if count:
        held = fit & points[columns[0]].isin(rungs[-count:])
        points.loc[held, ["role", "reason"]] = [
            "held-out",
            f"{columns[0]} is among the {count} largest" if count > 1 else f"largest {columns[0]}",
        ]
    return points
