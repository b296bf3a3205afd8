"""Any tables of weights and values: columns named by a prefix or a list, files joined by an index column."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from transferlaws.errors import UserError
from transferlaws.mixtures.points import Array, Points

SUM_TOLERANCE = 0.02
"""Weights may miss 1 by this much (rounded shares); they are scaled to sum to 1."""


@dataclass(frozen=True)
class Study:
    """The runs of one group, gathered to one point for each mixture, tokens and size."""

    key: dict[str, str]
    corpora: list[str]
    points: Points
    mixtures: Array
    """(n,) number of the mixture of each point."""
    runs: Array
    """(n,) runs behind each point."""
    targets: list[str]
    means: Array
    """(T, n) mean over runs, in the table's unit."""
    run_noise: Array
    """(T,) standard deviation between runs of one point; NaN where every point has one run."""

    def measured(self) -> tuple[Array, Array]:
        """Points of the largest tokens and size: their rows (m,), and weights (m, k)."""
        rows = np.ones(len(self.points), dtype=bool)
        for part in (self.points.tokens, self.points.size):
            if part is not None:
                rows &= part == part.max()
        return np.flatnonzero(rows), self.points.weights[rows]


def named(columns: pd.Index, wanted: list[str], what: str, path: str) -> list[str]:
    """The columns that `wanted` lists, or, where an entry is no column, those that begin with it. Raises `UserError` if none."""
    found = []
    for entry in wanted:
        matches = [entry] if entry in columns else [column for column in columns if column.startswith(entry)]
        if not matches:
            raise UserError(
                f"{path}: --{what} {entry}: no such column, and none that begins so. Its columns: {', '.join(columns)}."
            )
        found += [column for column in matches if column not in found]
    return found


def without_prefix(columns: list[str], wanted: list[str]) -> list[str]:
    """Column names without the one prefix that named them all."""
    prefix = wanted[0] if len(wanted) == 1 and wanted[0] not in columns else ""
    return [column.removeprefix(prefix) for column in columns]


def with_weights(table: pd.DataFrame, column: str, path: str) -> tuple[pd.DataFrame, list[str]]:
    """The rows whose `column` holds weights as JSON, corpus -> share, with a column for each corpus; and the prefix of these."""
    table = table[table[column].notna()].reset_index(drop=True)
    rows = []
    for number, text in enumerate(table[column]):
        try:
            found = json.loads(text)
        except (TypeError, json.JSONDecodeError):
            found = None
        if not isinstance(found, dict):
            raise UserError(
                f"{path}, {column}, value {number + 1}: {text!r} is no JSON of corpus: share. Name numeric columns instead."
            )
        rows.append(found)
    corpora = sorted({corpus for row in rows for corpus in row})
    parts = pd.DataFrame({f"{column}:{corpus}": [row.get(corpus, 0.0) for row in rows] for corpus in corpora})
    return pd.concat([table, parts], axis=1), [f"{column}:"]


def read_tables(paths: list[str], index: str) -> pd.DataFrame:
    """One table of CSV or Parquet files; several are joined by the column `index`, whose values must be the same in all."""
    tables = []
    for path in paths:
        try:
            table = pd.read_parquet(path) if str(path).endswith(".parquet") else pd.read_csv(path)
        except FileNotFoundError:
            raise UserError(f"{path}: no such file.") from None
        except (ValueError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not a table that can be read ({error}). Give a CSV with a header, or Parquet.") from None
        if len(paths) > 1:
            if index not in table.columns:
                raise UserError(f"{path}: no column {index!r} to join the tables by. Name it with --index.")
            if table[index].duplicated().any():
                raise UserError(
                    f"{path}: {index} {table[index][table[index].duplicated()].iloc[0]} stands twice; it must name one run."
                )
            table = table.set_index(index)
            if tables and set(table.index) != set(tables[0].index):
                missing = sorted(set(table.index) ^ set(tables[0].index), key=str)[:5]
                raise UserError(f"{path}: {index} {', '.join(map(str, missing))} stand in one of {paths[0]} and {path} only.")
        tables.append(table)
    joined = tables[0] if len(tables) == 1 else pd.concat([table.loc[tables[0].index] for table in tables], axis=1).reset_index()
    if not len(joined):
        raise UserError(f"{paths[0]}: no rows.")
    return joined


def studies(
    table: pd.DataFrame,
    path: str,
    *,
    weights: list[str],
    targets: list[str],
    by: list[str],
    tokens: str | None = None,
    size: str | None = None,
    unique: list[str] | None = None,
) -> list[Study]:
    """The groups of a table. unique: columns of distinct tokens, in the order of the weights."""
    if len(weights) == 1 and weights[0] in table.columns and not pd.api.types.is_numeric_dtype(table[weights[0]]):
        table, weights = with_weights(table, weights[0], path)
    weight_columns = named(table.columns, weights, "weights", path)
    target_columns = named(table.columns, targets, "targets", path)
    if both := set(weight_columns) & set(target_columns):
        raise UserError(f"{path}: {', '.join(sorted(both))}: named by --weights and by --targets.")
    unique_columns = named(table.columns, unique, "unique", path) if unique else []
    if unique_columns and len(unique_columns) != len(weight_columns):
        raise UserError(
            f"{path}: --unique names {len(unique_columns)} columns, --weights {len(weight_columns)}: one each is needed."
        )
    others = [name for name in (tokens, size) if name]
    for name in [*others, *by]:
        if name not in table.columns:
            raise UserError(f"{path}: no column {name}. Its columns: {', '.join(table.columns)}.")
    numbers = {column: _numbers(table, column, path) for column in [*weight_columns, *target_columns, *others, *unique_columns]}
    frame = pd.DataFrame(numbers | {name: table[name].astype(str) for name in by})
    shares = frame[weight_columns].to_numpy()
    total = shares.sum(1)
    if (wrong := np.flatnonzero((shares < 0).any(1) | (np.abs(total - 1) > SUM_TOLERANCE))).size:
        row = wrong[0]
        raise UserError(
            f"{path}, row {row + 2}: the weights sum to {total[row]:.4g}, smallest {shares[row].min():.4g}. Weights are shares of "
            f"the tokens, at least 0, and sum to 1 (within {SUM_TOLERANCE}); the columns are {', '.join(weight_columns[:6])} ..."
        )
    frame[weight_columns] = shares / total[:, None]
    corpora, names = without_prefix(weight_columns, weights), without_prefix(target_columns, targets)
    groups = frame.groupby(by, sort=True) if by else [((), frame)]
    return [
        _study(
            rows,
            dict(zip(by, key, strict=True)),
            corpora,
            names,
            weight_columns,
            target_columns,
            tokens,
            size,
            unique_columns,
            path,
        )
        for key, rows in groups
    ]


def _numbers(table: pd.DataFrame, column: str, path: str) -> Array:
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
    if (wrong := np.flatnonzero(np.isnan(values) | np.isneginf(values))).size:
        raise UserError(
            f"{path}, row {wrong[0] + 2}, {column}: {str(table[column].iloc[wrong[0]])!r} is no finite number. Remove the row."
        )
    return values


def _study(
    rows: pd.DataFrame,
    key: dict[str, str],
    corpora: list[str],
    names: list[str],
    weight_columns: list[str],
    target_columns: list[str],
    tokens: str | None,
    size: str | None,
    unique_columns: list[str],
    path: str,
) -> Study:
    keys = [*weight_columns, *unique_columns, *(name for name in (tokens, size) if name)]
    rounded = rows.assign(**{column: rows[column].round(9) for column in weight_columns})
    cells = rounded.groupby(keys, sort=True)[target_columns]
    means, counts = cells.mean(), cells.size().to_numpy()
    squares = (cells.var(ddof=0).to_numpy() * counts[:, None]).sum(0)
    spare = int((counts - 1).sum())
    at = means.index.to_frame(index=False)
    weights = at[weight_columns].to_numpy()
    _, mixtures = np.unique(weights, axis=0, return_inverse=True)
    where = f"{path}{''.join(f', {name} {value}' for name, value in key.items())}"
    if mixtures.max() + 1 < 4:
        raise UserError(f"{where}: {mixtures.max() + 1} different mixtures. A mixture law needs four or more.")
    if len(corpora) < 2 and not (tokens or size):
        raise UserError(f"{where}: one weight column. A mixture has two corpora or more.")
    flat = [name for name, column in zip(names, target_columns, strict=True) if np.ptp(means[column]) <= 0]
    if flat:
        raise UserError(f"{where}: {', '.join(flat)}: the same value at every mixture. Leave it out of --targets.")
    points = Points(
        weights / weights.sum(1, keepdims=True),
        tokens=at[tokens].to_numpy() if tokens else None,
        unique=at[unique_columns].to_numpy() if unique_columns else None,
        size=at[size].to_numpy() if size else None,
    )
    noise = np.sqrt(squares / spare) if spare else np.full(len(names), np.nan)
    return Study(key, corpora, points, mixtures, counts, names, means[target_columns].to_numpy().T, noise)
