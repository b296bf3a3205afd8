"""Near duplicates by MinHash over word 3-grams (Broder 1997), with datasketch's locality-sensitive hashing."""

import xxhash
from datasketch import MinHash, MinHashLSH

from transferlaws.corpora.normalise import grams, normalise

PERMUTATIONS = 64
SHINGLE = 3  # words


class NearDuplicates:
    """Remembers the texts it was shown, about 2 kB each: the one rule whose memory grows with the corpus."""

    def __init__(self, threshold: float) -> None:
        """`threshold`: least Jaccard similarity of the sets of normalised word 3-grams, in (0, 1)."""
        self.threshold = threshold
        self._index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
        self._known: list[MinHash] = []
        self._empty = MinHash(num_perm=PERMUTATIONS, hashfunc=xxhash.xxh32_intdigest)  # copied, since its permutations cost time

    def seen(self, text: str) -> bool:
        """Whether a text like this one was shown before; if not, it is remembered."""
        shingles = {gram.encode() for gram in grams(normalise(text), SHINGLE)} or {b""}
        sketch = self._empty.copy()
        sketch.update_batch(sorted(shingles))
        if any(sketch.jaccard(self._known[key]) >= self.threshold for key in self._index.query(sketch)):
            return True
        self._index.insert(len(self._known), sketch, check_duplication=False)
        self._known.append(sketch)
        return False
