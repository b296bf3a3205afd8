"""Stage `corpus`: a source of text -> cleaned, distinct documents that share nothing with any dev or test set.

Documents are in the order of the 64-bit hash of their normalised text (of their group, where they have one), which also decides
between train and valid: the same on every machine, and stable when data is added.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from transferlaws.corpora import sources
from transferlaws.corpora.buckets import Buckets
from transferlaws.corpora.cleaning import Cleaner
from transferlaws.corpora.contamination import Contamination, TestIndex
from transferlaws.corpora.items import Document, ItemWriter, Pair, read_items
from transferlaws.corpora.near_duplicates import NearDuplicates
from transferlaws.corpora.normalise import key_of, normalise
from transferlaws.corpora.notices import notices, reasons, refuse_empty, remedies
from transferlaws.corpora.prepare import Preparation, fill, runs
from transferlaws.corpora.rules import Cleaning
from transferlaws.corpora.settings import CorpusSettings
from transferlaws.corpora.stage import add_common_arguments, write_report
from transferlaws.errors import UserError
from transferlaws.files import check_sha256, read_json
from transferlaws.options import folder_of

FILE = "documents.jsonl.zst"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the stage."""
    add_common_arguments(parser, CorpusSettings)
    parser.add_argument("--against", type=folder_of, nargs="*", default=[], help="folders of every bitext of the study")
    parser.add_argument("--bitext", type=folder_of, help="folder of the bitext that `source: bitext` takes its side from")


def run(arguments: argparse.Namespace) -> None:
    """Write `documents.jsonl.zst` and `report.json`."""
    build(
        *(arguments.name, arguments.settings, arguments.against, arguments.cache, arguments.output),
        bitext=arguments.bitext,
        threads=arguments.threads,
    )


def build(
    name: str,
    settings: CorpusSettings,
    against: list[Path],
    cache: Path,
    output: Path,
    bitext: Path | None = None,
    threads: int = 1,
) -> dict:
    """Read, clean, decontaminate and deduplicate; returns the report."""
    output.mkdir(parents=True, exist_ok=True)
    cleaner = Cleaner(settings.cleaning, [settings.language])
    check = Contamination(index_of(against))
    splits = {"train": 0, "valid": 0}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=output, prefix=".scratch.")))
        provenance, documents = sources.documents(settings, sources.Context(cache, scratch, cleaner.removed, bitext))
        buckets = stack.enter_context(Buckets(scratch))
        read = fill(buckets, documents, Preparation(cleaner, check), threads, f"corpus {name}")
        writer = stack.enter_context(ItemWriter(output / FILE))
        for document, key in _distinct(buckets, settings.cleaning, cleaner.removed):
            # hashed anew: the sides of a bitext's monolingual part were chosen by the key itself
            document.split = "valid" if key_of(f"valid {key}") / 2**64 < settings.valid else "train"
            splits[document.split] += 1
            writer.write(document)
    if check.removed:
        cleaner.removed["contamination"] = check.removed
    part, rules, removed = f"corpora.{name}", settings.cleaning, dict(cleaner.removed)
    if not splits["train"]:
        raise UserError(
            f"corpus '{name}': no training document is left of {read} read; removed: {reasons(removed)}."
            f"{remedies(removed, part, rules)}"
        )
    asked = {"valid": f"Give a larger share than {part}.valid: {settings.valid:g}."} if settings.valid else {}
    refuse_empty(part, splits, asked, removed, rules)
    report = {"name": name, "kind": "corpus", "languages": [settings.language], "source": settings.source}
    report |= {"version": provenance.version, "licence": provenance.licence, "inputs": provenance.files, "read": read}
    report |= {
        "kept": writer.items,
        "removed": dict(sorted(cleaner.removed.items())),
        "changed": dict(sorted(cleaner.changed.items())),
    }
    report |= {"contamination": check.sets(), "splits": splits}
    report |= {"documents": writer.items, "characters": writer.characters, "bytes": writer.bytes}
    report["notices"] = notices(part, [settings.language], rules, writer.items, removed)
    write_report(output, report, [FILE])
    return report


def index_of(bitexts: list[Path]) -> TestIndex:
    """Index the test and dev sets of bitexts, checked against their reports."""
    index = TestIndex()
    for folder in bitexts:
        report = read_json(folder / "report.json")
        for split in ("test", "dev"):
            file = f"{split}.jsonl.zst"
            check_sha256(folder / file, report["files"][file], folder / "report.json")
            index.add(f"{report['name']}.{split}", read_items(folder / file, Pair))
    return index


def _distinct(buckets: Buckets, rules: Cleaning, removed: Counter[str]) -> Iterator[tuple[Document, int]]:
    """Documents in the order of their keys; of those that are equal once normalised the first in the order of lines."""
    near = NearDuplicates(rules.near_duplicates) if rules.near_duplicates else None
    for key, lines in runs(buckets):
        seen: set[str] = set()
        for document in (Document(**json.loads(line)) for line in lines):
            # most keys have one line, and need no normal form
            normal = (normalise(document.text) or document.text) if len(lines) > 1 else ""
            if rules.duplicates and normal in seen:
                removed["duplicates"] += 1
            elif near and near.seen(document.text):
                removed["near_duplicates"] += 1
            else:
                seen.add(normal)
                yield document, key
