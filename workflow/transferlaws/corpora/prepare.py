"""Clean, check and key items on any number of processes; the result does not depend on how many there are."""

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import groupby, islice

from transferlaws.corpora.buckets import Buckets
from transferlaws.corpora.cleaning import Cleaner
from transferlaws.corpora.contamination import Contamination
from transferlaws.corpora.items import Document, Pair, encode, is_unicode
from transferlaws.corpora.normalise import key_of, normalise
from transferlaws.progress import Progress

CHUNK = 1000  # items sent to a process at once


class Preparation:
    """The rules that an item passes before it is sorted: cleaning, and contamination with dev and test sets."""

    def __init__(self, cleaner: Cleaner, check: Contamination | None = None) -> None:
        self.cleaner, self.check = cleaner, check

    def lines(self, items: list[Document | Pair]) -> list[tuple[int, bytes]]:
        """(key, encoded item) of the items that may stay."""
        kept = []
        for item in items:
            if not is_unicode(item):
                self.cleaner.removed["lone_surrogate"] += 1
            elif self.cleaner.clean(item) and (self.check is None or self.check.clean(item)):
                kept.append((key_of(item.group or normalise(item.texts[0]) or item.texts[0]), encode(item)))
        return kept

    def counts(self) -> tuple[Counter, Counter, Counter]:
        """What was removed, changed and found contaminated since the last call."""
        counts = (self.cleaner.removed, self.cleaner.changed, self.check.counts if self.check else Counter())
        copies = tuple(Counter(count) for count in counts)
        for count in counts:
            count.clear()
        return copies

    def add(self, counts: tuple[Counter, Counter, Counter]) -> None:
        """Add the counts of another process."""
        self.cleaner.removed.update(counts[0])
        self.cleaner.changed.update(counts[1])
        if self.check:
            self.check.counts.update(counts[2])


_worker: Preparation  # of this process, set when it starts


def _start(preparation: Preparation) -> None:
    global _worker
    _worker = preparation
    _worker.counts()  # what the reader has counted so far is not this process's


def _work(items: list[Document | Pair]) -> tuple[list[tuple[int, bytes]], tuple[Counter, Counter, Counter]]:
    return _worker.lines(items), _worker.counts()


def fill(buckets: Buckets, items: Iterator[Document | Pair], preparation: Preparation, processes: int, label: str) -> int:
    """Put the items that may stay into the buckets; returns how many were read."""
    with Progress(label, 0, "item") as progress:
        if processes <= 1:
            while chunk := list(islice(items, CHUNK)):
                _store(buckets, preparation.lines(chunk))
                progress.update(len(chunk))
            return int(progress.done)
        waiting: deque[tuple[int, Future]] = deque()
        with ProcessPoolExecutor(processes, initializer=_start, initargs=(preparation,)) as pool:
            for chunk in iter(lambda: list(islice(items, CHUNK)), []):
                waiting.append((len(chunk), pool.submit(_work, chunk)))
                if len(waiting) > 2 * processes:  # bounds memory when reading is faster than cleaning
                    _collect(buckets, preparation, progress, *waiting.popleft())
            while waiting:
                _collect(buckets, preparation, progress, *waiting.popleft())
        return int(progress.done)


def _collect(buckets: Buckets, preparation: Preparation, progress: Progress, count: int, future: Future) -> None:
    lines, counts = future.result()
    _store(buckets, lines)
    preparation.add(counts)
    progress.update(count)


def _store(buckets: Buckets, lines: list[tuple[int, bytes]]) -> None:
    for key, line in lines:
        buckets.add(key, line)


def runs(buckets: Buckets) -> Iterator[tuple[int, list[bytes]]]:
    """(key, lines) of the items that share a key, in the order of the keys."""
    for key, entries in groupby(buckets, key=lambda entry: entry[0]):
        yield key, [line for _, line in entries]
