"""Token shards: memory-mapped ids with document boundaries, checked against an index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from transferlaws.errors import UserError
from transferlaws.files import atomic, check_sha256, read_json, write_json

INDEX = "index.json"
_HEADER = 128  # bytes of an npy header for one int64 axis; numpy pads it so that the length may grow


class TokenSplit:
    """The documents of one split: `split[i]` is the i-th one, eos included.

    `tokens`: ids of all documents one after another, a read-only memory map of shape (tokens,), uint16 or uint32.
    `offsets`: where each document starts, and the end; int64, shape (documents + 1,).
    `characters`, `bytes`: of the text, without eos.
    """

    def __init__(self, tokens: np.ndarray, offsets: np.ndarray, characters: int, bytes: int) -> None:
        self.tokens, self.offsets, self.characters, self.bytes = tokens, offsets, characters, bytes

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        if not -len(self) <= index < len(self):
            raise IndexError(f"document {index} of {len(self)}")
        index %= len(self)
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]


class TokenCorpus:
    """A folder that the tokens stage wrote; `corpus.split("train")` maps one split into memory."""

    def __init__(self, folder: Path, index: dict) -> None:
        self.folder, self.index = folder, index
        self.name, self.kind, self.languages = index["name"], index["kind"], index["languages"]
        self.vocabulary_sha256 = index["vocabulary_sha256"]

    @classmethod
    def open(cls, folder: str | Path, verify: bool = True) -> TokenCorpus:
        """Read the index; with `verify`, `ChecksumError` unless every file is the one that was written."""
        folder = Path(folder)
        index = read_json(folder / INDEX)
        if verify:
            for shard in index["splits"].values():
                check_sha256(folder / shard["file"], shard["sha256"], folder / INDEX)
                check_sha256(folder / shard["offsets"], shard["offsets_sha256"], folder / INDEX)
        return cls(folder, index)

    @property
    def splits(self) -> list[str]:
        """Names of the splits: `train` and `valid`, or `train.source`, `train.target`, `dev.source`, ..."""
        return list(self.index["splits"])

    def split(self, name: str) -> TokenSplit:
        """One split; a clear error where it is absent or its files disagree."""
        if name not in self.index["splits"]:
            raise UserError(f"{self.folder / INDEX}: no split '{name}'; there are {', '.join(self.splits)}.")
        shard = self.index["splits"][name]
        offsets = np.load(self.folder / shard["offsets"], mmap_mode="r", allow_pickle=False)
        dtype = np.dtype(self.index["dtype"]).newbyteorder("<")
        file = self.folder / shard["file"]
        if file.stat().st_size != shard["tokens"] * dtype.itemsize or offsets[-1] != shard["tokens"]:
            raise UserError(
                f"{file}: its size or offsets do not fit the {shard['tokens']} tokens of {self.folder / INDEX}. Rebuild it."
            )
        # numpy cannot map an empty file
        tokens = np.memmap(file, dtype=dtype, mode="r") if shard["tokens"] else np.empty(0, dtype)
        return TokenSplit(tokens, offsets, shard["characters"], shard["bytes"])


class ShardWriter:
    """Writes the shards of one corpus or bitext; a context manager that leaves either every file and the index, or nothing new.

    Documents are appended with `add`, in any order of the splits. Memory does not grow with them.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        name: str,
        kind: str,
        languages: list[str],
        vocabulary_sha256: str,
        dtype: np.dtype,
        eos_id: int,
        splits: list[str],
    ) -> None:
        self.folder = Path(folder)
        self.head = {
            "name": name,
            "kind": kind,
            "dtype": dtype.name,
            "vocabulary_sha256": vocabulary_sha256,
            "languages": languages,
        }
        self.dtype, self.eos_id = dtype, eos_id
        self._stack = ExitStack()
        self._splits = {split: _Split(self.folder, split, self._stack) for split in splits}

    def __enter__(self) -> ShardWriter:
        return self

    def add(self, split: str, documents: Iterable[np.ndarray], texts: Iterable[str]) -> None:
        """Append documents (ids without eos, each of shape (tokens,)) and the texts they encode."""
        self._splits[split].add([*documents], [*texts], self.dtype, self.eos_id)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
            return
        entries = {name: split.finish() for name, split in self._splits.items()}
        self._stack.close()
        write_json(self.folder / INDEX, {**self.head, "splits": entries})


class _Split:
    def __init__(self, folder: Path, name: str, stack: ExitStack) -> None:
        self.entry = {
            "file": f"{name}.bin",
            "offsets": f"{name}.offsets.npy",
            "documents": 0,
            "tokens": 0,
            "characters": 0,
            "bytes": 0,
        }
        self.tokens = self._open(folder / self.entry["file"], stack)
        self.offsets = self._open(folder / self.entry["offsets"], stack)
        self.offsets.write(bytes(_HEADER))
        self.offsets.write(np.zeros(1, "<i8").tobytes())
        self.hash = hashlib.sha256()

    @staticmethod
    def _open(path: Path, stack: ExitStack) -> BinaryIO:
        temporary = stack.enter_context(atomic(path))
        return stack.enter_context(open(temporary, "wb+"))

    def add(self, documents: list[np.ndarray], texts: list[str], dtype: np.dtype, eos_id: int) -> None:
        if not documents:
            return
        lasts = np.cumsum([len(document) for document in documents])
        ids = np.insert(np.concatenate(documents), lasts, eos_id).astype(dtype)
        ends = self.entry["tokens"] + lasts + np.arange(1, len(documents) + 1)
        self.tokens.write(ids.tobytes())
        self.hash.update(ids.tobytes())
        self.offsets.write(ends.astype("<i8").tobytes())
        self.entry["documents"] += len(documents)
        self.entry["tokens"] += len(ids)
        self.entry["characters"] += sum(map(len, texts))
        self.entry["bytes"] += sum(len(text.encode()) for text in texts)

    def finish(self) -> dict:
        self.tokens.flush()
        self.offsets.seek(0)
        header = {"descr": "<i8", "fortran_order": False, "shape": (self.entry["documents"] + 1,)}
        np.lib.format.write_array_header_1_0(self.offsets, header)
        if self.offsets.tell() != _HEADER:
            raise RuntimeError(f"numpy wrote an npy header of {self.offsets.tell()} bytes, expected {_HEADER}")
        self.offsets.flush()
        self.offsets.seek(0)
        offsets_sha256 = hashlib.file_digest(self.offsets, "sha256").hexdigest()
        return {**self.entry, "sha256": self.hash.hexdigest(), "offsets_sha256": offsets_sha256}
