"""The shared vocabulary: a subword model plus sentinels, with T5's layout of ids."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import sentencepiece

from transferlaws.errors import UserError
from transferlaws.files import check_sha256, read_json
from transferlaws.tokens.hugging_face import HuggingFaceProcessor

MANIFEST = "vocabulary.json"
SENTENCEPIECE, HUGGING_FACE = FILES = "spiece.model", "tokenizer.json"  # what the tokenizer is in

Processor = sentencepiece.SentencePieceProcessor | HuggingFaceProcessor


def open_processor(path: Path, pad_token: str, eos_token: str) -> Processor:
    """Read a sentencepiece model, or a tokenizer.json with these tokens for pad and eos; a `UserError` where it is none."""
    if path.suffix == ".json":
        return HuggingFaceProcessor(path, pad_token, eos_token)
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes())
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path}: no readable sentencepiece model ({error}).") from None


def local_model(place: str) -> Path | None:
    """The tokenizer's file on this machine: `place` itself, or in the folder `place`; None where there is neither."""
    return next((path for path in map(Path, (place, *(f"{place}/{name}" for name in FILES))) if path.is_file()), None)


def taken_over_size(processor: Processor, sentinels: int) -> tuple[int, int]:
    """Ids in all, and sentinels, of a vocabulary made from an existing model: its own, or `sentinels` where it has none."""
    sentinels = getattr(processor, "own_sentinels", 0) or sentinels
    return -(-(processor.get_piece_size() + sentinels) // 64) * 64, sentinels


class Vocabulary:
    """A subword model and `sentinels` extra ids at the top of the range.

    Ids: pad 0, eos 1, pieces, then the sentinels in falling order, as in T5 (Raffel et al. 2020): in a vocabulary that we
    train, sentinel i is `size - 1 - i`. A model made elsewhere may leave unused ids above them, up to a multiple of 64.
    `file`: the name of the model's file. `reordered`: whether ids differ from those of the file.
    """

    def __init__(self, processor: Processor, size: int, sentinels: int, sha256: str, file: str) -> None:
        if size < processor.get_piece_size() + sentinels:
            raise UserError(
                f"vocabulary: size {size} is less than its {processor.get_piece_size()} pieces and {sentinels} sentinels"
            )
        self._processor, self._pieces = processor, processor.get_piece_size()
        self.size = size
        self.sha256, self.file = sha256, file
        self.reordered = isinstance(processor, HuggingFaceProcessor) and processor.reordered
        self.pad_id, self.eos_id, self.unk_id = processor.pad_id(), processor.eos_id(), processor.unk_id()
        if (self.pad_id, self.eos_id) != (0, 1):
            raise UserError(
                f"vocabulary: pad and eos have the ids {self.pad_id} and {self.eos_id}; expected 0 and 1. "
                "Use a T5-style sentencepiece model, or train one (vocabulary.model left out)."
            )
        self.sentinel_ids = np.arange(self._pieces + sentinels - 1, self._pieces - 1, -1)  # (sentinels,)

    @classmethod
    def load(cls, folder: str | Path) -> "Vocabulary":
        """Read the folder that the vocabulary stage wrote; `ChecksumError` if its model is not the recorded one."""
        folder = Path(folder)
        manifest = read_json(folder / MANIFEST)
        path = folder / manifest["file"]
        check_sha256(path, manifest["sha256"], folder / MANIFEST)
        processor = open_processor(path, manifest.get("pad_token", ""), manifest.get("eos_token", ""))
        return cls(processor, manifest["size"], manifest["sentinels"], manifest["sha256"], manifest["file"])

    @property
    def dtype(self) -> np.dtype:
        """The smallest little-endian unsigned type that holds every id: uint16 or uint32."""
        return np.dtype("<u2" if self.size <= 2**16 else "<u4")

    def encode(self, texts: list[str], threads: int = 1) -> list[np.ndarray]:
        """Ids of each text, without eos; int32 arrays of shape (tokens,)."""
        return self._processor.encode(texts, num_threads=threads, return_type="numpy")

    def decode(self, sequences: Iterable[Sequence[int] | np.ndarray]) -> list[str]:
        """Text of each sequence up to its first eos; pad and ids that are no pieces (sentinels, unused) are left out."""
        return self._processor.decode([self._real(np.asarray(ids, dtype=np.int64)) for ids in sequences], num_threads=1)

    def _real(self, ids: np.ndarray) -> list[int]:
        ends = np.flatnonzero(ids == self.eos_id)
        if len(ends):
            ids = ids[: ends[0]]
        return ids[(ids != self.pad_id) & (ids < self._pieces)].tolist()
