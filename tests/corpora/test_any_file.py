"""Files as other programs write them: read as what they are, or refused with a line that says what they are."""

import gzip
import json
import logging
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pydantic import TypeAdapter, ValidationError
from test_splits import build_bitext, build_corpus

from support.reading import read_bitext, read_corpus
from transferlaws.corpora.readers import catalogs, opening, tables, tmx
from transferlaws.corpora.readers.encodings import likely_encoding
from transferlaws.corpora.settings import BitextSettings, CorpusSettings
from transferlaws.errors import UserError

RUSSIAN = ["Привет, как дела?", "Я живу в Москве.", "Сегодня хорошая погода.", "До свидания!"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_a_byte_order_mark_says_how_to_decode(tmp_path: Path, encoding: str, suffix: str) -> None:
    mark = "\ufeff" if encoding.endswith(("le", "be")) else ""
    content = (mark + "\r\n".join(RUSSIAN)).encode(encoding)
    path = tmp_path / f"x{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    for unit in ("line", "file"):
        _, documents = read_corpus(tmp_path, source="files", language="ru", paths=[str(path)], unit=unit)
        assert [line for d in documents for line in d.text.splitlines()] == RUSSIAN


def test_utf16_without_a_mark_is_refused(tmp_path: Path) -> None:
    for order in ("le", "be"):
        (tmp_path / "x.txt").write_bytes("Hello there, these are lines.\n".encode(f"utf-16-{order}"))
        with pytest.raises(UserError, match=f"UTF-16 without a byte-order mark.*UTF-16{order.upper()}"):
            list(opening.lines(tmp_path / "x.txt", Counter()))


@pytest.mark.parametrize(
    ("encoding", "name", "lines"),
    [
        ("latin-1", "windows-1252", ["Öffnen Sie die Tür.", "Ein Haus.", "Schöne Grüße aus Köln", "Größe ändern", "Zwei."]),
        ("cp1251", "windows-1251", RUSSIAN),
        ("gb18030", "gb18030", ["今天天气很好", "我们去公园散步", "委员会下周将再次开会讨论"]),
        ("shift_jis", "shift-jis", ["今日は天気がいいので公園に行きます", "図書館を利用する", "駅で会いましょう"]),
        ("euc_kr", "euc-kr", ["오늘은 날씨가 좋아서 공원에 갑니다", "도서관에서 책을 빌렸다"]),
        ("cp1250", "windows-1250", ["Zażółć gęślą jaźń", "Źdźbło trawy", "Święta będą wkrótce"]),
    ],
)
def test_a_file_in_another_encoding_is_refused_with_a_guess(tmp_path: Path, encoding: str, name: str, lines: list[str]) -> None:
    (tmp_path / "x.txt").write_text("\n".join(lines) + "\n", encoding=encoding)
    with pytest.raises(UserError, match=rf"x\.txt: \d of {len(lines)} lines are not UTF-8.*looks like {name}"):
        list(opening.lines(tmp_path / "x.txt", Counter()))
    (tmp_path / "y.txt").write_text("\n".join(["one"] * len(lines)) + "\n")
    with pytest.raises(UserError, match=r"x\.txt: .* not UTF-8"):
        list(tables.aligned(tmp_path / "y.txt", tmp_path / "x.txt", Counter()))


def test_a_little_damage_is_counted(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"good\n" * 500 + b"\xff bad\n" * 4)
    removed: Counter[str] = Counter()
    assert len(list(opening.lines(tmp_path / "x.txt", removed))) == 500 and removed == {"invalid_utf8": 4}
    assert likely_encoding("déjà vu, l’été".encode("cp1252")) == "windows-1252"


def test_a_compressed_file_by_a_wrong_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(gzip.compress(b"text\n"))
    with pytest.raises(UserError, match="gzip"):
        list(opening.lines(tmp_path / "x.txt", Counter()))


def test_half_a_character_in_json_costs_its_row(tmp_path: Path) -> None:
    rows = [
        '{"text": "a fine day \\ud83d", "s": "one \\udc00", "t": "eins"}',
        '{"text": "another \\ud83d\\ude00", "s": "two", "t": "zwei"}',
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(rows) + "\n")
    report, documents = build_corpus(tmp_path, ["x"], [], paths=[str(tmp_path / "x.jsonl")], valid=0)
    assert [d.text for d in documents] == ["another 😀"] and report["removed"] == {"lone_surrogate": 1}
    none = {"dev": 0, "test": 0, "monolingual": 0}
    report = build_bitext(tmp_path, [], paths=[str(tmp_path / "x.jsonl")], columns=["s", "t"], **none)
    assert report["splits"]["train"] == 1 and report["removed"] == {"lone_surrogate": 1}


def test_long_zstd_windows_are_read(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=30, write_content_size=0)
    writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    (tmp_path / "x.txt.zst").write_bytes(writer.compress(b"one\ntwo\n") + writer.flush())
    assert [line for _, line in opening.lines(tmp_path / "x.txt.zst", Counter())] == ["one", "two"]


QUOTED = 'en\tde\n"He said ""hello"""\tEr grüßte\n"A cell with\na line break."\t"Eine Zelle."\nplain\tschlicht\n'


def test_a_quoted_tsv_is_refused_until_it_is_said_what_quotes_are(tmp_path: Path) -> None:
    given = {"source": "files", "languages": ["en", "de"], "columns": ["en", "de"], "paths": [str(tmp_path / "x.tsv")]}
    broken = QUOTED.replace('"He said ""hello"""', "He said hello")
    everywhere = '"en"\t"de"\n"one"\t"eins"\n"two"\t"zwei"\n'
    last = 'en\tde\none\t"eine\nZelle"\ntwo\tzwei\n'
    for content in (QUOTED, broken, last):
        (tmp_path / "x.tsv").write_text(content)
        with pytest.raises(UserError, match="quoted: true"):
            read_bitext(tmp_path, **given)
    (tmp_path / "x.tsv").write_text(everywhere)
    with pytest.raises(UserError, match="quoted: true"):
        read_bitext(tmp_path, **given | {"columns": [0, 1]})
    assert len(read_bitext(tmp_path, **given, quoted=True)[1]) == 2
    (tmp_path / "x.tsv").write_text(QUOTED)
    _, pairs = read_bitext(tmp_path, **given, quoted=True)
    assert [(p.source, p.target) for p in pairs] == [
        ('He said "hello"', "Er grüßte"),
        ("A cell with a line break.", "Eine Zelle."),
        ("plain", "schlicht"),
    ]
    (tmp_path / "x.tsv").write_text('en\tde\n"Hello," he said.\t„Hallo“, sagte er.\n"Go!"\tGeh!\nsay "a\tsag "a\n')
    assert len(read_bitext(tmp_path, **given)[1]) == 3  # quotes that are text


def test_columns(tmp_path: Path) -> None:
    for columns in ([-2, -1], [0, -1]):
        with pytest.raises(ValidationError, match="positions count from 0"):
            TypeAdapter(BitextSettings).validate_python(
                {"source": "files", "languages": ["en", "de"], "paths": ["x"], "columns": columns}
            )
    pq.write_table(pa.table({"sentence.en": ["a"], "sentence.de": ["b"]}), tmp_path / "x.parquet")
    assert list(tables.parquet(tmp_path / "x.parquet", ["sentence.en", "sentence.de"], Counter())) == [(1, ["a", "b"])]
    (tmp_path / "x.tsv").write_text("source\ttarget\nno\tnon\n")
    _, pairs = read_bitext(tmp_path, source="files", languages=["en", "fr"], paths=[str(tmp_path / "x.tsv")])
    assert [(p.source, p.target) for p in pairs] == [("no", "non")]


def test_a_null_row_is_counted(tmp_path: Path) -> None:
    rows = [{"translation": {"en": "a", "de": "b"}}, {"translation": None}, {"translation": {"en": "a", "de": None}}]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    for read, name in ((tables.jsonl, "x.jsonl"), (tables.parquet, "x.parquet")):
        removed: Counter[str] = Counter()
        assert list(read(tmp_path / name, ["translation.en", "translation.de"], removed)) == [(1, ["a", "b"])]
        assert removed == {"not_text": 2}


def memory(*units: str, tag: str = '<tmx version="1.4">') -> str:
    return f'<?xml version="1.0"?>{tag}<header/><body>{"".join(units)}</body></tmx>'


def unit(**variants: str) -> str:
    parts = (f'<tuv xml:lang="{tag.replace("_", "-")}"><seg>{text}</seg></tuv>' for tag, text in variants.items())
    return f"<tu>{''.join(parts)}</tu>"


def test_tmx_codes_variants_namespaces_and_other_languages(tmp_path: Path) -> None:
    path = tmp_path / "x.tmx"
    coded = 'Press <bpt i="1">&lt;cf bold="on"&gt;</bpt>Start<ept i="1">&lt;/cf&gt;</ept> <hi>now</hi>.<ph>{\\b0 }</ph><it>x</it>'
    path.write_text(memory(unit(en=coded, de="Jetzt")))
    assert list(tmx.units(path, ("en", "de"))) == [(1, ["Press Start now.", "Jetzt"])]
    both = unit(en="bus", pt_PT="autocarro", pt_BR="ônibus"), unit(en="bus", pt_BR="ônibus", pt_PT="autocarro")
    path.write_text(memory(*both))
    for language, word in (("pt", "ônibus"), ("pt-PT", "autocarro"), ("pt-BR", "ônibus")):
        removed: Counter[str] = Counter()
        assert [texts[1] for _, texts in tmx.units(path, ("en", language), removed)] == [word, word]
        assert removed == ({"other_variant": 2} if language == "pt" else {})
    path.write_text(memory(unit(eng="one", deu="eins"), tag='<tmx xmlns="http://www.lisa.org/tmx14" version="1.4">'))
    assert list(tmx.units(path, ("en", "de"))) == [(1, ["one", "eins"])]
    path.write_text(memory(unit(en="one", fr="un")))
    with pytest.raises(UserError, match=r"none of its 1 units holds both en and de; it holds en, fr"):
        list(tmx.units(path, ("en", "de")))


PO = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n{}"\n\nmsgid "Open"\nmsgstr "Öffnen"\n'


@pytest.mark.parametrize(
    ("header", "languages", "pair"),
    [
        ("Language: de\\n", ("en", "de"), ("Open", "Öffnen")),
        ("Language: de\\n", ("de", "en"), ("Öffnen", "Open")),
        ("Language: de_DE\\n", ("de", "en-US"), ("Öffnen", "Open")),
        ("", ("en", "de"), ("Open", "Öffnen")),
        ("", ("de", "en"), ("Öffnen", "Open")),
        ("Language: de\\nX-Source-Language: fr\\n", ("fr", "de"), ("Open", "Öffnen")),
        ("Language: de\\nX-Source-Language: fr\\n", ("de", "fr"), ("Öffnen", "Open")),
        ("Language: de\\n", ("en", "fr"), None),
        ("Language: de\\n", ("fr", "en"), None),
    ],
)
def test_the_direction_of_a_catalog(header: str, languages: tuple[str, str], pair: tuple[str, str] | None) -> None:
    catalog = catalogs.read_gettext(PO.format(header).encode(), "x.po")
    if pair:
        assert list(catalogs.gettext_pairs(catalog, languages, "x.po")) == [pair]
    else:
        with pytest.raises(UserError, match="Language: de"):
            list(catalogs.gettext_pairs(catalog, languages, "x.po"))


def test_files_are_paired_by_what_stands_for_the_wildcards(tmp_path: Path) -> None:
    for name in ("a.en", "b.en", "a.de", "c.de"):
        (tmp_path / name).write_text(f"{name}\n")
    given = {
        "source": "files",
        "languages": ["en", "de"],
        "paths": [str(tmp_path / "*.en")],
        "target_paths": [str(tmp_path / "*.de")],
    }
    with pytest.raises(UserError, match=r"b\.en: no file of target_paths"):
        read_bitext(tmp_path, **given, format="tsv")
    os.rename(tmp_path / "c.de", tmp_path / "b.de")
    assert [(p.source, p.target) for p in read_bitext(tmp_path, **given)[1]] == [("a.en", "a.de"), ("b.en", "c.de")]
    given |= {
        "paths": [str(tmp_path / "b.en"), str(tmp_path / "a.en")],
        "target_paths": [str(tmp_path / "a.de"), str(tmp_path / "b.de")],
    }
    assert [(p.source, p.target) for p in read_bitext(tmp_path, **given)[1]] == [("b.en", "a.de"), ("a.en", "c.de")]


def test_links_in_circles_brackets_braces_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.txt").write_text("once\n")
    (tmp_path / "data" / "l1").symlink_to(".")
    (tmp_path / "data" / "y.txt").symlink_to("x.txt")
    for folder in ("br[1]", "br{ace}"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x{1}.txt").write_text(f"{folder}\n")
    monkeypatch.setenv("HOME", str(tmp_path))

    def texts(*paths: str) -> list[str]:
        return [d.text for d in read_corpus(tmp_path, source="files", language="en", paths=list(paths))[1]]

    assert texts(str(tmp_path / "data" / "**" / "*.txt")) == ["once"]
    assert texts(str(tmp_path / "br[1]" / "x{1}.txt"), "~/br{ace}/x{1}.txt", "~/da*/x.txt") == ["br[1]", "br{ace}", "once"]
    with pytest.raises(UserError, match="It is a folder"):
        texts(str(tmp_path / "data"))
    with pytest.raises(UserError, match=r"\* stands for any name"):
        texts(str(tmp_path / "br[9]" / "*.txt"))


def test_names_of_test_sets_can_be_overruled() -> None:
    raw = {"source": "files", "language": "en", "paths": ["data/newstest2014.en"]}
    with pytest.raises(ValidationError, match="held_out: false"):
        TypeAdapter(CorpusSettings).validate_python(raw)
    TypeAdapter(CorpusSettings).validate_python(raw | {"cleaning": {"held_out": False}})
    for path in (
        "news-test-drive/x.txt",
        "good-newsdevelopment.txt",
        "/home/newstest2014/own/x.txt",
        "las-flores.txt",
        "newsdiscuss.en",
    ):
        TypeAdapter(CorpusSettings).validate_python(raw | {"paths": [path]})


CODES = {"pt-BR": "pt-BR", "zh-Hans": "zh-Hans", "sr-Latn": "sr-Latn", "en_US": "en-US", "eng_Latn": "en-Latn", "eng": "en"}
CODES |= {"ger": "de", "cmn_Hant": "zh-Hant", "sr@latin": "sr-Latn", "de_DE.UTF-8": "de-DE", "DE": "de", "es-419": "es-419"}
CODES |= {"yue": "yue", "xa": "xa", "code": "code", "nob": "nb", "zh_Hant_TW": "zh-Hant-TW"}


@pytest.mark.parametrize(("written", "code"), CODES.items())
def test_codes_of_languages(written: str, code: str) -> None:
    assert TypeAdapter(CorpusSettings).validate_python({"source": "files", "language": written, "paths": ["x"]}).language == code


@pytest.mark.parametrize(("written", "told"), [("English", "ISO 639"), ("e", "pt-BR"), ("", "ISO 639")])
def test_what_is_no_code_is_told_what_to_write(written: object, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TypeAdapter(CorpusSettings).validate_python({"source": "files", "language": written, "paths": ["x"]})
    with pytest.raises(ValidationError, match=told):
        TypeAdapter(BitextSettings).validate_python({"source": "files", "languages": ["en", written], "paths": ["x"]})


def test_two_variants_of_a_language_are_a_pair(tmp_path: Path) -> None:
    report = build_bitext(tmp_path, [("Добар дан", "Dobar dan")], languages=["sr-Cyrl", "sr-Latn"], dev=0, test=0, monolingual=0)
    assert report["splits"]["train"] == 1 and report["languages"] == ["sr-Cyrl", "sr-Latn"]
    with pytest.raises(ValidationError, match="sr-Cyrl, sr-Latn"):
        TypeAdapter(BitextSettings).validate_python({"source": "files", "languages": ["sr", "sr"], "paths": ["x"]})


def test_a_rule_that_takes_more_than_a_tenth_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("transferlaws").propagate = True
    report, _ = build_corpus(tmp_path, ["one thing", "one thing", "another"], [], language="yi", valid=0)
    assert any(
        "duplicates removed 1 of 3 items (33%)" in text and "corpora.c.cleaning.duplicates: false" in text
        for text in report["notices"]
    )
    assert any("yi are not checked for their language" in text for text in report["notices"])
    assert all(text in caplog.text for text in report["notices"])
    report, _ = build_corpus(tmp_path, ["one thing", "another"], [], language="en", valid=0)
    assert report["notices"] == []
    words = ["".join(chr(97 + int(digit)) for digit in str(i)) for i in range(40)]
    report, _ = build_corpus(tmp_path, [*words, "word " * 100_001], [], language="en", valid=0)
    assert len(report["notices"]) == 1 and "raise corpora.c.cleaning.max_words (100000)" in report["notices"][0]


def test_an_empty_split_is_refused_where_it_arises(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"corpora\.c: valid has 0 of 3 items\. Give a larger share than corpora\.c\.valid: 0\.01"):
        build_corpus(tmp_path, ["a", "b", "c"], [])
    rows = [(f"word {c}", f"Wort {c}") for c in "abc"]
    with pytest.raises(
        UserError, match=r"bitexts\.b: dev has 0 of 3 items.*bitexts\.b\.dev: 0\.01, or a set of your own.*Removed were"
    ):
        build_bitext(tmp_path, [*rows, rows[0]], dev=0.01, test=0, monolingual=0)
    with pytest.raises(UserError, match=r"too_long 1.*cleaning\.max_words"):
        build_corpus(tmp_path, ["word " * 100_001], [], valid=0)
