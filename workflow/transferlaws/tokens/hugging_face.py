"""A `tokenizer.json` behind the part of sentencepiece's interface that the vocabulary uses."""

import json
from itertools import count, takewhile
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from transferlaws.errors import UserError

MOST_GAPS = 16  # ids for every token; one far-off id would make a table of all ids before it


class HuggingFaceProcessor:
    """A tokenizer whose ids are put in T5's order: pad 0, eos 1, the others as they were, its own sentinels falling at the end.

    Its own sentinels are `<extra_id_0>`, `<extra_id_1>`, ...; it may have none. T5's and mT5's tokenizers keep every id.
    Post-processing, truncation and padding that the file asks for are off: a text gives its own tokens and no others.
    """

    def __init__(self, path: Path, pad_token: str, eos_token: str) -> None:
        self._path = path
        try:
            content = path.read_text(encoding="utf-8")
            self._tokenizer = Tokenizer.from_str(content)
        except Exception as error:  # the library raises nothing narrower
            raise UserError(f"{path}: no readable tokenizer.json ({error}).") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # "</s>" in a text is text
        ids = self._tokenizer.get_vocab(with_added_tokens=True)
        if max(ids.values(), default=0) >= max(MOST_GAPS * len(ids), 1 << 16):
            raise UserError(
                f"{path}: {len(ids)} tokens have ids up to {max(ids.values())}, which leaves gaps that no tokenizer has."
            )
        if pad_token == eos_token or not {pad_token, eos_token} <= ids.keys():
            special = [token.content for token in self._tokenizer.get_added_tokens_decoder().values() if token.special]
            raise UserError(
                f"{path}: pad is '{pad_token}' and eos is '{eos_token}': expected two tokens that it has. Its special tokens: "
                f"{', '.join(special) or 'none'}. Name them with vocabulary.pad_token and vocabulary.eos_token, or add them."
            )
        sentinels = [ids[token] for token in takewhile(ids.__contains__, (f"<extra_id_{i}>" for i in count()))]
        first, reserved = [ids[pad_token], ids[eos_token]], {ids[pad_token], ids[eos_token], *sentinels}
        self._theirs = np.array([*first, *(i for i in range(max(ids.values()) + 1) if i not in reserved), *reversed(sentinels)])
        self._ours = np.argsort(self._theirs).astype(np.int32)
        self.own_sentinels, self.reordered = len(sentinels), bool((self._ours != np.arange(len(self._ours))).any())
        self._unknown = self._unknown_id(json.loads(content)["model"], ids)
        self._encoded = self._ours.copy()
        self._encoded[list(reserved)] = self._unknown  # a model can spell a text with them all the same

    def _unknown_id(self, model: dict, ids: dict[str, int]) -> int:
        unknown = model.get("unk_id") if model.get("type") == "Unigram" else ids.get(model.get("unk_token"))
        return -1 if unknown is None else int(self._ours[unknown])

    def get_piece_size(self) -> int:
        """Ids below the tokenizer's own sentinels."""
        return len(self._ours) - self.own_sentinels

    def pad_id(self) -> int:
        """Always 0."""
        return 0

    def eos_id(self) -> int:
        """Always 1."""
        return 1

    def unk_id(self) -> int:
        """-1 where there is none."""
        return self._unknown

    def encode(self, texts: list[str], num_threads: int = 1, return_type: str = "numpy") -> list[np.ndarray]:
        """Ids of each text, int32 arrays; one thread, whatever is asked for: the library's own are the whole machine's."""
        sequences = [self._encoded[np.asarray(self._tokenizer.encode(t, add_special_tokens=False).ids, np.int64)] for t in texts]
        for text, ids in zip(texts, sequences, strict=True):
            if (ids < 0).any():
                raise UserError(
                    f"{self._path}: it spells a text with a pad, eos or sentinel token, and has no unknown token to put "
                    f"there: {text!r:.100}"
                )
        return sequences

    def decode(self, sequences: list[list[int]], num_threads: int = 1) -> list[str]:
        """Texts of ids; special tokens are left out."""
        return [self._tokenizer.decode(self._theirs[ids].tolist(), skip_special_tokens=True) if ids else "" for ids in sequences]
