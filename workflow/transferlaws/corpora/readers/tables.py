"""Rows of TSV, JSON-lines and parquet files: the wanted columns of each, as text."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from transferlaws.corpora.readers.opening import lines, raw_lines
from transferlaws.errors import UserError

Row = tuple[int, list[str]]  # number from 1; the wanted columns


def tsv(path: Path, columns: list[str | int], removed: Counter[str]) -> Iterator[Row]:
    """Columns by position from 0, or by name if the first line holds names. A row with too few is counted as `ragged_row`."""
    wanted = None if any(isinstance(column, str) for column in columns) else columns
    for number, line in lines(path, removed):
        cells = line.split("\t")
        if wanted is None:
            missing = [column for column in columns if column not in cells]
            if missing:
                raise UserError(f"{path}: no column '{missing[0]}'; the first line has {', '.join(cells)[:200]}.")
            wanted = [cells.index(column) for column in columns]
        elif len(cells) <= max(wanted):
            removed["ragged_row"] += 1
        else:
            yield number, [cells[position] for position in wanted]


def jsonl(path: Path, columns: list[str], removed: Counter[str]) -> Iterator[Row]:
    """Columns by key, dots reaching into objects (`translation.de`). A value that is no text is counted as `not_text`."""
    for number, line in lines(path, removed):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not valid JSON ({error}).") from None
        try:
            cells = [dig(row, column) for column in columns]
        except (KeyError, TypeError):
            keys = ", ".join(row) if isinstance(row, dict) else f"a {type(row).__name__}"
            raise UserError(f"{path}, line {number}: has no {' and '.join(map(str, columns))}; it holds {keys:.200}.") from None
        if all(isinstance(cell, str) for cell in cells):
            yield number, cells
        else:
            removed["not_text"] += 1


def parquet(path: Path, columns: list[str], removed: Counter[str]) -> Iterator[Row]:
    """Columns by name, dots reaching into structs. A value that is no text is counted as `not_text`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            known = file.schema_arrow.names
            for column in columns:
                if str(column).split(".")[0] not in known:
                    raise UserError(f"{path}: no column '{column}'; there are {', '.join(known)}.")
            for batch in file.iter_batches(1000, columns=[*map(str, columns)]):
                for row in batch.to_pylist():
                    number += 1
                    try:
                        cells = [dig(row, column) for column in columns]
                    except (KeyError, TypeError):
                        raise UserError(f"{path}, row {number}: has no {' and '.join(map(str, columns))}.") from None
                    if all(isinstance(cell, str) for cell in cells):
                        yield number, cells
                    else:
                        removed["not_text"] += 1
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}, after row {number}: no readable parquet ({error}). Fetch it again.") from None
    if not number:
        raise UserError(f"{path}: holds no rows.")


def aligned(sources: Path, targets: Path, removed: Counter[str]) -> Iterator[Row]:
    """Lines of two files that belong together; `UserError` where their numbers differ."""
    for left, right in zip_longest(raw_lines(sources), raw_lines(targets)):
        if left is None or right is None:
            longer, shorter, lines_short = (sources, targets, left[0] - 1) if left else (targets, sources, right[0] - 1)
            raise UserError(f"{shorter} has {lines_short} lines, {longer} has more: they are not aligned line by line.")
        try:
            yield left[0], [left[1].decode(), right[1].decode()]
        except UnicodeDecodeError:
            removed["invalid_utf8"] += 1


def dig(row: dict, column: str | int) -> object:
    """The value at a dotted path; `KeyError` or `TypeError` where there is none."""
    if isinstance(row, dict) and column in row:
        return row[column]
    for key in str(column).split("."):
        row = row[key]
    return row
