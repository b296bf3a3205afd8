"""The measurement table: read and validated, then cut into the curves of a law. No row disappears without a reason."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from transferlaws.errors import UserError
from transferlaws.files import check_sums
from transferlaws.laws.registry import Law
from transferlaws.laws.settings import FitSettings

KEY = ("task", "model", "mixture", "finetuning_size", "finetuning_unit", "seed", "pretraining_tokens")
NAMES = ("study", "task", "kind", "model", "mixture", "finetuning_unit", "test_sha256", "status")
SCORES = {"bleu": "0-100", "chrf": "0-100", "comet": "0-1", "rouge": "0-1"}
LOSSES = {
    "cross_entropy": "nats/token",
    "cross_entropy_per_character": "nats/character",
    "dev_cross_entropy": "nats/token",
    "upstream_cross_entropy": "nats/token",
}
NOT_NEGATIVE = ("pretraining_tokens", "pretraining_epochs", "finetuning_size", "parameters_non_embedding", "parameters_total")


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


def read_measurements(path: str | Path) -> pd.DataFrame:
    """Read and validate a measurement table; adds the column `row`, the line in the file.

    Raises `UserError` naming the row and column of a missing column, an empty or non-numeric key, a negative or infinite number,
    and of rows that measure the same thing twice.
    """
    check_sums(Path(path).parent, Path(path).name)
    try:
        table = pd.read_csv(path)
        # names are text as they stand: a mixture may be called NA or 1
        names = pd.read_csv(path, usecols=lambda column: column in NAMES, dtype=str, keep_default_na=False)
        table[names.columns] = names.where(names != "")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Give a CSV table with the columns {', '.join(KEY)} and a metric.") from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{path}: not a CSV table ({error}).") from None
    missing = [column for column in KEY if column not in table.columns]
    if missing:
        raise UserError(f"{path}: missing column {', '.join(missing)}. Needed are {', '.join(KEY)} and at least one metric.")
    if table.empty:
        raise UserError(f"{path}: no rows below the header.")
    table.insert(0, "row", np.arange(2, len(table) + 2))
    for column in KEY:
        empty = table[column].isna()
        if empty.any():
            raise UserError(f"{path}: row {table.row[empty].iloc[0]}: {column} is empty; every measurement needs one.")
    numeric = [c for c in table.columns if c in NOT_NEGATIVE or c in SCORES or c in LOSSES or c.endswith("_noise")]
    for column in numeric:
        table[column] = _numbers(path, table, column)
    repeated = table.duplicated(list(KEY), keep=False)
    if repeated.any():
        first = table[repeated].iloc[0]
        same = table.row[(table[list(KEY)] == first[list(KEY)]).all(axis=1)].tolist()
        raise UserError(
            f"{path}: rows {', '.join(map(str, same))} measure the same thing twice "
            f"({', '.join(f'{k}={first[k]}' for k in KEY)}). Keep one, or tell them apart by seed."
        )
    units = table.groupby("task").finetuning_unit.unique()
    for task, found in units.items():
        if len(found) > 1:
            rows = [int(table.row[(table.task == task) & (table.finetuning_unit == u)].iloc[0]) for u in found]
            raise UserError(
                f"{path}: task {task} mixes finetuning_unit {' and '.join(map(str, found))} (rows {' and '.join(map(str, rows))}). "
                "Sizes in different units cannot share a law: convert one."
            )
    return table


def _numbers(path: str | Path, table: pd.DataFrame, column: str) -> pd.Series:
    values = pd.to_numeric(table[column], errors="coerce")
    wrong = values.isna() & table[column].notna()
    if wrong.any():
        raise UserError(f"{path}: row {table.row[wrong].iloc[0]}: {column} is {table[column][wrong].iloc[0]!r}, not a number.")
    infinite = np.isinf(values)
    if infinite.any():
        raise UserError(
            f"{path}: row {table.row[infinite].iloc[0]}: {column} is infinite. Leave it empty and set status to diverged."
        )
    if column in NOT_NEGATIVE or column.endswith("_noise"):
        negative = values < 0
        if negative.any():
            raise UserError(
                f"{path}: row {table.row[negative].iloc[0]}: {column} is {values[negative].iloc[0]:g}; it cannot be negative."
            )
    return values.astype(float)


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
    table = table.assign(**{column: _numbers("measurements", table, column) for column in columns})
    _one_way_of_measuring(table, metric)
    scratch = table.pretraining_tokens == 0
    own = {"pretrained": ~scratch, "scratch": scratch, "all": pd.Series(True, index=table.index)}[law.rows]
    groups = []
    keys = [key for key in law.group if key not in columns]
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

    if "status" in rows.columns:
        exclude(rows.status.astype(str) == "diverged", "training diverged")
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
