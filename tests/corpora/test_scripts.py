"""Every script is compared, counted and checked as what it is: marks spell words, and not every word has spaces round it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_splits import build_bitext, build_corpus

from transferlaws.corpora.cleaning import Cleaner, breadth, letters, placeholders_differ
from transferlaws.corpora.items import Document, Pair
from transferlaws.corpora.language import in_other_language, is_checked
from transferlaws.corpora.normalise import GRAM, WORD, count_words, grams, normalise, weight
from transferlaws.corpora.rules import BitextCleaning, Cleaning

DIFFERENT = {
    "hi": ["दिन", "दान", "दीन", "दूना"],
    "th": ["มา", "ม้า", "หมา"],
    "ta": ["கல்", "கால்", "கில்"],
    "bn": ["দিন", "দান"],
    "my": ["ကား", "ကာ", "ကို"],
    "he": ["סֵפֶר", "סַפָּר"],
    "vi": ["ma", "má", "mà", "mạ", "mã"],
    "yo": ["ọkọ́", "ọkọ̀"],
}


@pytest.mark.parametrize("language", DIFFERENT)
def test_words_that_differ_in_their_marks_are_different(tmp_path: Path, language: str) -> None:
    words = DIFFERENT[language]
    report, documents = build_corpus(tmp_path, words, [], language=language, valid=0)
    assert sorted(d.text for d in documents) == sorted(words) and not report["removed"]


def test_a_mark_makes_no_false_overlap_with_the_test_set(tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text("Day\tदिन\n")
    rows = [("Donation", "दान"), ("Poor", "दीन"), ("Boat", "नाव")]
    report = build_bitext(
        tmp_path, rows, languages=["en", "hi"], test_paths=[str(tmp_path / "test.tsv")], dev=0, test=0, monolingual=0
    )
    assert report["splits"]["train"] == 3 and not report["removed"]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("❤️ heart 1️⃣", "heart"),  # what selects a glyph is no letter
        ("I\u0307stanbul", "i stanbul"),
        ("Ma\u0308rz 2", "märz"),
        ("می‌خواهم", "میخواهم"),
        ("ക്ഷ‌ണം", "ക്ഷണം"),
        ("\u0301a", "a"),
        ("日本, 2!", "日 本"),
    ],
)
def test_normal_forms(text: str, normal: str) -> None:
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("text", "count"), [("一二三四", 2), ("ひらがなです", 2), ("one two\nthree", 3), ("สวัสดีครับ", 3), ("🙂", 1)]
)
def test_words_without_spaces_are_counted_by_what_they_say(text: str, count: int) -> None:
    assert count_words(text) == count


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab 日本かなทีक्षि한"), max_size=80))
def test_a_gram_says_as_much_as_eight_words_whatever_the_script(text: str) -> None:
    normal = normalise(text)
    found = list(grams(normal))
    if weight(normal) < GRAM * WORD:
        assert found == ([normal] if normal else [])
    else:
        assert all(GRAM * WORD <= weight(gram) < (GRAM + 1) * WORD for gram in found)
        assert " ".join(found[0].split()) == normal[: len(found[0])] and normal.rindex(found[-1]) >= 0


def test_sentences_that_end_alike_are_no_contamination(tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text("You can use the library on Sundays.\t日曜日に図書館を利用することができます。\n")
    rows = [
        ("We can rent bicycles at the station.", "駅で自転車を借りて利用することができます。"),
        ("The old castle can be seen from the hill.", "丘の上から古い城を見ることができます。"),
        ("Members use the pool for free.", "会員は無料でプールを利用することができます。"),
        ("In winter you can see the stars well.", "冬には星をよく見ることができます。"),
        ("My brother works at a bank.", "兄は銀行で働いています。"),
    ]
    test = {"test_paths": [str(tmp_path / "test.tsv")], "dev": 0, "test": 0, "monolingual": 0}
    report = build_bitext(tmp_path, rows, languages=["en", "ja"], **test)
    assert report["splits"]["train"] == 5
    copy = [("Something else", "日曜日に図書館を利用することができます！"), *rows]
    report = build_bitext(tmp_path, copy, languages=["en", "ja"], **test)
    assert report["splits"]["train"] == 5 and sum(report["removed"].values()) == 1


def test_a_long_run_of_a_test_sentence_is_found_without_spaces(tmp_path: Path) -> None:
    sentence = "去年秋天我们一家人坐火车去北方看望住在山里的外祖父母"
    (tmp_path / "test.tsv").write_text(f"Last autumn we took the train to the north.\t{sentence}。\n")
    build_bitext(
        tmp_path,
        [("My brother works at a bank.", "我哥哥在银行工作。")],
        languages=["en", "zh"],
        test_paths=[str(tmp_path / "test.tsv")],
        dev=0,
        monolingual=0,
    )
    texts = [f"他说{sentence[4:22]}以后就没有消息了", "去年秋天我们一家人没有出门"]
    report, documents = build_corpus(tmp_path, texts, [tmp_path / "b"], language="zh", valid=0)
    assert [d.text for d in documents] == texts[1:] and report["removed"] == {"contamination": 1}


LONG = "The committee will meet again next week to discuss the proposal on the reform of public libraries."
RIGHT = [
    ("zh", LONG, "委员会下周将再次开会讨论公共图书馆改革提案。"),
    ("ja", LONG, "委員会は来週再び会合を開き、図書館改革案を議論する。"),
    ("ko", LONG, "위원회는 다음 주 공공 도서관 개혁안을 논의하기 위해 다시 모인다."),
    ("am", "The committee will meet again next week.", "ኮሚቴው በሚቀጥለው ሳምንት እንደገና ይሰበሰባል።"),
    ("hi", "I know", "मैं जानती हूँ"),
    ("hi", "Yes, please", "जी हाँ"),
    ("ml", "Tree", "മരം"),
    ("km", "Hello", "សួស្តី"),
    ("th", "Where is the station?", "สถานีอยู่ที่ไหน"),
]


@pytest.mark.parametrize(("language", "source", "target"), RIGHT)
def test_right_pairs_of_any_script_stay(language: str, source: str, target: str) -> None:
    cleaner = Cleaner(BitextCleaning(), ["en", language])
    assert cleaner.clean(Pair("x", source, target)), cleaner.removed
    assert Cleaner(BitextCleaning(), [language, "en"]).clean(Pair("x", target, source))


def test_a_pair_of_unlike_lengths_goes_in_any_script() -> None:
    cleaner = Cleaner(BitextCleaning(), ["en", "zh"])
    assert not cleaner.clean(Pair("x", "Yes", "委员会下周将再次开会讨论公共图书馆改革提案。"))
    assert cleaner.removed == {"length_ratio": 1}


def test_letters_and_breadth() -> None:
    assert letters("हिन्दी है") == 8 and letters("a1 é") == 2
    assert breadth("abc") == 3 and breadth("中文") == 6 and breadth("カナ") == 4 and breadth("한글") == 4


@pytest.mark.parametrize(
    ("source", "target", "differ"),
    [
        ("Sales rose by 50% last year", "Satışlar geçen yıl %50 arttı", False),
        ("5% more", "%5 daha", False),
        ("12.5% more", "%12,5 daha", False),
        ("a rise of 50%", "%۵۰ رشد", False),
        ("up to 100%", "100%-ig", False),
        ("%1 of %2 files", "%1 von %2 Dateien", False),
        ("%1 of %2 files", "%1 von 2 Dateien", False),
        ("%1 files", "Dateien", True),
        ("%s files", "%d Dateien", True),
        ("{name} is here", "{nom} est là", True),
    ],
)
def test_percentages_are_no_placeholders(source: str, target: str, differ: bool) -> None:
    assert placeholders_differ(source, target) is differ


CHECKED = {"de": True, "pt-BR": True, "zh-Hant": True, "sr-Latn": True, "nb": True, "hi-Latn": False, "yi": False, "code": False}


@pytest.mark.parametrize(("language", "checked"), CHECKED.items())
def test_languages_that_can_be_identified(language: str, checked: bool) -> None:
    assert is_checked(language) is checked


def test_other_languages_are_found_without_spaces_and_variants_stay() -> None:
    japanese = "このサービスは日曜日にも図書館で利用することができます"
    assert in_other_language(japanese, "zh") and not in_other_language(japanese, "ja")
    assert not in_other_language("委员会下周将再次开会讨论公共图书馆改革提案", "zh-Hans")
    assert not in_other_language("Danas je lep dan i idemo na izlet u planine", "sr-Latn")
    assert in_other_language("Le comité se réunira la semaine prochaine à Paris", "en-GB")


def test_breaks_of_other_systems_part_words() -> None:
    document = Document("x", "one\x0cstart\x0bgo\x85end")
    assert Cleaner(Cleaning(), ["en"]).clean(document)
    assert document.text == "one start go end"
