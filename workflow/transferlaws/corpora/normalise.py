"""The normal form by which items are compared, keyed and split, and its grams, in any script."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator

GRAM = 8  # words; the n-gram length of contamination checks (as in GPT-3's and T5's, which use 8 to 13)
WORD = 6  # what a word weighs


def _marks() -> str:
    """Combining marks that spell words (vowel signs, tone marks, points), as a character class; not what selects a glyph."""
    selectors = {0x34F, *range(0x180B, 0x1810), *range(0x20D0, 0x2100), *range(0xFE00, 0xFE10)}
    return "".join(chr(i) for i in range(0x300, 0x1F000) if i not in selectors and unicodedata.category(chr(i)) in ("Mn", "Mc"))


MARKS = _marks()
# Scripts written without spaces: a character, with its marks, is a part of a word. Two Han characters say about what one English
# word says, as do three kana or three letters of South East Asia.
HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
SYLLABLES = "\u3041-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\uff66-\uff9f\U0001b000-\U0001b16f"  # kana, bopomofo
SOUTH_EAST = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9ff\uaa60-\uaadf"
YI, TIBETAN = "\ua000-\ua4cf", "\u0f00-\u0fff"  # Tibetan parts syllables, not words
_UNSPACED = re.compile(f"([{HAN}{SYLLABLES}{SOUTH_EAST}{YI}][{MARKS}]*)")
_WEIGHED = re.compile(f"[{HAN}{SYLLABLES}{SOUTH_EAST}{YI}{TIBETAN}]")
_HALF = re.compile(f"[{HAN}{YI}{TIBETAN}]")
_NOT_LETTERS = re.compile(rf"(?:^[{MARKS}]+|(?:[^\w{MARKS}]|[\d_])[{MARKS}]*)+")
_NOT_LETTERS_ASCII = re.compile(r"[\W\d_]+")
_JOINERS = str.maketrans("", "", "\u200c\u200d")


def normalise(text: str) -> str:
    """Lower case, letters and their marks only, single spaces: what stays without case, digits, punctuation and spacing."""
    text = text.casefold()
    if text.isascii():
        return _NOT_LETTERS_ASCII.sub(" ", text).strip()
    # a dotted capital I is an i with a dot too many; it parts words, so that splits with Turkish names stay what they were
    text = unicodedata.normalize("NFC", text.translate(_JOINERS).replace("i\u0307", "i "))
    return _NOT_LETTERS.sub(" ", _UNSPACED.sub(r" \1 ", text)).strip()


def key_of(text: str) -> int:
    """A 64-bit hash of a text; uniform, stable over machines and versions. Splits and order follow from it."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _weight(word: str) -> int:
    """What a word of the normal form says, `WORD` being what a word with spaces round it says."""
    if not _WEIGHED.match(word):
        return WORD
    return WORD // 2 if _HALF.match(word) else WORD // 3


def weight(normal: str) -> int:
    """The weight of a normal form: `WORD` times its words, in scripts without spaces times what comes to a word."""
    if not normal:
        return 0
    return sum(map(_weight, normal.split())) if _WEIGHED.search(normal) else WORD * (normal.count(" ") + 1)


def count_words(text: str) -> int:
    """Words of a text: parts between white space; in scripts without spaces what comes to a word, such as two Han characters."""
    if text.isascii() or not _WEIGHED.search(text):
        return text.count(" ") + text.count("\n") + 1
    return max(1, -(-weight(normalise(text)) // WORD))


def grams(normal: str, size: int = GRAM) -> Iterator[str]:
    """Runs of a normal form that say as much as `size` words; the whole of one that says less; nothing for an empty one.

    A run is `size` words, 2 × `size` Han characters, 3 × `size` kana or Thai letters, or a mixture: as few as do.
    """
    words = normal.split()
    if not _WEIGHED.search(normal):
        if len(words) < size:
            if words:
                yield normal
            return
        for start in range(len(words) - size + 1):
            yield " ".join(words[start : start + size])
        return
    weights = [_weight(word) for word in words]
    end = run = 0
    for start, first in enumerate(weights):
        while run < size * WORD and end < len(words):
            run += weights[end]
            end += 1
        if run < size * WORD:
            if not start:
                yield normal
            return
        yield " ".join(words[start:end])
        run -= first
