"""Read a source as its stage does."""

from collections import Counter
from pathlib import Path

from pydantic import TypeAdapter

from transferlaws.corpora import sources
from transferlaws.corpora.items import Document, Pair
from transferlaws.corpora.settings import BitextSettings, CorpusSettings


def context(tmp_path: Path) -> sources.Context:
    (tmp_path / "scratch").mkdir(exist_ok=True)
    return sources.Context(tmp_path / "cache", tmp_path / "scratch", Counter())


def read_corpus(tmp_path: Path, **raw: object) -> tuple[sources.Provenance, list[Document]]:
    provenance, documents = sources.documents(TypeAdapter(CorpusSettings).validate_python(raw), context(tmp_path))
    return provenance, list(documents)


def read_bitext(tmp_path: Path, **raw: object) -> tuple[sources.Provenance, list[Pair]]:
    provenance, pairs = sources.pairs(TypeAdapter(BitextSettings).validate_python(raw), context(tmp_path))
    return provenance, list(pairs)
