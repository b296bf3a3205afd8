"""Files that are whole or absent, and checked when read."""

import errno
import fcntl
import hashlib
import json
import logging
import os
import re
import socket
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from transferlaws.errors import ChecksumError, PassingError, UserError

logger = logging.getLogger("transferlaws")


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it is synced and renamed to `path`, on failure removed.

    `UserError` where the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(descriptor)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except Exception as error:
        if advice := remedy(error):
            raise PassingError(f"{path}: cannot be written. {advice}") from error
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def remedy(error: Exception) -> str | None:
    """What to do about a full disk or a folder that is closed to us; None for other errors."""
    # safetensors and others written in Rust tell the number in their text alone
    found = re.search(r"\(os error (\d+)\)", str(error))
    number = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full, or the quota is reached: make room and run again; what is finished is kept."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "The folder is read-only, or belongs to someone else: make it writable or choose another, and run again."
    return None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: str | Path) -> Iterator[None]:
    """Hold the lock file `path` alone, on every machine that shares the file system; wait, and say so, while another holds it.

    The system drops the lock with the process that holds it, however that ends, so a lock is never stale. Half-written files that a
    killed holder left in the lock's folder are removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, ours = _open_lock(path)
    with open(descriptor, "r+" if ours else "r", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            logger.warning("%s: %s is at the same work; waiting until it ends, then going on from what it leaves.", path, holder)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            logger.warning("%s: this file system has no locks (%s): see to it that no two processes do this work.", path, error)
        if ours:
            file.seek(0)
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
        for leftover in path.parent.glob(".*.tmp"):
            with suppress(PermissionError):  # another user's
                leftover.unlink(missing_ok=True)
        yield


def _open_lock(path: Path) -> tuple[int, bool]:
    """A lock file's descriptor, and whether it may be written. `UserError` for a link or anything that is no file of its own."""
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            descriptor, ours = os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o666), True
        except PermissionError:
            descriptor, ours = os.open(path, flags | os.O_RDONLY), False
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise UserError(f"{path}: a lock file is expected here, and this is none. Remove it.") from None
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        raise UserError(f"{path}: a lock file is expected here, and this is none, or it has other names too. Remove it.")
    with suppress(PermissionError):
        if found.st_size == 0:  # as open as its folder, so that others of a group can lock it
            os.fchmod(descriptor, stat.S_IMODE(path.parent.stat().st_mode) & 0o666)
    return descriptor, ours


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: str | Path, expected: str, recorded_in: str | Path) -> None:
    """Raise `ChecksumError` unless the file exists and has the checksum its producer recorded."""
    path = Path(path)
    if not path.is_file():
        raise ChecksumError(f"{path}: missing, but {recorded_in} names it. Delete {recorded_in} and run again to rebuild both.")
    found = sha256(path)
    if found != expected:
        raise ChecksumError(
            f"{path}: SHA-256 is {found}, {recorded_in} recorded {expected}: the file is truncated or altered. "
            f"Delete it and {recorded_in}, and run again to rebuild both."
        )


SUMS = "SHA256SUMS"


def write_sums(folder: str | Path, names: Iterable[str]) -> None:
    """Record the checksums of files of a folder in its `SHA256SUMS`, which `sha256sum --check` reads too."""
    with atomic(Path(folder, SUMS)) as temporary:
        temporary.write_text("".join(f"{sha256(Path(folder, name))}  {name}\n" for name in names), encoding="utf-8")


def check_sums(folder: str | Path, name: str) -> None:
    """Raise `ChecksumError` if a folder's `SHA256SUMS` lists another checksum for a file; a file that is not listed passes."""
    sums = Path(folder, SUMS)
    if sums.is_file():
        for line in sums.read_text(encoding="utf-8").splitlines():
            expected, _, listed = line.partition("  ")
            if listed == name:
                check_sha256(Path(folder, name), expected, sums)


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def write_json(path: str | Path, value: object) -> None:
    """Write JSON atomically, full precision, NaN refused."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict:
    """Read a JSON file; a clear error where it is missing or broken."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Run the stage that writes it first.") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error}). Delete it and run again to rebuild it.") from None
