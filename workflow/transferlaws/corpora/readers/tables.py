"""Rows of TSV, JSON-lines and parquet files: the wanted columns of each, as text."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from transferlaws.corpora.readers.encodings import Invalid
from transferlaws.corpora.readers.opening import lines, raw_lines
from transferlaws.errors import UserError

Row = tuple[int, list[str]]  # number from 1; the wanted columns


def tsv(path: Path, columns: list[str | int], removed: Counter[str], quoted: bool | None = None) -> Iterator[Row]:
    """Columns by position from 0, or by name if the first line holds names. A row with too few is counted as `ragged_row`.

    `quoted`: cells are quoted as in CSV; None: they are not, and `UserError` where they look so.
    """
    wanted = None if any(isinstance(column, str) for column in columns) else columns
    check = _Quotes(path) if quoted is None else None
    for number, cells in _quoted(path, removed) if quoted else _plain(path, removed):
        if wanted is None:
            # a header with quotes says that the cells have them too
            missing = [column for column in columns if column not in cells]
            if missing:
                raise UserError(f"{path}: no column '{missing[0]}'; the first line has {', '.join(cells)[:200]}.")
            wanted = [cells.index(column) for column in columns]
            continue
        ragged = len(cells) <= max(wanted)
        if check:
            check.row(number, cells, ragged)
        if ragged:
            removed["ragged_row"] += 1
        else:
            yield number, [cells[position] for position in wanted]
    if check:
        check.end()


def _plain(path: Path, removed: Counter[str]) -> Iterator[tuple[int, list[str]]]:
    return ((number, line.split("\t")) for number, line in lines(path, removed))


def _quoted(path: Path, removed: Counter[str]) -> Iterator[tuple[int, list[str]]]:
    numbers = [0]

    def text() -> Iterator[str]:
        for number, line in lines(path, removed):
            numbers[0] = number
            yield line + "\n"

    try:
        for cells in csv.reader(text(), delimiter="\t", strict=True):
            yield numbers[0], [cell.replace("\n", " ") for cell in cells]
    except csv.Error as error:
        raise UserError(f"{path}, near line {numbers[0]}: not quoted as a TSV is ({error}). Is `quoted: true` right?") from None


class _Quotes:
    """Notices a TSV whose cells are quoted: doubled quotes within quotes, a cell over several lines, or every cell in quotes."""

    _DOUBLED = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"')
    ALL = 5  # rows in which every cell is in quotes

    def __init__(self, path: Path) -> None:
        self._path, self._open, self._rows, self._all = path, False, 0, 0

    def row(self, number: int, cells: list[str], ragged: bool) -> None:
        if any(self._DOUBLED.fullmatch(cell) for cell in cells):
            self._refuse(number)
        opens = cells[-1].startswith('"') and cells[-1].count('"') % 2 == 1
        closes = cells[0].endswith('"') and cells[0].count('"') % 2 == 1
        if ragged and (opens or (self._open and closes)):
            self._refuse(number)
        self._open = opens
        self._rows += 1
        self._all += len(cells) > 1 and all(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells)
        if self._all == self._rows == self.ALL:
            self._refuse(number)

    def end(self) -> None:
        if 1 < self._all == self._rows:
            self._refuse(self._rows)

    def _refuse(self, number: int) -> None:
        raise UserError(
            f"{self._path}, line {number}: a quoted cell, as spreadsheets and pandas write them. Say `quoted: true` to "
            "read them so, or `quoted: false` if the quotes are part of the text."
        )


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
                if not {str(column), str(column).split(".")[0]} & {*known}:
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
    """Lines of two files that belong together; `UserError` where their numbers differ, or one is not UTF-8."""
    checks = Invalid(sources), Invalid(targets)
    for left, right in zip_longest(raw_lines(sources), raw_lines(targets)):
        if left is None or right is None:
            longer, shorter, lines_short = (sources, targets, left[0] - 1) if left else (targets, sources, right[0] - 1)
            raise UserError(f"{shorter} has {lines_short} lines, {longer} has more: they are not aligned line by line.")
        texts = []
        for check, (number, line) in zip(checks, (left, right), strict=True):
            check.all = number
            try:
                texts.append(line.decode())
            except UnicodeDecodeError:
                check.add(line, number)
        if len(texts) == 2:
            yield left[0], texts
        else:
            removed["invalid_utf8"] += 1
    for check in checks:
        check.check()


def dig(row: dict, column: str | int) -> object:
    """The value at a dotted path, None below a null; `KeyError` or `TypeError` where there is none."""
    if isinstance(row, dict) and column in row:
        return row[column]
    value = row
    for key in str(column).split("."):
        if value is None and value is not row:
            return None
        value = value[key]
    return value
