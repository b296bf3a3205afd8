"""Open a possibly compressed file as bytes or lines, with limits that hostile or broken input cannot pass."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import zstandard

from transferlaws.corpora.readers.encodings import Invalid, text_stream
from transferlaws.errors import UserError

LONGEST_LINE = 16 << 20  # bytes
FREE_EXPANSION = 256 << 20  # bytes that any file may expand to
MOST_EXPANSION = 200  # beyond that, times its size; text compresses 3 to 30 times
_DAMAGE = (EOFError, OSError, lzma.LZMAError, zlib.error, zstandard.ZstdError)


def suffix_of(path: str | Path) -> str:
    """The suffix that tells the format: of `x.jsonl.gz` it is `.jsonl`; lower case."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    while suffixes and suffixes[-1] in _OPENERS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


class _Zstd(io.RawIOBase):
    """Decompresses zstd frames and, unlike `zstandard.open`, notices when the last one is cut off."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._frame, self._ready = file, None, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while not self._ready:
            # small steps: one byte of input can become 40 kB
            data = (self._frame.unused_data if self._frame and self._frame.eof else b"") or self._file.read(2048)
            if not data:
                if self._frame is not None and not self._frame.eof:
                    raise EOFError("the last zstd frame is incomplete")
                return 0
            if self._frame is None or self._frame.eof:
                self._frame = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
            self._ready = self._frame.decompress(data)
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


_OPENERS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open, ".zst": _Zstd}


def most_expansion(size: int) -> int:
    """Bytes that a file of so many bytes may expand to."""
    return max(FREE_EXPANSION, MOST_EXPANSION * size)


def bomb(name: str, most: int) -> UserError:
    """The error of a file that expands to more."""
    return UserError(
        f"{name}: expands to more than {most:,} bytes, {MOST_EXPANSION} times its size. "
        "Is it a decompression bomb? If it is real text, decompress it yourself and name the plain file."
    )


class _Guarded(io.RawIOBase):
    """Passes bytes on, and refuses a file that grows out of all proportion."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream, self._path, self._read = stream, path, 0
        self._most = most_expansion(path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        data = self._stream.read(len(buffer))
        self._read += len(data)
        if self._read > self._most:
            raise bomb(str(self._path), self._most)
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def open_bytes(path: str | Path) -> Iterator[BinaryIO]:
    """The decompressed bytes of a file; `UserError` where it is missing, damaged, cut off or a bomb."""
    path = Path(path)
    try:
        with open(path, "rb") as file:
            opener = _OPENERS.get(path.suffix.lower())
            if opener is None:
                yield file
            else:
                yield io.BufferedReader(_Guarded(opener(file), path), 1 << 20)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except _DAMAGE as error:
        raise UserError(f"{path}: damaged or cut off ({error}). Fetch it again.") from None


@contextmanager
def open_wheel(path: Path) -> Iterator[zipfile.ZipFile]:
    """A wheel; `UserError` where it is no zip archive or a member is a bomb. `zipfile` reads no more than a member declares."""
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise UserError(f"{path}: damaged or no wheel ({error}). Fetch it again.") from None
    with archive:
        for member in archive.infolist():
            if member.file_size > (most := most_expansion(member.compress_size)):
                raise bomb(f"{path}/{member.filename}", most)
        yield archive


def raw_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """(number from 1, bytes without line end) of each line; `UserError` for a file without lines and for a line above 16 MiB."""
    number = 0
    with open_bytes(path) as file:
        stream = text_stream(file, Path(path))
        while line := stream.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise UserError(
                    f"{path}, line {number}: longer than {LONGEST_LINE:,} bytes. Is it text, one item a line? Split it into lines."
                )
            yield number, line.rstrip(b"\r\n")
    if not number:
        raise UserError(f"{path}: empty.")


def lines(path: str | Path, removed: Counter[str]) -> Iterator[tuple[int, str]]:
    """The lines as text; one that is not UTF-8 is counted in `removed` and left out. `UserError` where more than damage is not."""
    invalid = Invalid(Path(path))
    for number, line in raw_lines(path):
        invalid.all = number
        try:
            yield number, line.decode()
        except UnicodeDecodeError:
            removed["invalid_utf8"] += 1
            invalid.add(line, number)
    invalid.check()


def read_limited(path: str | Path, most: int = FREE_EXPANSION, text: bool = False) -> bytes:
    """The whole content of a file that must be read at once, `text` as UTF-8; `UserError` above `most` bytes."""
    with open_bytes(path) as stream:
        content = (text_stream(stream, Path(path)) if text else stream).read(most + 1)
    if len(content) > most:
        raise UserError(f"{path}: larger than {most:,} bytes, the most that can be read whole. Split it.")
    return content
