"""The measurement table: read and validated, written, and which of its rows count."""

import csv
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from transferlaws.errors import UserError
from transferlaws.files import atomic, check_sums
from transferlaws.measurements.columns import COLUMNS, KEY, ORDER
from transferlaws.measurements.opening import missing_columns, open_table

# a seed tells runs apart and is counted with nowhere: tables made elsewhere may have any label there
NUMBERS = {column.name: column for column in COLUMNS if column.dtype in ("whole", "number") and column.name != "seed"}


def diverged(table: pd.DataFrame) -> pd.Series:
    """Which rows are of runs that diverged at every learning rate; none where the table has no status."""
    if "status" not in table.columns:
        return pd.Series(False, index=table.index)
    return table.status.astype(str) == "diverged"


def usable(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that count for means, laws and figures: those of runs that did not diverge."""
    return table[~diverged(table)]


def write_measurements(rows: list[dict], path: str | Path) -> None:
    """Write measurements with every column of the list, whole numbers as such, sorted; what a row lacks is empty.

    Raises `ValueError` where a row has a key that is no column.
    """
    present = {name for row in rows for name in row}
    columns = [column for column in COLUMNS if not column.optional or column.name in present]
    unknown = present - {column.name for column in columns}
    if unknown:
        raise ValueError(f"not columns of the measurement table: {', '.join(sorted(unknown))}")
    table = pd.DataFrame(rows, columns=[column.name for column in columns]).sort_values(list(ORDER))
    for column in columns:
        if column.dtype == "whole":
            table[column.name] = table[column.name].astype("Int64")
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False)  # floats at full precision


def read_measurements(path: str | Path) -> pd.DataFrame:
    """Read and validate a measurement table; adds the column `row`, the line in the file.

    Raises `UserError` naming the row and column of a missing column, an empty or non-numeric key, a negative or infinite number,
    and of rows that measure the same thing twice.
    """
    check_sums(Path(path).parent, Path(path).name)
    try:
        table = open_table(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Give a CSV table with the columns {', '.join(KEY)} and a metric.") from None
    except (UnicodeDecodeError, csv.Error, EOFError, OSError, zlib.error, pd.errors.ParserError) as error:
        raise UserError(f"{path}: not a CSV table ({error}).") from None
    missing_columns(path, table.columns)
    if table.empty:
        raise UserError(f"{path}: no rows below the header.")
    for column in KEY:
        empty = table[column].isna()
        if empty.any():
            raise UserError(f"{path}: row {table.row[empty].iloc[0]}: {column} is empty; every measurement needs one.")
    for column in table.columns:
        if column in NUMBERS or column.endswith("_noise"):
            table[column] = numbers(path, table, column)
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


def numbers(path: str | Path, table: pd.DataFrame, column: str) -> pd.Series:
    """A column as finite numbers, empty ones NaN; raises `UserError` naming the row of what is none."""
    values = pd.to_numeric(table[column], errors="coerce")
    wrong = values.isna() & table[column].notna()
    if wrong.any():
        raise UserError(f"{path}: row {table.row[wrong].iloc[0]}: {column} is {table[column][wrong].iloc[0]!r}, not a number.")
    infinite = np.isinf(values)
    if infinite.any():
        raise UserError(
            f"{path}: row {table.row[infinite].iloc[0]}: {column} is infinite. Leave it empty and set status to diverged."
        )
    if column.endswith("_noise") or (column in NUMBERS and not NUMBERS[column].negative):
        negative = values < 0
        if negative.any():
            raise UserError(
                f"{path}: row {table.row[negative].iloc[0]}: {column} is {values[negative].iloc[0]:g}; it cannot be negative."
            )
    return values.astype(float)
