"""Documents and sentence pairs, and the zstd JSON lines in which stages hand them on."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import zstandard

from transferlaws.errors import UserError
from transferlaws.files import atomic


@dataclass(slots=True)
class Document:
    """A piece of monolingual text.

    `id` names where it came from. Items of equal `group` say the same thing (the editions of one verse) and never lie on both
    sides of a split; an empty group means that the text itself decides.
    """

    id: str
    text: str
    group: str = ""
    split: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """What it holds, for rules that treat documents and pairs alike."""
        return (self.text,)


@dataclass(slots=True)
class Pair:
    """A sentence pair. `origin` names the collection it came from, `split` a split that its source prescribes, if any."""

    id: str
    source: str
    target: str
    origin: str = ""
    group: str = ""
    split: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """Source and target."""
        return (self.source, self.target)


Item = TypeVar("Item", Document, Pair)


_SURROGATE = re.compile("[\ud800-\udfff]")


def is_unicode(item: Document | Pair) -> bool:
    """Whether every character can be written: JSON can spell half a surrogate pair, which is none."""
    return not any(_SURROGATE.search(getattr(item, name)) for name in item.__slots__)


_DECODE = json.JSONDecoder().decode
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def encode(item: Document | Pair) -> bytes:
    """One JSON line, newline included; an empty group or split is left out."""
    fields = {name: getattr(item, name) for name in item.__slots__}
    for name in ("group", "split"):
        if not fields[name]:
            del fields[name]
    return _ENCODER.encode(fields).encode() + b"\n"


def read_items(path: str | Path, kind: type[Item]) -> Iterator[Item]:
    """Stream the items of a JSON-lines file of ours; a clear error with file and line where it is damaged."""
    lines = 0
    try:
        with open(path, "rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream:
            for text in io.BufferedReader(stream, 1 << 20):
                lines += 1
                yield kind(**_DECODE(text.decode()))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Run the stage that writes it first.") from None
    except (zstandard.ZstdError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise UserError(f"{path}, near line {lines}: damaged ({error}). Delete it and run again to rebuild it.") from None


class ItemWriter:
    """Writes items to a zstd JSON-lines file that appears whole or not at all; counts items, characters and bytes of text."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.items = self.characters = self.bytes = 0

    def __enter__(self) -> "ItemWriter":
        self._atomic = atomic(self.path)
        # level 3, one thread: the bytes depend on the content alone
        self._stream = zstandard.open(self._atomic.__enter__(), "wb", cctx=zstandard.ZstdCompressor(level=3))
        return self

    def write(self, item: Document | Pair) -> None:
        """Append one item."""
        self._stream.write(encode(item))
        self.items += 1
        self.characters += sum(map(len, item.texts))
        self.bytes += sum(len(text.encode()) for text in item.texts)

    def __exit__(self, *error: object) -> None:
        self._stream.close()
        self._atomic.__exit__(*error)
