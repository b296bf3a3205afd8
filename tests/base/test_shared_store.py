"""A store that several users write: nobody needs to trust another's umask, files or names."""

import argparse
import hashlib
import json
import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from transferlaws import store
from transferlaws.errors import UserError
from transferlaws.files import exclusive

ALICE, BOB, GROUP = 64_001, 64_002, 64_000


def stage(made: list[str]) -> Callable[[argparse.Namespace], None]:
    """A stage that writes two files and their manifest, and counts how often it ran."""

    def run(arguments: argparse.Namespace) -> None:
        made.append("made")
        output = Path(arguments.output)
        (output / "part").mkdir(parents=True, exist_ok=True)
        (output / "part/text.jsonl").write_text("text")
        (output / "report.json").write_text(json.dumps({"files": {"part/text.jsonl": hashlib.sha256(b"text").hexdigest()}}))
        os.utime(output / "report.json", (2e9, 2e9))

    return run


def work(folder: Path, output: Path, monkeypatch: pytest.MonkeyPatch | None = None) -> bool:
    """Run the stage through the store; True if it had to work."""
    os.environ[store.VARIABLE] = str(folder)
    made: list[str] = []
    try:
        store.through("corpus", "transferlaws.seeding", argparse.Namespace(stage="corpus", output=str(output)), stage(made))
    finally:
        del os.environ[store.VARIABLE]
    assert (output / "part/text.jsonl").read_text() == "text"
    return bool(made)


def entry_of(folder: Path) -> Path:
    return next(path for path in (folder / "corpus").iterdir() if path.is_dir())


def rewrite(entry: Path, lines: list[str]) -> None:
    (entry / "SHA256SUMS").write_text("".join(line + "\n" for line in lines))


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    assert work(tmp_path / "store", tmp_path / "first")
    assert not work(tmp_path / "store", tmp_path / "second")
    return tmp_path / "store"


@pytest.mark.parametrize("name", ["../victim", "part/../../victim", "/tmp/victim", "part//text.jsonl", ".hidden", "", "a\x1b[31m"])
def test_an_entry_writes_nowhere_else(filled, tmp_path, name):
    entry = entry_of(filled)
    (entry.parent / "victim").write_text("theirs")
    digest = hashlib.sha256(b"theirs").hexdigest()
    rewrite(entry, [f"{digest}  {name}", *(entry / "SHA256SUMS").read_text().splitlines()])
    assert work(filled, tmp_path / "out/put")
    assert not (tmp_path / "out/victim").exists()
    assert not work(filled, tmp_path / "again")


@pytest.mark.parametrize("target", ["part/text.jsonl", "part", "SHA256SUMS", "report.json", ""])
def test_links_are_not_followed(filled, tmp_path, target):
    place = entry_of(filled) / target
    moved = tmp_path / "elsewhere"
    place.rename(moved)
    place.symlink_to(moved)
    assert work(filled, tmp_path / "third")
    assert not work(filled, tmp_path / "fourth")
    assert moved.exists()


@pytest.mark.parametrize(
    "damage", ["empty sums", "no manifest", "altered", "more files", "manifest disagrees", "fifo", "long sums"]
)
def test_a_broken_entry_is_made_again(filled, tmp_path, damage):
    entry = entry_of(filled)
    text, sums = entry / "part/text.jsonl", (entry / "SHA256SUMS").read_text().splitlines()
    if damage == "empty sums":
        rewrite(entry, [])
    elif damage == "no manifest":
        (entry / "report.json").unlink()
        rewrite(entry, [line for line in sums if "report.json" not in line])
    elif damage == "altered":
        text.write_text("other")
    elif damage == "more files":
        (entry / "x.py").write_text("")
    elif damage == "manifest disagrees":
        text.write_text("other")
        rewrite(entry, [f"{hashlib.sha256(b'other').hexdigest()}  part/text.jsonl", *(line for line in sums if "text" not in line)])
    elif damage == "fifo":
        text.unlink()
        os.mkfifo(text)
    else:
        with open(entry / "SHA256SUMS", "wb") as file:
            file.truncate(1 << 30)
    assert work(filled, tmp_path / "third")
    assert not work(filled, tmp_path / "fourth")


def test_a_lock_that_is_a_link_destroys_nothing(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    for make in (lambda path: path.symlink_to(precious), lambda path: path.hardlink_to(precious)):
        lock = tmp_path / f"{make.__code__.co_firstlineno}-{id(make)}.lock"
        make(lock)
        with pytest.raises(UserError, match="a lock file is expected here"), exclusive(lock):
            pass
    assert precious.read_text() == "precious"


def test_a_link_in_the_stores_place_of_a_lock_is_a_warning(tmp_path, caplog):
    assert work(tmp_path / "store", tmp_path / "first")
    entry = entry_of(tmp_path / "store")
    (entry / "report.json").unlink()
    lock = entry.with_suffix(".lock")
    lock.unlink()
    lock.symlink_to(tmp_path / "first/part/text.jsonl")
    logging.getLogger("transferlaws").propagate = True
    assert work(tmp_path / "store", tmp_path / "second")
    assert "the store cannot be written" in caplog.text
    assert (tmp_path / "first/part/text.jsonl").read_text() == "text"


def as_user(user: int, action: Callable[[], bool]) -> bool:
    """What an action returns in a process of another user, in the common group, with the usual umask."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([GROUP])
            os.setgid(user)
            os.setuid(user)
            os.umask(0o022)
            os._exit(10 + action())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status >= 10, status
    return bool(status - 10)


@pytest.fixture
def common(tmp_path: Path) -> tuple[Path, Callable[[int, str], bool]]:
    """A store that root made for a group (2775), and a function that works in it as a user."""
    if os.geteuid() != 0:
        pytest.skip("changing users needs root")
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_mode & 0o005 != 0o005 and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    folder = tmp_path / "store"
    folder.mkdir()
    os.chown(folder, 0, GROUP)
    folder.chmod(0o2775)
    for user in (ALICE, BOB):
        (tmp_path / str(user)).mkdir()
        os.chown(tmp_path / str(user), user, user)
    return folder, lambda user, name: as_user(user, lambda: work(folder, tmp_path / str(user) / name))


def test_two_users_of_a_group_share_a_store(common):
    folder, works = common
    assert works(ALICE, "first")
    assert not works(BOB, "first")
    entry = entry_of(folder)
    assert entry.stat().st_gid == GROUP
    (entry / "part/text.jsonl").write_text("damaged")
    assert works(BOB, "second")  # what another user wrote is replaced
    assert entry_of(folder).stat().st_uid == BOB
    assert not works(ALICE, "second")
    assert not [path for path in (folder / "corpus").iterdir() if "new" in path.name]


def test_a_store_that_cannot_be_written_serves_all_the_same(common):
    folder, works = common
    folder.chmod(0o755)
    assert works(ALICE, "first")  # a warning, and the stage runs
    assert list(folder.iterdir()) == []
    folder.chmod(0o2775)
    assert works(ALICE, "second")
    folder.chmod(0o555), (folder / "corpus").chmod(0o555)
    assert not works(BOB, "first")
