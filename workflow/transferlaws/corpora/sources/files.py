"""Source `files`: your own text, by path or glob, in any of the formats that the suffix or `format` names."""

from collections.abc import Iterator
from pathlib import Path

from transferlaws.corpora.items import Document, Pair
from transferlaws.corpora.languages import primary
from transferlaws.corpora.readers import catalogs, tables, tmx
from transferlaws.corpora.readers.encodings import Invalid
from transferlaws.corpora.readers.opening import lines, read_limited, suffix_of
from transferlaws.corpora.readers.paths import expand, paired
from transferlaws.corpora.settings import DebianBitext, DebianCorpus, FilesBitext, FilesCorpus
from transferlaws.corpora.sources import Context, Provenance
from transferlaws.errors import UserError
from transferlaws.files import sha256

FORMATS = {".txt": "txt", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
BITEXT_FORMATS = FORMATS | {".tmx": "tmx", ".po": "gettext", ".mo": "gettext"}
_NAMES = {"source", "src", "target", "tgt", "trg", "reference", "ref", "text", "sentence", "translation"}
TABLES = {"tsv": tables.tsv, "jsonl": tables.jsonl, "parquet": tables.parquet}


def documents(settings: FilesCorpus, context: Context) -> tuple[Provenance, Iterator[Document]]:
    """Lines, paragraphs or whole files of text; or one column of a table."""
    paths = expand(settings.paths)
    return _provenance(settings, paths), read_documents(settings, paths, context)


def pairs(settings: FilesBitext, context: Context) -> tuple[Provenance, Iterator[Pair]]:
    """Two columns of a table, two files aligned line by line, translation memories or gettext catalogs."""
    groups = [(split, *_sides(settings, f"{split}_" if split else "")) for split in ("", "dev", "test")]
    paths = [path for _, sources, targets in groups for path in (*sources, *targets)]
    return _provenance(settings, paths), _pairs(settings, groups, context)


def _sides(settings: FilesBitext, prefix: str) -> tuple[list[Path], list[Path]]:
    names = (f"{prefix}paths", f"{prefix}target_paths")
    sources, targets = (getattr(settings, name) for name in names)
    if not targets:
        return expand(sources, names[0]), []
    pairs = paired(sources, targets, names)
    return [source for source, _ in pairs], [target for _, target in pairs]


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
    invalid = Invalid(paths[0], "file")
    for path in paths:
        kind = format_of(path, settings.format, FORMATS)
        if kind != "txt":
            rows = _rows(kind, path, [settings.column], settings, context)
            for number, (text,) in _without_header(rows, kind, [settings.column], [settings.language]):
                yield Document(f"{path.name}:{number}", text)
        elif settings.unit == "file":
            invalid.all += 1
            content = read_limited(path, text=True)
            try:
                yield Document(path.name, content.decode())
            except UnicodeDecodeError:
                context.removed["invalid_utf8"] += 1
                invalid.path = path
                invalid.add(content, invalid.all)
        elif settings.unit == "paragraph":
            yield from _paragraphs(path, context)
        else:
            for number, text in lines(path, context.removed):
                yield Document(f"{path.name}:{number}", text)
    invalid.check()


def _rows(kind: str, path: Path, columns: list, settings: FilesBitext | FilesCorpus, context: Context) -> Iterator[tables.Row]:
    more = {"quoted": settings.quoted} if kind == "tsv" else {}
    return TABLES[kind](path, columns, context.removed, **more)


def _without_header(rows: Iterator[tables.Row], kind: str, columns: list[str | int], languages: list[str]) -> Iterator[tables.Row]:
    """Rows of a TSV read by position without a first line that names its columns."""
    known = _NAMES | {name for language in languages for name in (language.lower(), primary(language))}
    for number, cells in rows:
        named = {cell.strip().lower() for cell in cells[: len(languages)]}
        if kind == "tsv" and number == 1 and isinstance(columns[0], int) and len(named) == len(languages) and named <= known:
            continue
        yield number, cells


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
        return tmx.units(path, settings.languages, context.removed)
    if kind == "gettext":
        catalog = catalogs.read_gettext(read_limited(path), str(path))
        return ((i, [*pair]) for i, pair in enumerate(catalogs.gettext_pairs(catalog, settings.languages, str(path)), 1))
    columns = [*settings.columns, *([] if settings.origin_column is None else [settings.origin_column])]
    rows = _rows(kind, path, columns, settings, context)
    return _without_header(rows, kind, columns, [*settings.languages])
