"""Stage `tokens`: the documents or pairs of one folder -> token shards.

The files depend on the text and the vocabulary alone, not on the number of threads.
"""

import argparse
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path

from transferlaws.corpora.items import Document, Pair
from transferlaws.options import folder_of
from transferlaws.progress import Progress
from transferlaws.tokens.shards import ShardWriter
from transferlaws.tokens.texts import TextFolder
from transferlaws.tokens.vocabulary import Vocabulary

BATCH = 1000  # items encoded at once


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the stage."""
    parser.add_argument("--input", type=folder_of, required=True, help="folder of the corpus or bitext")
    parser.add_argument("--vocabulary", type=folder_of, required=True, help="folder of the vocabulary")
    parser.add_argument("--output", type=folder_of, required=True, help="folder to write")
    parser.add_argument("--threads", type=int, default=1, help="threads to encode with (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Write `index.json`, `<split>.bin` and `<split>.offsets.npy`."""
    build(arguments.input, arguments.vocabulary, arguments.output, arguments.threads)


def build(source: Path, vocabulary_folder: Path, output: Path, threads: int = 1) -> None:
    """Encode every split of a folder that the corpus or the bitext stage wrote."""
    folder = TextFolder.open(source)
    vocabulary = Vocabulary.load(vocabulary_folder)
    kind = folder.report["kind"]
    head = {"name": folder.name, "kind": kind, "languages": folder.report["languages"]}
    writer = ShardWriter(
        output, **head, vocabulary_sha256=vocabulary.sha256, dtype=vocabulary.dtype, eos_id=vocabulary.eos_id, splits=_splits(kind)
    )
    with writer, Progress(f"tokens {folder.name}", folder.report["characters"], "character") as progress:
        for split, items in _batches(folder.items()):
            for side, name in enumerate(_sides(kind, split)):
                texts = [item.texts[side] for item in items]
                writer.add(name, vocabulary.encode(texts, threads), texts)
                progress.update(sum(map(len, texts)))


def _sides(kind: str, split: str) -> list[str]:
    return [split] if kind == "corpus" else [f"{split}.source", f"{split}.target"]


def _splits(kind: str) -> list[str]:
    if kind == "corpus":
        return ["train", "valid"]
    return [name for split in ("train", "dev", "test") for name in _sides(kind, split)]


def _batches(items: Iterator[tuple[str, Document | Pair]]) -> Iterator[tuple[str, list[Document | Pair]]]:
    while chunk := list(islice(items, BATCH)):
        # a corpus's splits alternate at random: sorting keeps the order within each
        chunk.sort(key=lambda entry: entry[0])
        for split, group in groupby(chunk, key=lambda entry: entry[0]):
            yield split, [item for _, item in group]
