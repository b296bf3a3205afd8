"""Shards give back what was written, and notice what was not."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transferlaws.errors import ChecksumError, UserError
from transferlaws.tokens.shards import ShardWriter, TokenCorpus

IDS = st.lists(st.integers(2, 60_000), max_size=20)


def write(folder: Path, documents: list[list[int]], dtype: str = "<u2", batch: int = 3) -> None:
    head = {"name": "x", "kind": "corpus", "languages": ["en"], "vocabulary_sha256": "s", "eos_id": 1, "splits": ["train", "valid"]}
    with ShardWriter(folder, dtype=np.dtype(dtype), **head) as writer:
        for start in range(0, len(documents), batch):
            part = documents[start : start + batch]
            writer.add("train", [np.array(ids, dtype=np.int32) for ids in part], ["ü" * len(ids) for ids in part])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=st.lists(IDS, max_size=12), batch=st.integers(1, 5), dtype=st.sampled_from(["<u2", "<u4"]))
def test_round_trip(tmp_path: Path, documents: list[list[int]], batch: int, dtype: str) -> None:
    write(tmp_path, documents, dtype, batch)
    corpus = TokenCorpus.open(tmp_path)
    split = corpus.split("train")
    assert [split[i].tolist() for i in range(len(split))] == [[*ids, 1] for ids in documents]
    assert split.tokens.dtype == np.dtype(dtype)
    assert split.offsets.tolist() == [0, *np.cumsum([len(ids) + 1 for ids in documents]).tolist()]
    assert (split.characters, split.bytes) == (sum(map(len, documents)), 2 * sum(map(len, documents)))
    assert len(corpus.split("valid")) == 0
    if documents:
        assert split[-1].tolist() == [*documents[-1], 1]
    with pytest.raises(IndexError):
        split[len(documents)]


def test_a_changed_or_missing_file_is_noticed(tmp_path: Path) -> None:
    write(tmp_path, [[5, 6], [7]])
    with pytest.raises(UserError, match="no split 'test'; there are train, valid"):
        TokenCorpus.open(tmp_path).split("test")
    content = bytearray((tmp_path / "train.bin").read_bytes())
    content[0] ^= 1
    (tmp_path / "train.bin").write_bytes(content)
    with pytest.raises(ChecksumError, match=r"train\.bin: SHA-256 is"):
        TokenCorpus.open(tmp_path)
    (tmp_path / "train.bin").write_bytes(content[:-2])
    with pytest.raises(UserError, match="do not fit the 5 tokens"):
        TokenCorpus.open(tmp_path, verify=False).split("train")
    (tmp_path / "train.bin").unlink()
    with pytest.raises(ChecksumError, match=r"train\.bin: missing"):
        TokenCorpus.open(tmp_path)


def test_an_interrupted_writer_leaves_nothing_new(tmp_path: Path) -> None:
    write(tmp_path, [[5, 6], [7]])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RuntimeError, match="stop"):
        interrupted(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def interrupted(folder: Path) -> None:
    head = {"name": "x", "kind": "corpus", "languages": ["en"], "vocabulary_sha256": "s", "eos_id": 1, "splits": ["train", "valid"]}
    with ShardWriter(folder, dtype=np.dtype("<u2"), **head) as writer:
        writer.add("train", [np.array([8, 9])], ["x"])
        raise RuntimeError("stop")
