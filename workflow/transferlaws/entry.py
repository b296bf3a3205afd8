"""An entry of the shared store: a folder that other users may have written, read with suspicion and written whole."""

import hashlib
import json
import logging
import os
import re
import shutil
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath

from transferlaws.errors import ChecksumError
from transferlaws.files import SUMS, atomic, write_sums

MANIFESTS = ("report.json", "vocabulary.json", "index.json", "trajectory.json")
LONGEST_LIST = 16 << 20  # bytes of SHA256SUMS or a manifest
NAME = re.compile(r"(?!\.)[\w.+@=-]+")  # of a file or folder in an entry

logger = logging.getLogger("transferlaws")


def take(entry: Path, output: Path) -> bool:
    """Copy an entry to where the stage would have written; False if there is none that is whole.

    Only regular files below the entry are read and only files below `output` written, whatever the entry says; what is copied is
    what was hashed, and the manifest's own checksums must agree.
    """
    if not os.path.lexists(entry):
        return False
    try:
        sums = _sums(entry)
        for name, expected in sums.items():  # in the order of writing: the manifest last
            with atomic(output / name) as temporary:
                _copy(entry, name, temporary, expected)
    except (ChecksumError, OSError) as error:
        logger.warning("%s: %s. The entry is made again.", entry, error)
        return False
    logger.info("[store] taken from %s", entry)
    return True


def put(output: Path, entry: Path) -> None:
    """Copy what a stage wrote beside the entry and give it the entry's name; what had that name, which was broken, goes.

    Files are as open to others as the store's folder is, whatever the umask.
    """
    files = sorted((file for file in output.rglob("*") if file.is_file()), key=lambda file: (file.stat().st_mtime_ns, file))
    names = [str(file.relative_to(output)) for file in files]
    mode = stat.S_IMODE(os.stat(entry.parent).st_mode)
    new = _unused(entry, "new")
    new.mkdir()
    try:
        for name in names:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(output / name, new / name)
        write_sums(new, names)
        for path in new.rglob("*"):
            path.chmod(mode if path.is_dir() else 0o200 | mode & 0o444)
        new.chmod(mode)
        if os.path.lexists(entry):
            broken = _unused(entry, "broken")
            entry.rename(broken)
            shutil.rmtree(broken, ignore_errors=True) if broken.is_dir() and not broken.is_symlink() else broken.unlink()
        new.rename(entry)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _unused(entry: Path, word: str) -> Path:
    names = (entry.with_name(f".{entry.name}.{word}.{os.getpid()}.{number}") for number in count())
    return next(path for path in names if not os.path.lexists(path))


def _sums(entry: Path) -> dict[str, str]:
    """The checksum of every file of the entry; `ChecksumError` where it is not whole."""
    if not stat.S_ISDIR(os.lstat(entry).st_mode):
        raise ChecksumError("it is no folder")
    sums: dict[str, str] = {}
    for line in _text(entry, SUMS).splitlines():
        expected, _, name = line.partition("  ")
        if not re.fullmatch("[0-9a-f]{64}", expected) or name in sums or name == SUMS or not _is_inside(name):
            raise ChecksumError(f"{SUMS} has the line {line[:200]!r}")
        sums[name] = expected
    found = {str(path.relative_to(entry)) for path in entry.rglob("*") if not path.is_dir() or path.is_symlink()} - {SUMS}
    if found != set(sums):
        raise ChecksumError(f"{SUMS} and the folder differ in {sorted(found ^ set(sums))[:5]}")
    manifest = next((name for name in MANIFESTS if name in sums), None)
    if manifest is None:
        raise ChecksumError(f"none of {', '.join(MANIFESTS)} is in it")
    text = _text(entry, manifest)
    if hashlib.sha256(text.encode()).hexdigest() != sums[manifest]:
        raise ChecksumError(f"{manifest} is altered")
    try:
        recorded = dict(_recorded(json.loads(text)))
    except (ValueError, RecursionError) as error:
        raise ChecksumError(f"{manifest} is not readable ({type(error).__name__})") from None
    if wrong := sorted(name for name, expected in recorded.items() if sums.get(name) != expected):
        raise ChecksumError(f"{manifest} and {SUMS} differ in {wrong[:5]}")
    return sums


def _is_inside(name: str) -> bool:
    """Whether a name is a plain path of an entry: no absolute one, no `..`, nothing hidden."""
    parts = PurePosixPath(name).parts
    return bool(parts) and "/".join(parts) == name and all(NAME.fullmatch(part) for part in parts)


def _recorded(value: object) -> Iterator[tuple[str, str]]:
    """File and checksum wherever a manifest states both."""
    if isinstance(value, list):
        for item in value:
            yield from _recorded(item)
    if not isinstance(value, dict):
        return
    for name, checksum, within in (
        ("file", "sha256", ""),
        ("offsets", "offsets_sha256", ""),
        ("path", "sha256", "/model.safetensors"),
    ):
        if isinstance(value.get(name), str) and isinstance(value.get(checksum), str):
            yield value[name] + within, value[checksum]
    if isinstance(value.get("files"), dict):
        yield from ((name, checksum) for name, checksum in value["files"].items() if isinstance(checksum, str))
    for item in value.values():
        yield from _recorded(item)


def _open(entry: Path, name: str) -> int:
    """A regular file of an entry, reached through folders alone: no link, of the file or of a folder on the way, is followed."""
    *folders, last = PurePosixPath(name).parts
    descriptor = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    for part, flags in [*((folder, os.O_DIRECTORY) for folder in folders), (last, os.O_NONBLOCK)]:
        try:
            inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ChecksumError(f"{name} is no regular file")
    return descriptor


def _text(entry: Path, name: str) -> str:
    with open(_open(entry, name), "rb") as file:
        data = file.read(LONGEST_LIST + 1)
    if len(data) > LONGEST_LIST:
        raise ChecksumError(f"{name} is longer than {LONGEST_LIST:,} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ChecksumError(f"{name} is no text") from None


def _copy(entry: Path, name: str, target: Path, expected: str) -> None:
    digest = hashlib.sha256()
    with open(_open(entry, name), "rb") as source, open(target, "wb") as file:
        while block := source.read(1 << 20):
            digest.update(block)
            file.write(block)
    if digest.hexdigest() != expected:
        raise ChecksumError(f"{name} has SHA-256 {digest.hexdigest()}, {SUMS} says {expected}")
