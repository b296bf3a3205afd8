"""Stage `bitext`: a source of sentence pairs -> cleaned pairs, split into train, dev, test and monolingual.

A pair's split follows from the 64-bit hash of its normalised source alone (of its group, where it has one), so it is the same
on every machine and stays when data is added. Pairs whose target occurs in a split that counts more (test, dev, train,
monolingual, in this order) are removed, so that no two splits share a normalised source or target. Dev and test sets that a
source prescribes are kept whole, whatever the rules say, so that scores compare with those of others. Each file is in the order of
the hashes: any prefix of train is a random sample, and prefixes are nested.
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
from transferlaws.corpora.items import ItemWriter, Pair, read_items
from transferlaws.corpora.near_duplicates import NearDuplicates
from transferlaws.corpora.normalise import key_of, normalise
from transferlaws.corpora.notices import notices, reasons, refuse_empty, remedies
from transferlaws.corpora.prepare import Preparation, fill, runs
from transferlaws.corpora.rules import Cleaning
from transferlaws.corpora.settings import BitextSettings
from transferlaws.corpora.stage import add_common_arguments, write_report
from transferlaws.errors import UserError

SPLITS = ("test", "dev", "train", "monolingual")  # in the order in which they claim a target
SHARED = ("test", "dev", "monolingual")  # in the order of their ranges of the hash


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the stage."""
    add_common_arguments(parser, BitextSettings)


def run(arguments: argparse.Namespace) -> None:
    """Write `{train,dev,test,monolingual}.jsonl.zst` and `report.json`."""
    build(arguments.name, arguments.settings, arguments.cache, arguments.output, arguments.threads)


def build(name: str, settings: BitextSettings, cache: Path, output: Path, threads: int = 1) -> dict:
    """Read, clean, deduplicate, split and decontaminate; returns the report."""
    output.mkdir(parents=True, exist_ok=True)
    cleaner = Cleaner(settings.cleaning, list(settings.languages))
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=output, prefix=".scratch.")))
        provenance, pairs = sources.pairs(settings, sources.Context(cache, scratch, cleaner.removed))
        buckets = stack.enter_context(Buckets(scratch))
        read = fill(buckets, pairs, Preparation(cleaner), threads, f"bitext {name}")
        shares = {split: 0.0 if split in settings.prescribed else getattr(settings, split) for split in SHARED}
        with ExitStack() as files:
            drafts = {split: files.enter_context(ItemWriter(scratch / f"{split}.jsonl.zst")) for split in SPLITS}
            for pair, key in _distinct(buckets, settings.cleaning, cleaner.removed):
                drafts[_split(pair, key, settings, shares)].write(pair)
        report = _separate(name, scratch, output, cleaner.removed)
    part, rules, splits, removed = f"bitexts.{name}", settings.cleaning, report["splits"], dict(cleaner.removed)
    if not splits["train"]:
        raise UserError(
            f"bitext '{name}': no training pair is left of {read} read; removed: {reasons(removed)}."
            f"{remedies(removed, part, rules)}"
        )
    if settings.pairs is not None and splits["train"] < settings.pairs:
        raise UserError(
            f"bitext '{name}': {splits['train']} training pairs are left of {read} read, but the config says `pairs: "
            f"{settings.pairs}`. Lower it, or keep more; removed: {reasons(removed)}.{remedies(removed, part, rules)}"
        )
    refuse_empty(part, splits, _asked(part, settings, shares), removed, rules)
    head = {"name": name, "kind": "bitext", "languages": list(settings.languages), "source": settings.source}
    head |= {"version": provenance.version, "licence": provenance.licence, "inputs": provenance.files, "read": read}
    counts = {"removed": dict(sorted(cleaner.removed.items())), "changed": dict(sorted(cleaner.changed.items()))}
    said = notices(part, [*settings.languages], rules, report["pairs"], removed)
    report = {**head, "kept": report["pairs"], **counts, **report, "notices": said}
    write_report(output, report, [f"{split}.jsonl.zst" for split in SPLITS])
    return report


def _asked(part: str, settings: BitextSettings, shares: dict[str, float]) -> dict[str, str]:
    """The splits that must not be empty -> what gives them items."""
    asked = {split: f"Look at {part}.{split}_paths or {split}_split: no pair of them can be used." for split in settings.prescribed}
    for split, share in shares.items():
        if share:
            files = "" if split == "monolingual" else f", or a set of your own ({part}.{split}_paths)"
            asked[split] = f"Give a larger share than {part}.{split}: {share:g}{files}."
    return asked


def _distinct(buckets: Buckets, rules: Cleaning, removed: Counter[str]) -> Iterator[tuple[Pair, int]]:
    """Pairs in the order of their keys; of those that are equal once normalised the first in the order of lines."""
    near = NearDuplicates(rules.near_duplicates) if rules.near_duplicates else None
    for key, lines in runs(buckets):
        seen: set[str] = set()
        # what a source prescribes for dev or test comes first, and stays whole
        for pair in sorted((Pair(**json.loads(line)) for line in lines), key=lambda pair: not pair.split):
            # most keys have one line, and need no normal form
            target = (normalise(pair.target) or pair.target) if len(lines) > 1 else ""
            if pair.split:
                seen.add(target)
                yield pair, key
            elif rules.duplicates and target in seen:
                removed["duplicates"] += 1
            elif rules.repeated_sources and seen:
                removed["repeated_sources"] += 1
            elif near and near.seen(pair.source):
                removed["near_duplicates"] += 1
            else:
                seen.add(target)
                yield pair, key


def _split(pair: Pair, key: int, settings: BitextSettings, shares: dict[str, float]) -> str:
    if pair.split:
        return pair.split
    place = key / 2**64
    for split, share in shares.items():
        if place < share:
            ours = split == "monolingual" or not settings.test_origins or pair.origin in settings.test_origins
            return split if ours else "train"
        place -= share
    return "train"


def _separate(name: str, drafts: Path, output: Path, removed: Counter[str]) -> dict:
    """Write each split without what it shares with those before it."""
    targets: set[int] = set()
    index = TestIndex()
    splits, contamination, totals = {}, {}, Counter()
    for split in SPLITS:
        check = Contamination(index)
        own: set[int] = set()
        with ItemWriter(output / f"{split}.jsonl.zst") as writer:
            for pair in read_items(drafts / f"{split}.jsonl.zst", Pair):
                target = key_of(normalise(pair.target) or pair.target)
                if pair.split:
                    own.add(target)
                    writer.write(pair)
                elif target in targets:
                    removed[f"target_in_other_split_{split}"] += 1
                elif not check.clean(pair):
                    removed[f"contamination_{split}"] += 1
                else:
                    own.add(target)
                    writer.write(pair)
        targets |= own
        splits[split] = writer.items
        totals.update(pairs=writer.items, characters=writer.characters, bytes=writer.bytes)
        if split in ("test", "dev"):
            index.add(f"{name}.{split}", read_items(output / f"{split}.jsonl.zst", Pair))
        for against, counts in check.sets().items():
            contamination.setdefault(against, Counter()).update(counts)
    return {"contamination": contamination, "splits": splits, **totals}
