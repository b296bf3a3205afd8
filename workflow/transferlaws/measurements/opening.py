"""Opens a CSV table as people make them: what would be read in silence in another way than it was meant is an error."""

import csv
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.io.common import get_handle

from transferlaws.errors import UserError
from transferlaws.measurements.columns import COLUMNS, KEY

NAMES = [column.name for column in COLUMNS]
TEXTS = [column.name for column in COLUMNS if column.dtype == "text"]
STATUSES = ("ok", "diverged")
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def open_table(path: str | Path) -> pd.DataFrame:
    """The cells of a table with the column `row`, the line in the file that a row begins on.

    Blanks around names are no part of them, blank lines are no rows, a status is a word of `STATUSES` whatever its case. Raises
    `UserError` naming line and column of what cannot be read in one way alone.
    """
    header, lines = _lines(path)
    table = pd.read_csv(path, encoding="utf-8-sig", skipinitialspace=True, header=0, names=header, index_col=False)
    # names are text as they stand: a mixture may be called NA or 1
    texts = pd.read_csv(
        path,
        encoding="utf-8-sig",
        header=0,
        names=header,
        usecols=[name for name in header if name in TEXTS],
        dtype=str,
        keep_default_na=False,
    )
    if not len(table) == len(lines) == len(texts):
        raise UserError(f"{path}: not a CSV table: {len(lines)} rows by its lines, {len(table)} by its fields. Check the quotes.")
    for name in texts:
        text = texts[name].str.strip()
        table[name] = text.where(text != "").to_numpy()
    table.insert(0, "row", np.array(lines, dtype=np.int64))
    if "status" in table:
        _known_status(path, table)
    return table


def _lines(path: str | Path) -> tuple[list[str], list[int]]:
    """The header's names without blanks, and the line that each row begins on."""
    with get_handle(path, "r", encoding="utf-8-sig", compression="infer") as opened:
        reader = csv.reader(opened.handle)
        header, lines, before = None, [], 0
        for cells in reader:
            begin, before = before + 1, reader.line_num
            if not cells or (len(cells) == 1 and not cells[0].strip()):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                _check_header(path, header, begin)
            elif len(cells) != len(header):
                raise UserError(
                    f"{path}: row {begin}: {len(cells)} fields, but the header has {len(header)}. Check commas and quotes."
                )
            else:
                lines.append(begin)
    if header is None:
        raise UserError(f"{path}: not a CSV table (it is empty).")
    return [name or f"unnamed {place}" for place, name in enumerate(header)], lines


def _check_header(path: str | Path, header: list[str], line: int) -> None:
    if header[0].startswith("#"):
        raise UserError(
            f"{path}: row {line} begins with #: a table has no comments. The first line must be the names of the columns."
        )
    for separator, words in SEPARATORS.items():
        if len(header) <= 2 and sum(name.strip().lower() in NAMES for name in ",".join(header).split(separator)) > len(header):
            raise UserError(f"{path}: the fields look parted by {words} ({separator!r}): write the table with commas.")
    for place, name in enumerate(header):
        if name and name in header[:place]:
            first = header.index(name) + 1
            raise UserError(f"{path}: columns {first} and {place + 1} are both called {name}. Keep one, or rename the other.")
        if name not in NAMES and (meant := _plain(name)) in NAMES:
            raise UserError(
                f"{path}: column {place + 1} is called {name!r}: write {meant}, or another name if it is something else."
            )


def missing_columns(path: str | Path, found: Iterable[str]) -> None:
    """Raise `UserError` for columns that every table needs, with what comes near them."""
    found = list(found)
    missing = [column for column in KEY if column not in found]
    if missing:
        unknown = [name for name in found if name not in NAMES]
        near = {column: get_close_matches(column, unknown, n=1, cutoff=0.75) for column in missing}
        hints = [f"is `{match[0]}` meant for {column}?" for column, match in near.items() if match]
        raise UserError(
            f"{path}: missing column {', '.join(missing)}. Needed are {', '.join(KEY)} and at least one metric."
            + (f" {' '.join(hints)}" if hints else "")
        )


def _plain(name: str) -> str:
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())


def _known_status(path: str | Path, table: pd.DataFrame) -> None:
    status = table["status"].str.lower()
    strange = status.notna() & ~status.isin(STATUSES)
    if strange.any():
        raise UserError(
            f"{path}: row {table.row[strange].iloc[0]}: status is {table.status[strange].iloc[0]!r}; known are ok (or empty) and "
            "diverged, whose values are left out."
        )
    table["status"] = status
