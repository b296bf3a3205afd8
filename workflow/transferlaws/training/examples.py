"""What is fine-tuned on and tested on: aligned (source, target) items of a bitext, or segments of a corpus for `lm` tasks."""

from pathlib import Path

import numpy as np

from transferlaws.errors import UserError
from transferlaws.tokens.batches import Segments, padded
from transferlaws.tokens.shards import TokenCorpus
from transferlaws.tokens.vocabulary import Vocabulary


class Examples:
    """Items of one split: `sources` (None for `lm`) and `targets`, lists of id arrays that end in eos."""

    def __init__(self, sources: list[np.ndarray] | None, targets: list[np.ndarray]) -> None:
        self.sources, self.targets = sources, targets
        # what a batch is sorted by: the decoder's length first, as it decides the number of logits
        self.lengths = np.array([len(t) for t in targets]) + (0 if sources is None else np.array([len(s) for s in sources]))

    def __len__(self) -> int:
        return len(self.targets)

    def subset(self, indices: np.ndarray) -> "Examples":
        """The items with these indices, in this order."""
        sources = None if self.sources is None else [self.sources[i] for i in indices]
        return Examples(sources, [self.targets[i] for i in indices])

    def batch(self, indices: np.ndarray, shape: tuple[int, int, int] | None = None) -> tuple[np.ndarray | None, np.ndarray]:
        """(B, S) and (B, T) ids, as tight as the items allow, or padded to `shape` = (B, S, T) with empty rows."""
        rows, source, target = shape or self.shape(indices)
        result = np.zeros((rows, target), np.int64)
        result[: len(indices)] = padded([self.targets[i] for i in indices], target)
        if self.sources is None:
            return None, result
        sources = np.zeros((rows, source), np.int64)
        sources[: len(indices)] = padded([self.sources[i] for i in indices], source)
        return sources, result

    def shape(self, indices: np.ndarray) -> tuple[int, int, int]:
        """(B, S, T) that just holds these items; S is 0 without sources."""
        source = 0 if self.sources is None else max(len(self.sources[i]) for i in indices)
        return len(indices), source, max(len(self.targets[i]) for i in indices)

    def sorted_batches(self, size: int) -> list[np.ndarray]:
        """All items once, in batches of like length, longest last: indices."""
        order = np.argsort(self.lengths, kind="stable")
        return np.array_split(order, -(-len(order) // size))

    def text_tokens(self) -> int:
        """Target tokens without eos."""
        return sum(len(ids) - 1 for ids in self.targets)


def open_examples(folder: str | Path, vocabulary: Vocabulary, split: str, length: int) -> Examples:
    """Read one of the splits train, dev and test; sequences are cut to `length` ids, eos kept.

    A corpus (an `lm` task) has the splits train and valid: the even documents of `valid` are dev, the odd ones test, unless the
    shards hold dev and test themselves.
    """
    corpus = TokenCorpus.open(folder)
    if corpus.vocabulary_sha256 != vocabulary.sha256:
        raise UserError(f"{corpus.folder}: made with another vocabulary. Run its tokens stage again.")
    if corpus.kind == "bitext":
        sides = [corpus.split(f"{split}.{side}") for side in ("source", "target")]
        if len(sides[0]) != len(sides[1]):
            raise UserError(f"{corpus.folder}: split {split} has {len(sides[0])} sources and {len(sides[1])} targets. Rebuild it.")
        sources, targets = ([_cut(side[i], length, vocabulary.eos_id) for i in range(len(side))] for side in sides)
        return Examples(sources, targets)
    held_out = split in ("dev", "test") and split not in corpus.splits
    tokens = corpus.split("valid" if held_out else split)
    segments = Segments(tokens, length - 1)
    pieces = [
        _cut(tokens.tokens[s : s + n], length, vocabulary.eos_id) for s, n in zip(segments.starts, segments.sizes, strict=True)
    ]
    if held_out:
        document = np.searchsorted(np.asarray(tokens.offsets), segments.starts, side="right") - 1
        wanted = 0 if split == "dev" else 1
        pieces = [piece for piece, number in zip(pieces, document, strict=True) if number % 2 == wanted]
    return Examples(None, pieces)


def _cut(ids: np.ndarray, length: int, eos: int) -> np.ndarray:
    text = np.asarray(ids, dtype=np.int64)
    text = text[:-1] if len(text) and text[-1] == eos else text
    return np.append(text[: length - 1], eos)
