"""Each cleaning rule does its one thing, and counts it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transferlaws.corpora.cleaning import Cleaner, placeholders
from transferlaws.corpora.items import Document, Pair
from transferlaws.corpora.normalise import normalise
from transferlaws.corpora.settings import BitextCleaning, Cleaning

OFF = {
    "unicode": False,
    "control_characters": False,
    "whitespace": False,
    "placeholders": False,
    "identical": False,
    "language": False,
}


def clean_pair(source: str, target: str, languages: tuple[str, str] = ("en", "de"), **rules: object) -> tuple[Pair, Cleaner, bool]:
    cleaner = Cleaner(BitextCleaning(**rules), list(languages))
    pair = Pair("x", source, target)
    return pair, cleaner, cleaner.clean(pair)


@pytest.mark.parametrize(
    ("rules", "before", "after", "count"),
    [
        ({"unicode": True}, "Ma\u0308rz", "März", "unicode"),
        ({"control_characters": True}, "a\u202eb\u0000c\u00add", "abcd", "control_characters"),
        ({"control_characters": True}, "a\r\nb\rc", "a\nb\nc", "control_characters"),
        ({"markup": True}, "a <b class='x'>bold</b> &amp; <br/>word", "a  bold  &  word", "markup"),
        ({"markup": True}, '<!DOCTYPE html PUBLIC "x"><p>5 <! 6</p>', "  5 <! 6 ", "markup"),
        (
            {"accelerators": True},
            "&File and _Save E&xit but AT & T, snake_case_name, R && D",
            "File and Save Exit but AT & T, snake_case_name, R && D",
            "accelerators",
        ),
    ],
)
def test_changes(rules: dict, before: str, after: str, count: str) -> None:
    cleaner = Cleaner(Cleaning(**(OFF | rules)), ["en"])
    document = Document("x", before)
    assert cleaner.clean(document)
    assert document.text == after
    assert cleaner.changed == {count: 1}
    switched_off = Document("x", before)
    assert Cleaner(Cleaning(**OFF), ["en"]).clean(switched_off)
    assert switched_off.text == before


def test_romanian_cedillas_become_commas_in_romanian_only() -> None:
    romanian, turkish = Document("x", "ţară şi Şapte"), Document("x", "şapka")
    assert Cleaner(Cleaning(), ["ro"]).clean(romanian) and romanian.text == "țară și Șapte"
    assert Cleaner(Cleaning(), ["tr"]).clean(turkish) and turkish.text == "şapka"


@pytest.mark.parametrize(
    ("reason", "source", "target", "rules"),
    [
        ("empty", "word", " \u200b ", {}),
        ("too_short", "two words", "zwei Wörter", {"min_words": 3}),
        ("too_long", "w " * 201, "Wort", {"max_ratio": 0}),
        ("few_letters", "1234 5678", "Zahl 1", {}),
        ("identical", "Linux Kernel", "Linux kernel", {}),
        ("placeholders", "%(count)s files in {folder}", "%(count)s Dateien in {ordner}", {}),
        ("length_ratio", "A", "Dies ist eine viel längere Übersetzung, als sie sein sollte", {}),
        ("markup", "{count, plural, one {# file} other {# files}}", "Dateien", {"markup": True}),
        (
            "other_language",
            "This is certainly a sentence that was written in English.",
            "This is another sentence that stayed in English.",
            {},
        ),
        ("held_out_collection", "word", "Wort", {}),
    ],
)
def test_removals(reason: str, source: str, target: str, rules: dict) -> None:
    cleaner = Cleaner(BitextCleaning(**rules), ["en", "de"])
    assert not cleaner.clean(Pair("x", source, target, "WMT-News" if reason == "held_out_collection" else "x"))
    assert cleaner.removed == {reason: 1}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("%(name)s of %d, 100% sure", ["%(name)s", "%d"]),
        ("${user}: {0} {{ title }} %1$s %2 %%", ["${user}", "%1$s", "%2", "{0}", "{{ title }}"]),
        ("50 % off, {not a placeholder}", []),
    ],
)
def test_placeholders(text: str, found: list[str]) -> None:
    assert placeholders(text) == found


def test_placeholders_may_change_places() -> None:
    assert clean_pair("{a} before {b}", "vor {b} steht {a}")[2]


@given(st.text(max_size=200))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    document = Document("x", text)
    if Cleaner(Cleaning(), ["en"]).clean(document):
        again = Document("x", document.text)
        assert Cleaner(Cleaning(), ["en"]).clean(again)
        assert again.text == document.text


@given(st.text(max_size=200))
def test_normal_form_is_stable_and_ignores_case_digits_and_punctuation(text: str) -> None:
    normal = normalise(text)
    assert normalise(normal) == normal
    assert normalise(f"  {text} 42 …!?") == normal
    assert normal == " ".join(normal.split())
    assert not any(character.isdecimal() for character in normal)
