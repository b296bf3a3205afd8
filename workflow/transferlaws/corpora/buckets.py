"""External sort and deduplication: items on disk, in the order of their keys, one bucket in memory at a time."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

BUCKETS = 256


class Buckets:
    """Collects (key, line) in temporary files by the key's first byte; gives them back sorted. A context manager.

    The order depends on keys and lines alone: not on the order in which they came, nor on how many processes made them.
    Memory: 1/256 of the lines at a time.
    """

    def __init__(self, folder: str | Path) -> None:
        """`folder`: where the temporary files go (about the size of the text)."""
        self._stack = ExitStack()
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix=".buckets.")))
        self._files = [
            self._stack.enter_context(open(self._folder / f"{i:02x}", "wb+"))  # noqa: SIM115
            for i in range(BUCKETS)
        ]

    def __enter__(self) -> "Buckets":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add(self, key: int, line: bytes) -> None:
        """Store one line (it ends in its only newline) under a 64-bit key."""
        self._files[key >> 56].write(b"%016x" % key + line)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        for file in self._files:
            file.seek(0)
            for entry in sorted(file.readlines()):
                yield int(entry[:16], 16), entry[16:]
