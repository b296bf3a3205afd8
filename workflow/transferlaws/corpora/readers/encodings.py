"""Text that is not UTF-8: decoded where it says what it is, refused with a guess where it does not."""

import codecs
import io
from pathlib import Path
from typing import BinaryIO

from charset_normalizer import from_bytes

from transferlaws.errors import UserError

MOST_INVALID = 0.01  # share of lines that may be invalid: a web crawl has such, a file in another encoding has more
FEWEST_INVALID = 2
SAMPLE = 1 << 15  # bytes that the guess is made from
# UTF-32 before UTF-16: the one's mark begins like the other's
_MARKS = [(mark, "utf-32") for mark in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)]
_MARKS += [(mark, "utf-16") for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)]
_OTHER_FILES = {b"\x1f\x8b": "gzip (.gz)", b"\xfd7zXZ\x00": "xz (.xz)", b"\x28\xb5\x2f\xfd": "zstd (.zst)", b"BZh": "bzip2 (.bz2)"}
_OTHER_FILES |= {b"PK\x03\x04": "zip", b"PAR1": "parquet (.parquet)", b"%PDF": "PDF", b"SQLite format 3": "SQLite"}
_CANDIDATES = ["cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256"]
_CANDIDATES += ["gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "tis_620"]


def text_stream(stream: BinaryIO, path: Path) -> BinaryIO:
    """The bytes of a text file as UTF-8 without its byte-order mark: UTF-16 and UTF-32 are decoded by theirs.

    Raises:
        UserError: the first bytes are those of a compressed file or a table, or of UTF-16 without a mark.
    """
    stream = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream, 1 << 20)
    start = stream.peek(1 << 12)[: 1 << 12]
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return io.BufferedReader(_Recoded(stream, encoding), 1 << 20)
    if start.startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))
        return stream
    for magic, name in _OTHER_FILES.items():
        if start.startswith(magic):
            raise UserError(f"{path}: no text, but {name} by its first bytes. Give it the suffix of what it is, or unpack it.")
    for offset, order in ((1, "LE"), (0, "BE")):
        # of text in an alphabet every other byte of UTF-16 is 0
        if len(start) >= 4 and start[offset::2].count(0) > 0.5 * len(start[offset::2]) and not start[1 - offset :: 2].count(0):
            raise UserError(
                f"{path}: UTF-16 without a byte-order mark, by its zero bytes. Convert it: "
                f"iconv -f UTF-16{order} -t UTF-8 FILE > NEW."
            )
    return stream


class _Recoded(io.RawIOBase):
    """Another encoding as UTF-8; what is invalid becomes U+FFFD, which cleaning takes away and counts."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream, self._decoder, self._ready = stream, codecs.getincrementaldecoder(encoding)("replace"), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        ended = False
        while not self._ready and not ended:
            data = self._stream.read1(1 << 16)
            ended = not data
            self._ready = self._decoder.decode(data, ended).encode("utf-8", "replace")
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


class Invalid:
    """Counts what is not UTF-8 in a file (or among files), and refuses it where it is too much for damage."""

    def __init__(self, path: Path, what: str = "line") -> None:
        self.path, self.what = path, what
        self.all = self.invalid = self.first = 0
        self.sample = bytearray()

    def add(self, content: bytes, number: int) -> None:
        """One more that is not UTF-8, the `number`-th."""
        self.first = self.first or number
        self.invalid += 1
        self.sample += content[: SAMPLE - len(self.sample)] + b"\n"

    def check(self) -> None:
        """Raise `UserError` above the share."""
        if self.invalid < FEWEST_INVALID or self.invalid <= MOST_INVALID * self.all:
            return
        encoding = likely_encoding(bytes(self.sample))
        name = f"It looks like {encoding}: " if encoding else ""
        raise UserError(
            f"{self.path}: {self.invalid:,} of {self.all:,} {self.what}s are not UTF-8, the first is {self.what} {self.first}. "
            f"{name}convert it, iconv -f {encoding or 'ENCODING'} -t UTF-8 FILE > NEW."
        )


def likely_encoding(content: bytes) -> str | None:
    """The encoding that reads bytes best, by charset-normalizer; None where none does."""
    best = from_bytes(content, cp_isolation=_CANDIDATES, preemptive_behaviour=False).best()
    name = best.encoding if best else None
    if name in (None, "cp1250", "cp1252", "cp1254"):
        # which share most of their bytes: told apart by letters that the others have in their place
        for latin, uncommon in (("cp1252", "þðýÞÐÝ"), ("cp1254", "")):
            text = [c for c in content.decode(latin, "replace") if not c.isascii()]
            if sum((c.isalpha() and c not in uncommon) or c in "’‘“”„«»–—…€°§" for c in text) > 0.9 * len(text):
                name = latin
                break
    return name.replace("cp125", "windows-125").replace("_", "-") if name else None
