"""Source `fasta`: nucleotide or protein sequences as text, in windows of a fixed length."""

from collections.abc import Iterator
from pathlib import Path

from transferlaws.corpora.items import Document
from transferlaws.corpora.readers.opening import lines
from transferlaws.corpora.readers.paths import expand
from transferlaws.corpora.settings import FastaCorpus
from transferlaws.corpora.sources import Context, Provenance
from transferlaws.errors import UserError
from transferlaws.files import sha256


def documents(settings: FastaCorpus, context: Context) -> tuple[Provenance, Iterator[Document]]:
    """Windows of every sequence, in capitals; the last of a sequence may be shorter."""
    paths = expand(settings.paths)
    provenance = Provenance(settings.version, settings.licence, {str(path): sha256(path) for path in paths})
    return provenance, (document for path in paths for document in windows(path, settings.window, context))


def windows(path: Path, window: int, context: Context) -> Iterator[Document]:
    """Windows of every sequence of a file."""
    name, start, held = "", 0, ""
    for number, line in lines(path, context.removed):
        if line.startswith(">"):
            if held:
                yield Document(f"{path.name}:{name}:{start}", held)
            name, start, held = (line[1:].split() or ["?"])[0], 0, ""
        elif line.strip() and not name:
            raise UserError(f"{path}, line {number}: a sequence without a header line (>name) before it. Is this FASTA?")
        else:
            held += line.strip().upper()
            while len(held) >= window:
                yield Document(f"{path.name}:{name}:{start}", held[:window])
                held, start = held[window:], start + window
    if held:
        yield Document(f"{path.name}:{name}:{start}", held)
