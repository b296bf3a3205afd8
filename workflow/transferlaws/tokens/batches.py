"""Which text is trained on, in which order: mixture sampling for pretraining, nested subsets and epochs for fine-tuning.

Every order is a function of (seed, corpus, epoch) or (seed, epoch), so that a resumed run continues with exactly the next batch.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from transferlaws.errors import UserError
from transferlaws.seeding import generator
from transferlaws.tokens.shards import TokenSplit


class Ragged:
    """Text sequences of any length, without eos: sequence i is `tokens[starts[i] : starts[i] + sizes[i]]`.

    `tokens` may be a memory map that other sequences share; `starts` and `sizes` are int64 (sequences,).
    """

    def __init__(self, tokens: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> None:
        self.tokens, self.starts, self.sizes = tokens, starts, sizes

    @classmethod
    def of(cls, sequences: list[np.ndarray]) -> "Ragged":
        """From separate arrays of ids."""
        sizes = np.array([len(ids) for ids in sequences], dtype=np.int64)
        return cls(np.concatenate(sequences), np.cumsum(sizes) - sizes, sizes)

    def __len__(self) -> int:
        return len(self.starts)

    def subset(self, indices: np.ndarray) -> "Ragged":
        """The sequences with these indices, in this order."""
        return Ragged(self.tokens, self.starts[indices], self.sizes[indices])

    def padded(self, indices: np.ndarray, rows: int, width: int, eos: int | None = None) -> np.ndarray:
        """(rows, width) of int64: the sequences, each with `eos` behind it if given, then pad 0; rows left over are empty."""
        result = np.zeros((rows, width), np.int64)
        columns = np.arange(width)
        sizes = self.sizes[indices]
        inside = columns < sizes[:, None]
        places = np.minimum(self.starts[indices, None] + columns, len(self.tokens) - 1)
        result[: len(indices)] = np.where(inside, self.tokens[places], 0)
        if eos is not None:
            result[np.arange(len(indices)), sizes] = eos
        return result


class Segments(Ragged):
    """The documents of a split cut into pieces of at most `length` text tokens, in the order of the text; `document` of each."""

    def __init__(self, split: TokenSplit, length: int) -> None:
        offsets = np.asarray(split.offsets)
        sizes = np.diff(offsets) - 1  # without eos
        pieces = -(-sizes // length)
        self.document = np.repeat(np.arange(len(sizes)), pieces)
        index = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        starts = offsets[self.document] + index * length
        super().__init__(split.tokens, starts, np.minimum(sizes[self.document] - index * length, length))
        self.characters = split.characters
        self.total = int(self.sizes.sum())


def widths(length: int, count: int) -> np.ndarray:
    """`count` (or fewer) widths up to `length`, multiples of 8 in a geometric row: by which segments are sorted into batches."""
    smallest = max(length // 2 ** (count - 1), 8)
    row = np.geomspace(smallest, length, count) if count > 1 else np.array([length])
    return np.unique(np.append(np.minimum(np.ceil(row / 8) * 8, length), length)).astype(np.int64)


@dataclass
class TextBatch:
    """One step's text: `tokens` (B, L) of int64 with pad 0, without eos, and `lengths` (B,)."""

    tokens: np.ndarray
    lengths: np.ndarray

    @property
    def text_tokens(self) -> int:
        """Real text tokens: no padding, no eos."""
        return int(self.lengths.sum())


@dataclass
class _Queue:
    names: list[str] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)


class MixtureStream:
    """Endless batches of about `batch_tokens` text tokens from corpora in the proportion of `weights`.

    The next segment comes from the corpus whose share of the tokens drawn so far is furthest below its weight; the segments of a
    corpus are passed in an order that (seed, corpus, epoch) decides. Segments wait in a queue of their width until it holds a
    batch, so that batches of a width are of few forms. `length` and the widths count eos. `state()` and `restore()` are
    all that a resumed run needs.
    """

    def __init__(
        self,
        splits: Mapping[str, TokenSplit],
        weights: Mapping[str, float],
        *,
        length: int,
        batch_tokens: int,
        seed: int,
        shapes: int,
    ) -> None:
        if set(splits) != set(weights) or abs(sum(weights.values()) - 1) > 1e-6 or min(weights.values()) <= 0:
            raise UserError(f"mixture {dict(weights)}: expected one positive weight for each of {sorted(splits)}, summing to 1.")
        self.segments = {name: Segments(split, length - 1) for name, split in splits.items()}
        for name, segments in self.segments.items():
            if not len(segments):
                raise UserError(f"corpus {name}: its train split holds no text. Check the corpus stage's report.json.")
        self.weights = dict(sorted(weights.items()))
        self.widths = widths(length, shapes)
        self.batch_tokens, self.seed = batch_tokens, seed
        self.queues = [_Queue() for _ in self.widths]
        self.drawn = dict.fromkeys(self.weights, 0)  # text tokens
        self.position = dict.fromkeys(self.weights, 0)  # segments
        self._coming = {name: self._passing(name) for name in self.weights}

    def rows(self, width: int) -> int:
        """Most segments that a batch of this width can hold: its fixed number of rows."""
        return max(self.batch_tokens // int(width), 1)

    def __iter__(self) -> Iterator[TextBatch]:
        while True:
            yield self.next()

    def next(self) -> TextBatch:
        """Draw segments until some width has a full batch."""
        total, rows = sum(self.drawn.values()) + 1, [self.rows(width) for width in self.widths]

        def lack(corpus: str) -> float:
            return self.weights[corpus] * total - self.drawn[corpus]

        while True:
            name = max(self.weights, key=lack)
            index, size, which = next(self._coming[name])
            self.position[name] += 1
            self.drawn[name] += size
            total += size
            queue = self.queues[which]
            queue.names.append(name)
            queue.segments.append(index)
            if len(queue.segments) == rows[which]:
                self.queues[which] = _Queue()
                return self._batch(queue, int(self.widths[which]))

    def _passing(self, name: str) -> Iterator[tuple[int, int, int]]:
        """A corpus's segments from its position on: each one's index, size and queue."""
        segments, ahead = self.segments[name], 1024  # looked up at once
        epoch, start = divmod(self.position[name], len(segments))
        while True:
            order = generator(self.seed, "pretraining", name, epoch).permutation(len(segments))
            for first in range(start, len(segments), ahead):
                indices = order[first : first + ahead]
                sizes = segments.sizes[indices]
                queues = np.searchsorted(self.widths, sizes + 1)  # eos takes a place
                yield from zip(indices.tolist(), sizes.tolist(), queues.tolist(), strict=True)
            epoch, start = epoch + 1, 0

    def _batch(self, queue: _Queue, width: int) -> TextBatch:
        names, indices = np.array(queue.names), np.array(queue.segments)
        tokens, lengths = np.zeros((len(names), width - 1), np.int64), np.zeros(len(names), np.int64)
        for name in self.weights:
            rows = np.flatnonzero(names == name)
            tokens[rows] = self.segments[name].padded(indices[rows], len(rows), width - 1)
            lengths[rows] = self.segments[name].sizes[indices[rows]]
        return TextBatch(tokens, lengths)

    def epochs(self, drawn: Mapping[str, int]) -> dict[str, float]:
        """Passes over each corpus that so many tokens `drawn` of each are, queued segments included."""
        return {name: drawn[name] / self.segments[name].total for name in self.weights}

    def available(self, most: float) -> tuple[float, str]:
        """The text tokens that can be drawn in at most `most` passes over each corpus, and the corpus that then runs out."""
        tokens = {name: most * self.segments[name].total / weight for name, weight in self.weights.items()}
        name = min(tokens, key=tokens.get)
        return tokens[name], name

    def unique_tokens(self, drawn: Mapping[str, int]) -> int:
        """Different text tokens (by place, not by value) among so many `drawn` of each corpus."""
        return sum(min(drawn[name], self.segments[name].total) for name in self.weights)

    def characters(self, tokens: int) -> float:
        """Characters in `tokens` text tokens drawn in the mixture's proportion."""
        share = {name: segments.characters / segments.total for name, segments in self.segments.items()}
        return sum(tokens * weight * share[name] for name, weight in self.weights.items())

    def state(self) -> dict:
        """Plain data that `restore` takes."""
        queues = [{"names": [*q.names], "segments": [*q.segments]} for q in self.queues]
        return {"drawn": dict(self.drawn), "position": dict(self.position), "queues": queues}

    def restore(self, state: dict) -> None:
        """Continue where `state` was taken."""
        self.drawn, self.position = dict(state["drawn"]), dict(state["position"])
        self.queues = [_Queue(list(q["names"]), list(q["segments"])) for q in state["queues"]]
        self._coming = {name: self._passing(name) for name in self.weights}


def validation_batches(splits: Mapping[str, TokenSplit], *, length: int, batch_tokens: int, limit: int) -> list[TextBatch]:
    """The first `limit` text tokens of each corpus's validation split in batches of like length."""
    batches = []
    for name in sorted(splits):
        segments = Segments(splits[name], length - 1)
        stop = int(np.searchsorted(np.cumsum(segments.sizes), limit)) + 1
        order = np.argsort(segments.sizes[:stop], kind="stable")
        for indices in np.array_split(order, -(-int(segments.sizes[:stop].sum()) // batch_tokens)):
            lengths = segments.sizes[indices]
            batches.append(TextBatch(segments.padded(indices, len(indices), int(lengths.max())), lengths))
    return batches


def nested_subset(available: int, size: int, seed: int) -> np.ndarray:
    """The first `size` of `available` items in the seed's order: a smaller subset is part of every larger one."""
    if size > available:
        raise UserError(f"fine-tuning size {size} is larger than the {available} items of the train split. Lower the size.")
    return generator(seed, "subset").permutation(available)[:size]


def epoch_batches(lengths: np.ndarray, count: int, seed: int, epoch: int) -> list[np.ndarray]:
    """One pass over items of the given lengths (n,) in `count` batches that are alike: each takes one of every `count` neighbours.

    So every batch, of every seed of a lockstep run too, has nearly as many positions. Its items come shortest first.
    """
    random = generator(seed, "epoch", epoch)
    order = random.permutation(len(lengths))  # of equal lengths
    rows = -(-len(lengths) // count)
    items = np.full(rows * count, -1)
    items[rows * count - len(lengths) :] = order[np.argsort(lengths[order], kind="stable")]
    return [batch[batch >= 0] for batch in random.permuted(items.reshape(rows, count), axis=1).T]
