"""Source `files`: your own text, by path or glob, in any of the formats that the suffix or `format` names."""

import glob
from collections.abc import Iterator
from pathlib import Path

from transferlaws.corpora.items import Document, Pair
from transferlaws.corpora.readers import catalogs, tables, tmx
from transferlaws.corpora.readers.opening import lines, read_limited, suffix_of
from transferlaws.corpora.settings import DebianBitext, DebianCorpus, FilesBitext, FilesCorpus
from transferlaws.corpora.sources import Context, Provenance
from transferlaws.errors import UserError
from transferlaws.files import sha256

FORMATS = {".txt": "txt", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
BITEXT_FORMATS = FORMATS | {".tmx": "tmx", ".po": "gettext", ".mo": "gettext"}
TABLES = {"tsv": tables.tsv, "jsonl": tables.jsonl, "parquet": tables.parquet}


def documents(settings: FilesCorpus, context: Context) -> tuple[Provenance, Iterator[Document]]:
    """Lines, paragraphs or whole files of text; or one column of a table."""
    paths = expand(settings.paths)
    return _provenance(settings, paths), read_documents(settings, paths, context)


def pairs(settings: FilesBitext, context: Context) -> tuple[Provenance, Iterator[Pair]]:
    """Two columns of a table, two files aligned line by line, translation memories or gettext catalogs."""
    groups = [("", expand(settings.paths), expand(settings.target_paths))]
    groups.append(("dev", expand(settings.dev_paths), expand(settings.dev_target_paths)))
    groups.append(("test", expand(settings.test_paths), expand(settings.test_target_paths)))
    paths = [path for _, sources, targets in groups for path in (*sources, *targets)]
    return _provenance(settings, paths), _pairs(settings, groups, context)


def expand(patterns: list[str]) -> list[Path]:
    """Files that the patterns match, in the order of the patterns and, within one, of the names."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        matches = sorted(path for path in glob.glob(pattern, recursive=True) if Path(path).is_file())
        if not matches:
            raise UserError(f"paths: no file matches '{pattern}' (from the folder {Path.cwd()}).")
        found |= dict.fromkeys(map(Path, matches))
    return list(found)


def _provenance(settings: FilesCorpus | FilesBitext, paths: list[Path]) -> Provenance:
    return Provenance(settings.version, settings.licence, {str(path): sha256(path) for path in paths})


def format_of(path: Path, given: str | None, formats: dict[str, str]) -> str:
    """The format that `given` or the suffix names; a clear error for one that cannot be read."""
    if given:
        return given
    if suffix_of(path) not in formats:
        raise UserError(
            f"{path}: unknown suffix; known are {', '.join(formats)}, each also .gz, .xz, .zst, .bz2. Or give `format`."
        )
    return formats[suffix_of(path)]


def read_documents(settings: FilesCorpus | DebianCorpus, paths: list[Path], context: Context) -> Iterator[Document]:
    """The documents of files: lines, paragraphs or wholes of text, or a column of a table."""
    for path in paths:
        kind = format_of(path, settings.format, FORMATS)
        if kind != "txt":
            for number, (text,) in TABLES[kind](path, [settings.column], context.removed):
                yield Document(f"{path.name}:{number}", text)
        elif settings.unit == "file":
            try:
                yield Document(path.name, read_limited(path).decode())
            except UnicodeDecodeError:
                context.removed["invalid_utf8"] += 1
        elif settings.unit == "paragraph":
            yield from _paragraphs(path, context)
        else:
            for number, text in lines(path, context.removed):
                yield Document(f"{path.name}:{number}", text)


def _paragraphs(path: Path, context: Context) -> Iterator[Document]:
    start, part = 1, []
    for number, line in lines(path, context.removed):
        if line.strip():
            start = number if not part else start
            part.append(line)
        elif part:
            yield Document(f"{path.name}:{start}", "\n".join(part))
            part = []
    if part:
        yield Document(f"{path.name}:{start}", "\n".join(part))


def _pairs(settings: FilesBitext, groups: list[tuple[str, list[Path], list[Path]]], context: Context) -> Iterator[Pair]:
    for split, sources, targets in groups:
        if targets and len(sources) != len(targets):
            raise UserError(
                f"paths match {len(sources)} files, target paths {len(targets)}: give one target file for each source file."
            )
        for i, path in enumerate(sources):
            rows = tables.aligned(path, targets[i], context.removed) if targets else read_rows(settings, path, context)
            for number, (source, target, *origin) in rows:
                yield Pair(
                    f"{path.name}:{number}", source, target, origin[0] if origin else settings.origin or path.name, split=split
                )


def read_rows(settings: FilesBitext | DebianBitext, path: Path, context: Context) -> Iterator[tables.Row]:
    """(number, [source, target] and origin where a column tells it) of each pair in a file that holds both sides."""
    kind = format_of(path, settings.format, BITEXT_FORMATS)
    if kind == "txt":
        raise UserError(f"{path}: plain text holds one side only; name the files of the other in `target_paths`.")
    if kind == "tmx":
        return tmx.units(path, settings.languages)
    if kind == "gettext":
        messages = catalogs.read_gettext(read_limited(path), str(path))
        return ((i, [key.partition("\x04")[2], text]) for i, (key, text) in enumerate(messages.items(), 1) if text)
    columns = [*settings.columns, *([] if settings.origin_column is None else [settings.origin_column])]
    return TABLES[kind](path, columns, context.removed)
