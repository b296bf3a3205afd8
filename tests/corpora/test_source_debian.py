"""Text inside Debian packages."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from support.reading import read_corpus
from transferlaws.errors import UserError


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
