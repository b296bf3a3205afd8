"""Small files that would become very large ones."""

import subprocess
from pathlib import Path

import pytest
import tokenizers

from transferlaws.corpora.readers import opening
from transferlaws.corpora.sources import debian
from transferlaws.errors import UserError
from transferlaws.tokens.hugging_face import HuggingFaceProcessor


def test_a_package_that_expands_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    (tree / "text.txt").write_bytes(bytes(1 << 20))
    try:
        subprocess.run(["dpkg-deb", "--build", str(tree), str(tmp_path / "x.deb")], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no dpkg-deb on this machine")
    monkeypatch.setattr(opening, "FREE_EXPANSION", 1 << 19)
    with pytest.raises(UserError, match="decompression bomb"):
        list(debian._members(tmp_path / "x.deb", ["*text.txt"], tmp_path / "out"))
    assert not list(tmp_path.glob("out/**/text.txt"))


def test_a_tokenizer_with_one_far_off_id_is_refused(tmp_path: Path) -> None:
    ids = {"<pad>": 0, "</s>": 1, "far": 4_000_000_000}
    tokenizers.Tokenizer(tokenizers.models.WordLevel(ids)).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="leaves gaps that no tokenizer has"):
        HuggingFaceProcessor(tmp_path / "tokenizer.json", "<pad>", "</s>")
