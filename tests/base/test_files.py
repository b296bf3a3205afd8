import json
import logging
import multiprocessing
import os
import signal

import pytest

from transferlaws.errors import ChecksumError, UserError
from transferlaws.files import atomic, canonical_json, check_sha256, exclusive, read_json, sha256, write_json
from transferlaws.seeding import generator, seed_for


def test_atomic_leaves_the_old_file_when_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_changed_or_missing_file_is_named_with_the_remedy(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"weights")
    recorded = sha256(path)
    check_sha256(path, recorded, "manifest.json")
    path.write_bytes(b"weighte")
    with pytest.raises(ChecksumError, match=r"weights.*manifest\.json.*Delete"):
        check_sha256(path, recorded, "manifest.json")
    path.unlink()
    with pytest.raises(ChecksumError, match=r"missing.*manifest\.json"):
        check_sha256(path, recorded, "manifest.json")


def test_json_is_canonical_and_refuses_nan(tmp_path):
    assert canonical_json({"b": 1, "a": [1.5, "é"]}) == '{"a":[1.5,"é"],"b":1}'
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not (tmp_path / "x.json").exists()


def test_broken_json_is_named(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"a": 1})[:-1])
    with pytest.raises(UserError, match=r"x\.json: not valid JSON"):
        read_json(path)


def test_streams_are_addressed_by_name():
    assert seed_for(1, "order", "en") != seed_for(1, "order", "de") != seed_for(2, "order", "de")
    assert seed_for(1, "ab", "c") != seed_for(1, "a", "bc")
    assert generator(1, "x").integers(1 << 30) == generator(1, "x").integers(1 << 30)
    assert seed_for(1, "order", "en") == 4059473226647543734  # on every machine


def hold(path, held, finish):
    with exclusive(path):
        held.set()
        finish.wait(30)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `tmp_path / "lock"`, and the event that ends it."""
    context = multiprocessing.get_context("spawn")
    held, finish = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path / "lock", held, finish))
    process.start()
    assert held.wait(30)
    yield process, finish
    process.kill()
    process.join()


def test_a_second_process_waits_for_the_lock_and_names_its_holder(tmp_path, holder, monkeypatch):
    process, finish = holder
    asked = []
    monkeypatch.setattr(
        logging.getLogger("transferlaws"), "warning", lambda text, *values: asked.append(text % values) or finish.set()
    )
    with exclusive(tmp_path / "lock"):
        process.join(30)
        assert process.exitcode == 0
    assert f"process {process.pid} on" in asked[0]


def test_the_lock_of_a_killed_process_is_free_and_its_leftovers_are_removed(tmp_path, holder):
    process, _ = holder
    (tmp_path / ".state.abc.tmp").write_text("half")
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with exclusive(tmp_path / "lock"):
        assert [entry.name for entry in tmp_path.iterdir()] == ["lock"]
