"""The normal form by which items are compared, keyed and split."""

import hashlib
import re
from collections.abc import Iterator

GRAM = 8  # words; the n-gram length of contamination checks (as in GPT-3's and T5's, which use 8 to 13)

_NOT_LETTERS = re.compile(r"[\W\d_]+")
# scripts written without spaces: each character counts as a word
_UNSPACED = re.compile(r"([぀-ヿ㐀-䶿一-鿿฀-๿])")


def normalise(text: str) -> str:
    """Lower case, letters only, single spaces: what stays when case, digits, punctuation and spacing are taken away."""
    text = text.casefold()
    if not text.isascii():
        text = _UNSPACED.sub(r" \1 ", text)
    return _NOT_LETTERS.sub(" ", text).strip()


def key_of(text: str) -> int:
    """A 64-bit hash of a text; uniform, stable over machines and versions. Splits and order follow from it."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def grams(normal: str) -> Iterator[str]:
    """The word 8-grams of a normalised text, or the whole of one with fewer words; nothing for an empty one."""
    words = normal.split()
    if len(words) < GRAM:
        if words:
            yield normal
        return
    for start in range(len(words) - GRAM + 1):
        yield " ".join(words[start : start + GRAM])
