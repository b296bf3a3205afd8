"""Overlap with dev and test sets: grams that say as much as eight words, whole short items, and groups such as verse ids."""

from collections import Counter
from collections.abc import Iterable

from transferlaws.corpora.items import Document, Pair
from transferlaws.corpora.normalise import GRAM, WORD, grams, normalise, weight


class TestIndex:
    """What must not be met again: every gram and group of the dev and test sets that were added.

    Grams of all sides and sets share one index, so that an item is checked once however many sets there are.
    """

    __test__ = False  # not a test class

    def __init__(self) -> None:
        self.names: list[str] = []
        self._grams: dict[str, int] = {}  # gram -> bits, one a set
        self._groups: dict[str, int] = {}

    def add(self, name: str, items: Iterable[Document | Pair]) -> None:
        """Index every side of the items under a set's name, `<bitext>.test` say."""
        bit = 1 << len(self.names)
        self.names.append(name)
        for item in items:
            for text in item.texts:
                for gram in grams(normalise(text)):
                    self._grams[gram] = self._grams.get(gram, 0) | bit
            if item.group:
                self._groups[item.group] = self._groups.get(item.group, 0) | bit

    def overlap(self, item: Document | Pair) -> Counter[str]:
        """How many grams the item shares with each set; empty if none. A shared group counts as one gram.

        Lines that say less than eight words are also compared whole, since a document may hold a test sentence as one of its lines.
        """
        bits: Counter[int] = Counter()
        if item.group in self._groups:
            bits[self._groups[item.group]] += 1
        known = self._grams
        for text in item.texts:
            normal = normalise(text)
            for gram in grams(normal):
                if gram in known:
                    bits[known[gram]] += 1
            if "\n" in text:
                for line in text.splitlines():
                    line = normalise(line)
                    if line in known and weight(line) < GRAM * WORD:
                        bits[known[line]] += 1
        shared: Counter[str] = Counter()
        for mask, count in bits.items():
            for position, name in enumerate(self.names):
                if mask >> position & 1:
                    shared[name] += count
        return shared


class Contamination:
    """Removes items that overlap with an index, and counts them for the report."""

    def __init__(self, index: TestIndex) -> None:
        self.index = index
        self.counts: Counter[tuple[str, str]] = Counter()

    def clean(self, item: Document | Pair) -> bool:
        """Whether the item may stay; an item that may not is counted against each set it overlaps with."""
        shared = self.index.overlap(item)
        for name, number in shared.items():
            self.counts[name, "documents"] += 1
            self.counts[name, "grams"] += number
        self.counts["", "documents"] += bool(shared)
        return not shared

    @property
    def removed(self) -> int:
        """Items that overlap with any set."""
        return self.counts["", "documents"]

    def sets(self) -> dict[str, dict[str, int]]:
        """By set: how many items overlap with it, and how many grams they share with it."""
        return {name: {what: self.counts[name, what] for what in ("documents", "grams")} for name in self.index.names}
