"""What is fine-tuned on and tested on: aligned (source, target) items of a bitext, or segments of a corpus for `lm` tasks."""

from pathlib import Path

import numpy as np

from transferlaws.errors import UserError
from transferlaws.tokens.batches import Ragged, Segments
from transferlaws.tokens.objectives import EOS
from transferlaws.tokens.shards import TokenCorpus, TokenSplit
from transferlaws.tokens.vocabulary import Vocabulary


class Examples:
    """Items of one split: `sources` (None for `lm`) and `targets`, texts without eos; batches have eos behind each.

    `whole` holds the sizes of sources and targets before they were cut; left out: nothing was.
    """

    def __init__(self, sources: Ragged | None, targets: Ragged, whole: tuple[np.ndarray | None, np.ndarray] | None = None) -> None:
        self.sources, self.targets = sources, targets
        self.whole = whole or (None if sources is None else sources.sizes, targets.sizes)
        # positions, eos included
        self.lengths = targets.sizes + 1 if sources is None else targets.sizes + sources.sizes + 2

    def __len__(self) -> int:
        return len(self.targets)

    def subset(self, indices: np.ndarray) -> "Examples":
        """The items with these indices, in this order."""
        sources, targets = self.whole
        whole = (None if sources is None else sources[indices], targets[indices])
        return Examples(None if self.sources is None else self.sources.subset(indices), self.targets.subset(indices), whole)

    def cut(self) -> tuple[np.ndarray, np.ndarray]:
        """Which sources and which targets were cut off, (items,) of bool each."""
        sources, targets = self.whole
        none = np.zeros(len(self), dtype=bool)
        return none if self.sources is None else self.sources.sizes < sources, self.targets.sizes < targets

    def batch(self, indices: np.ndarray, shape: tuple[int, int, int] | None = None) -> tuple[np.ndarray | None, np.ndarray]:
        """Ids (B, S) and (B, T), as tight as the items allow, or padded to `shape` = (B, S, T) with empty rows."""
        rows, source, target = shape or self.shape(indices)
        sources = None if self.sources is None else self.sources.padded(indices, rows, source, EOS)
        return sources, self.targets.padded(indices, rows, target, EOS)

    def shape(self, indices: np.ndarray) -> tuple[int, int, int]:
        """(B, S, T) that just holds these items; S is 0 without sources."""
        source = 0 if self.sources is None else int(self.sources.sizes[indices].max()) + 1
        return len(indices), source, int(self.targets.sizes[indices].max()) + 1

    def sorted_batches(self, size: int) -> list[np.ndarray]:
        """All items once, in batches of like length, longest last: indices."""
        order = np.argsort(self.lengths, kind="stable")
        return np.array_split(order, -(-len(order) // size))

    def target_ids(self) -> list[np.ndarray]:
        """Every target's text, without eos."""
        return [
            self.targets.tokens[start : start + size] for start, size in zip(self.targets.starts, self.targets.sizes, strict=True)
        ]


def open_examples(folder: str | Path, vocabulary: Vocabulary, split: str, length: int) -> Examples:
    """Read one of the splits train, dev and test; sequences are cut to `length` ids, eos included.

    A corpus (an `lm` task) has the splits train and valid: the even documents of `valid` are dev, the odd ones test, unless the
    shards hold dev and test themselves. Its documents are cut into segments, not cut off.
    """
    corpus = TokenCorpus.open(folder)
    if corpus.vocabulary_sha256 != vocabulary.sha256:
        raise UserError(f"{corpus.folder}: made with another vocabulary. Run its tokens stage again.")
    if corpus.kind == "bitext":
        source, target = (_texts(corpus.split(f"{split}.{side}"), length) for side in ("source", "target"))
        if len(source) != len(target):
            raise UserError(f"{corpus.folder}: split {split} has {len(source)} sources and {len(target)} targets. Rebuild it.")
        sizes = [np.diff(np.asarray(corpus.split(f"{split}.{side}").offsets)) - 1 for side in ("source", "target")]
        return Examples(source, target, (sizes[0], sizes[1]))
    held_out = split in ("dev", "test") and split not in corpus.splits
    segments = Segments(corpus.split("valid" if held_out else split), length - 1)
    chosen = segments.document % 2 == (split == "test") if held_out else np.ones(len(segments), dtype=bool)
    return Examples(None, segments.subset(np.flatnonzero(chosen)))


def _texts(split: TokenSplit, length: int) -> Ragged:
    offsets = np.asarray(split.offsets)
    return Ragged(split.tokens, offsets[:-1], np.minimum(np.diff(offsets) - 1, length - 1))
