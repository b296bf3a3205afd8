"""Readers on good, broken and hostile files: right text, a counted drop, or an error that names file and line."""

import bz2
import gzip
import lzma
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transferlaws.corpora.readers import catalogs, opening, tables, tmx
from transferlaws.errors import UserError

COMPRESS = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress, ".zst": zstandard.compress, "": bytes}


@pytest.mark.parametrize("suffix", COMPRESS)
def test_lines_of_every_compression(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.txt{suffix}"
    path.write_bytes(COMPRESS[suffix]("\ufefferste\r\nzweite\n\nletzte ohne Ende".encode()))
    assert list(opening.lines(path, Counter())) == [(1, "erste"), (2, "zweite"), (3, ""), (4, "letzte ohne Ende")]
    assert opening.suffix_of(path) == ".txt"


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
def test_several_streams_in_one_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.txt{suffix}"
    path.write_bytes(COMPRESS[suffix](b"one\n") + COMPRESS[suffix](b"two\n"))
    assert [line for _, line in opening.lines(path, Counter())] == ["one", "two"]


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_file_cut_off_is_an_error(tmp_path: Path, suffix: str, keep: float) -> None:
    whole = COMPRESS[suffix]("".join(f"line {i * 7919 % 1009}\n" for i in range(5000)).encode())
    path = tmp_path / f"x.txt{suffix}"
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(UserError, match=rf"x\.txt\{suffix}: damaged or cut off"):
        list(opening.lines(path, Counter()))


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
def test_garbage_with_a_compressed_suffix_is_an_error(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"x{suffix}").write_bytes(b"this is no archive, whatever its name says")
    with pytest.raises(UserError, match="damaged"):
        list(opening.lines(tmp_path / f"x{suffix}", Counter()))


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
def test_a_bomb_is_refused_early(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "FREE_EXPANSION", 1 << 18)
    monkeypatch.setattr(opening, "MOST_EXPANSION", 20)
    path = tmp_path / f"bomb.txt{suffix}"
    path.write_bytes(COMPRESS[suffix]((b"0" * 99 + b"\n") * 50_000))
    read = 0
    with pytest.raises(UserError, match="decompression bomb"):
        for _, line in opening.lines(path, Counter()):
            read += len(line)
    assert read <= max(1 << 18, 20 * path.stat().st_size) < 2_500_000


def test_an_endless_line_is_an_error_before_it_fills_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LONGEST_LINE", 1000)
    (tmp_path / "x.txt").write_bytes(b"short\n" + b"x" * 2000)
    with pytest.raises(UserError, match=r"x\.txt, line 2: longer than 1,000 bytes"):
        list(opening.lines(tmp_path / "x.txt", Counter()))


def test_invalid_utf8_is_counted_and_numbers_stay(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"good\n\xff\xfe bad\nnul \x00 stays for cleaning\n")
    removed: Counter[str] = Counter()
    assert list(opening.lines(tmp_path / "x.txt", removed)) == [(1, "good"), (3, "nul \x00 stays for cleaning")]
    assert removed == {"invalid_utf8": 1}


@pytest.mark.parametrize("name", ["x.txt", "x.txt.gz"])
def test_an_empty_file_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(COMPRESS[Path(name).suffix if name.endswith("gz") else ""](b""))
    with pytest.raises(UserError, match="empty"):
        list(opening.lines(tmp_path / name, Counter()))


def test_tsv_by_position_by_name_and_ragged(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("en\tde\torigin\na\tb\tc\nonly one\nd\te\tf\n")
    removed: Counter[str] = Counter()
    assert list(tables.tsv(path, ["de", "en"], removed)) == [(2, ["b", "a"]), (4, ["e", "d"])]
    assert removed == {"ragged_row": 1}
    assert [cells for _, cells in tables.tsv(path, [2], Counter())] == [["origin"], ["c"], ["f"]]
    with pytest.raises(UserError, match="no column 'fr'; the first line has en, de, origin"):
        list(tables.tsv(path, ["fr"], Counter()))


def test_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"translation": {"en": "a", "de": "b"}}\n\n{"translation": {"en": null, "de": "b"}}\n')
    removed: Counter[str] = Counter()
    assert list(tables.jsonl(path, ["translation.en", "translation.de"], removed)) == [(1, ["a", "b"])]
    assert removed == {"not_text": 1}
    with pytest.raises(UserError, match="line 1: has no text; it holds translation"):
        list(tables.jsonl(path, ["text"], Counter()))
    path.write_text('{"text": "a"}\n{"text": "b\n')
    with pytest.raises(UserError, match=r"x\.jsonl, line 2: not valid JSON"):
        list(tables.jsonl(path, ["text"], Counter()))


def test_parquet_and_a_truncated_one(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"translation": [{"en": "a", "de": "b"}, {"en": None, "de": "c"}], "n": [1, 2]}), path)
    removed: Counter[str] = Counter()
    assert list(tables.parquet(path, ["translation.en", "translation.de"], removed)) == [(1, ["a", "b"])]
    assert removed == {"not_text": 1}
    with pytest.raises(UserError, match="no column 'text'; there are translation, n"):
        list(tables.parquet(path, ["text"], Counter()))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="no readable parquet"):
        list(tables.parquet(path, ["translation.en"], Counter()))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.lists(st.text(st.characters(exclude_characters="\t\n\r\ufeff", codec="utf-8")), min_size=2, max_size=4), min_size=1
    )
)
def test_tsv_gives_back_any_cells(tmp_path: Path, rows: list[list[str]]) -> None:
    (tmp_path / "x.tsv").write_bytes("".join("\t".join(row) + "\n" for row in rows).encode())
    assert [cells for _, cells in tables.tsv(tmp_path / "x.tsv", [0, 1], Counter())] == [row[:2] for row in rows]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_any_bytes_give_lines_counted_drops_or_a_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.txt").write_bytes(content)
    removed: Counter[str] = Counter()
    try:
        found = list(opening.lines(tmp_path / "x.txt", removed))
    except UserError as error:
        assert not content or "UTF-16" in str(error) or "are not UTF-8" in str(error) or "first bytes" in str(error)
    else:
        assert len(found) + removed["invalid_utf8"] == content.count(b"\n") + (not content.endswith(b"\n"))


def test_aligned_files(tmp_path: Path) -> None:
    source, target = tmp_path / "x.en", tmp_path / "x.de.gz"
    source.write_bytes(b"one\ntwo\nthree\n")
    target.write_bytes(gzip.compress(b"eins\n\xff\ndrei\n"))
    removed: Counter[str] = Counter()
    assert list(tables.aligned(source, target, removed)) == [(1, ["one", "eins"]), (3, ["three", "drei"])]
    assert removed == {"invalid_utf8": 1}
    source.write_bytes(b"one\ntwo\nthree\nfour\n")
    with pytest.raises(UserError, match=r"x\.de\.gz has 3 lines, .*x\.en has more"):
        list(tables.aligned(source, target, Counter()))


TMX = """<?xml version="1.0"?><tmx version="1.4"><header/><body>
<tu><tuv xml:lang="en-US"><seg>Press <bpt i="1">b</bpt>OK</seg></tuv><tuv xml:lang="DE"><seg>OK drücken</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>alone</seg></tuv></tu></body></tmx>"""


def test_tmx(tmp_path: Path) -> None:
    path = tmp_path / "x.tmx"
    path.write_text(TMX)
    assert list(tmx.units(path, ("en", "de"))) == [(1, ["Press OK", "OK drücken"])]
    path.write_text(TMX[:-30])
    with pytest.raises(UserError, match="after unit 1: not valid XML"):
        list(tmx.units(path, ("en", "de")))


def test_xml_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "lol" * 10}">' for i in range(10))
    path = tmp_path / "x.tmx"
    path.write_text(f'<?xml version="1.0"?><!DOCTYPE x [{entities}]><tmx><tu><tuv lang="en"><seg>&e9;</seg></tuv></tu></tmx>')
    with pytest.raises(UserError, match="not valid XML"):
        list(tmx.units(path, ("en", "de")))


PO = """msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgctxt "verb"
msgid "Open"
msgstr "Öffnen"

#, fuzzy
msgid "Guess"
msgstr "Falsch"

msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d Datei"
msgstr[1] "%d Dateien"

#~ msgid "Old"
#~ msgstr "Alt"
"""


def test_gettext() -> None:
    assert catalogs.read_gettext(PO.encode(), "x.po") == {
        "verb\x04Open": "Öffnen",
        "\x04%d file": "%d Datei",
        "\x04%d files": "%d Dateien",
    }
    with pytest.raises(UserError, match=r"broken\.po: not a readable gettext catalog"):
        catalogs.read_gettext(b'nonsense "a', "broken.po")
    with pytest.raises(UserError, match=r"broken\.mo: not a readable gettext catalog"):
        catalogs.read_gettext(b"\xde\x12\x04\x95 cut", "broken.mo")


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200), suffix=st.sampled_from([".po", ".mo"]), magic=st.booleans())
def test_any_bytes_as_a_catalog_give_messages_or_a_clear_error(content: bytes, suffix: str, magic: bool) -> None:
    try:
        catalogs.read_gettext(b"\xde\x12\x04\x95" * magic + content, f"x{suffix}")
    except UserError as error:
        assert f"x{suffix}" in str(error)
