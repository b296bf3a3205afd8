"""Where text comes from. A source is a module with `documents` or `pairs`, named in the config as `source:`."""

import importlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from transferlaws.corpora.items import Document, Pair

# source -> its module; imported only when asked for
SOURCES = {
    "packages": "transferlaws.corpora.sources.packages",
    "files": "transferlaws.corpora.sources.files",
    "bitext": "transferlaws.corpora.sources.bitext_side",
    "hub": "transferlaws.corpora.sources.hub",
    "debian": "transferlaws.corpora.sources.debian",
    "code": "transferlaws.corpora.sources.code",
    "fasta": "transferlaws.corpora.sources.fasta",
    "simulate": "transferlaws.corpora.sources.simulate",
}


@dataclass
class Provenance:
    """What a source read: for the report."""

    version: str
    licence: str
    files: dict[str, str] = field(default_factory=dict)  # name -> SHA-256


@dataclass(frozen=True)
class Context:
    """What a source may use besides its settings."""

    cache: Path  # downloads, shared with other checkouts
    scratch: Path  # temporary files, removed after the stage
    removed: Counter[str]  # where readers count what they leave out, by reason
    bitext: Path | None = None  # a bitext's results, for `source: bitext`


def documents(settings: object, context: Context) -> tuple[Provenance, Iterator[Document]]:
    """What a corpus's source holds; `settings` is one of the members of `CorpusSettings`."""
    return importlib.import_module(SOURCES[settings.source]).documents(settings, context)


def pairs(settings: object, context: Context) -> tuple[Provenance, Iterator[Pair]]:
    """What a bitext's source holds; `settings` is one of the members of `BitextSettings`."""
    return importlib.import_module(SOURCES[settings.source]).pairs(settings, context)
