"""Cleaning rules. Each is a switch of `Cleaning`; each removal and each change is counted under its name."""

import html
import re
import unicodedata
from collections import Counter

from transferlaws.corpora.held_out import is_held_out
from transferlaws.corpora.items import Document, Pair
from transferlaws.corpora.language import in_other_language
from transferlaws.corpora.languages import primary
from transferlaws.corpora.normalise import HAN, SYLLABLES, YI, count_words
from transferlaws.corpora.rules import Cleaning

# C0 and C1 controls but tab and newline, directional overrides and isolates, byte-order marks, soft hyphens, replacement characters
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffd]")
# line breaks of other systems: what stands on their two sides is not one word
_BREAKS = str.maketrans(dict.fromkeys("\x0b\x0c\x1c\x1d\x1e\x1f\x85", " "))
_TAG = re.compile(r"<[/!]?[A-Za-z][^<>]*>|<!--.*?-->", re.DOTALL)
_ICU = re.compile(r"\{\s*\w+\s*,\s*(?:plural|select|selectordinal)\b")
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\s*\n\s*")
_ACCELERATOR = re.compile(r"(?<![&\w])[&_](?=[^\W_])(?!\w+_)|(?<=\w)&(?=\w)")
_CJK_ACCELERATOR = re.compile(r"\s*\([&_]\w\)")
_PLACEHOLDER = re.compile(
    r"%\([^()\s]+\)[-#0 +]*\d*(?:\.\d+)?[a-zA-Z]"  # %(name)s
    r"|%(?:\d+\$)?(?!(?<=\d%)-)[-#0+]*\d*(?:\.\d+)?(?:hh|h|ll|l|z)?[sdiufgxXc]\b"  # %s, %1$d; not 50%-s, a suffix
    r"|%\d+\b"  # Qt's %1
    r"|\$\{[^{}]+\}|\{\{[^{}]*\}\}|\{[^{}\s]*\}"  # ${name}, {{ name }}, {0}
    r"|\$\w+\$"
)
# Romanian is written with a comma below; a cedilla is an artefact of old encodings
_CEDILLA = re.compile("[şţŞŢ]")
_ROMANIAN = str.maketrans("şţŞŢ", "șțȘȚ")


_QT = re.compile(r"%(\d+)")
_NUMBER = re.compile(r"(?<![%\d])\d+")
# characters that say as much as several letters, beside the spaces between these
_DENSE = [
    (re.compile(f"[{HAN}{YI}]"), 2),
    (re.compile(f"[{SYLLABLES}\u1100-\u11ff\uac00-\ud7a3\u1200-\u139f\u13a0-\u13ff\u1400-\u167f\ua500-\ua63f]"), 1),
]


def placeholders(text: str) -> list[str]:
    """Sorted format placeholders of an interface string."""
    return sorted(_PLACEHOLDER.findall(text))


def placeholders_differ(source: str, target: str) -> bool:
    """Whether one side has a placeholder that the other lacks. `%50` is none where the other side has a 50: a percentage."""
    sides = Counter(placeholders(source)), Counter(placeholders(target))
    for own, other, text in ((sides[0], sides[1], target), (sides[1], sides[0], source)):
        numbers = None
        for placeholder in own - other:
            found = _QT.fullmatch(placeholder)
            if not found:
                return True
            numbers = [int(number) for number in _NUMBER.findall(text)] if numbers is None else numbers
            if int(found[1]) not in numbers:
                return True
    return False


def letters(text: str) -> int:
    """Letters and their combining marks: categories L and M."""
    if text.isascii():
        return sum(map(str.isalpha, text))
    return sum(unicodedata.category(character)[0] in "LM" for character in text)


def breadth(text: str) -> int:
    """Characters a text would have in an alphabet, roughly: a Han character counts for three, kana and Hangul for two."""
    return len(text) if text.isascii() else len(text) + sum(more * len(dense.findall(text)) for dense, more in _DENSE)


class Cleaner:
    """Applies the rules to one item at a time and counts what they did in `removed` and `changed`."""

    def __init__(self, rules: Cleaning, languages: list[str]) -> None:
        self.rules, self.languages = rules, languages
        self.removed: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()

    def clean(self, item: Document | Pair) -> bool:
        """Clean the item in place; False, and counted, where a rule removes it."""
        if isinstance(item, Document):
            item.text = self._text(item.text, self.languages[0])
            reason = self._reason(item.text) or self._language_reason(item)
        else:
            sides = zip(item.texts, self.languages, strict=True)
            item.source, item.target = (self._text(text, language).replace("\n", " ") for text, language in sides)
            reason = (
                self._reason(item.source) or self._reason(item.target) or self._pair_reason(item) or self._language_reason(item)
            )
        if reason and (reason == "empty" or item.split not in ("dev", "test")):  # prescribed sets stay whole
            self.removed[reason] += 1
            return False
        return True

    def _text(self, text: str, language: str) -> str:
        rules = self.rules
        if rules.unicode:
            text = self._change("unicode", text, unicodedata.normalize("NFC", text))
            if primary(language) == "ro" and _CEDILLA.search(text):
                text = self._change("cedilla", text, text.translate(_ROMANIAN))
        if rules.control_characters:
            plain = text.replace("\r\n", "\n").replace("\r", "\n").translate(_BREAKS)
            text = self._change("control_characters", text, _CONTROL.sub("", plain))
        if rules.markup and ("<" in text or "&" in text):
            text = self._change("markup", text, html.unescape(_TAG.sub(" ", text)))
        if rules.accelerators and ("&" in text or "_" in text):
            text = self._change("accelerators", text, _ACCELERATOR.sub("", _CJK_ACCELERATOR.sub("", text)))
        if rules.whitespace:
            text = _LINES.sub("\n", _SPACES.sub(" ", text)).strip()
        return text

    def _change(self, rule: str, before: str, after: str) -> str:
        if before != after:
            self.changed[rule] += 1
        return after

    def _reason(self, text: str) -> str | None:
        """The first rule on a single text that removes it."""
        rules = self.rules
        if not text:
            return "empty"
        if rules.markup and _ICU.search(text):
            return "markup"
        words = count_words(text)
        if words < rules.min_words:
            return "too_short"
        if words > rules.max_words or len(text) > rules.max_characters:
            return "too_long"
        if rules.min_letters and letters(text) < rules.min_letters * len(text):
            return "few_letters"
        return None

    def _language_reason(self, item: Document | Pair) -> str | None:
        if not self.rules.language:
            return None
        wrong = any(in_other_language(text, language) for text, language in zip(item.texts, self.languages, strict=True))
        return "other_language" if wrong else None

    def _pair_reason(self, item: Pair) -> str | None:
        rules = self.rules
        if rules.held_out and is_held_out(item.origin):
            return "held_out_collection"
        if rules.identical and item.source.casefold() == item.target.casefold():
            return "identical"
        if rules.placeholders and placeholders_differ(item.source, item.target):
            return "placeholders"
        # 10 characters of grace: among short strings a ratio says little
        longer, shorter = sorted((breadth(item.source), breadth(item.target)), reverse=True)
        if rules.max_ratio and longer + 10 > rules.max_ratio * (shorter + 10):
            return "length_ratio"
        return None
