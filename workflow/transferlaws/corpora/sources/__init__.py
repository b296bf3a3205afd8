"""Where text comes from. A source is a module with `documents` or `pairs`, named in the config as `source:`."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from transferlaws.corpora.items import Document, Pair

# source -> its module; imported only when asked for
SOURCES = {
    "packages": "transferlaws.corpora.sources.packages",
    "bitext": "transferlaws.corpora.sources.bitext_side",
}


@dataclass
class Provenance:
    """What a source read: for the report."""

    version: str
    licence: str
    files: dict[str, str] = field(default_factory=dict)  # name -> SHA-256


@dataclass(frozen=True)
class Places:
    """Folders that a source may use: the download cache, temporary files, and a bitext's results for `source: bitext`."""

    cache: Path
    scratch: Path
    bitext: Path | None = None


def documents(settings: object, places: Places) -> tuple[Provenance, Iterator[Document]]:
    """What a corpus's source holds; `settings` is one of the members of `CorpusSettings`."""
    return importlib.import_module(SOURCES[settings.source]).documents(settings, places)


def pairs(settings: object, places: Places) -> tuple[Provenance, Iterator[Pair]]:
    """What a bitext's source holds; `settings` is one of the members of `BitextSettings`."""
    return importlib.import_module(SOURCES[settings.source]).pairs(settings, places)
