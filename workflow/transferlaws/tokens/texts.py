"""The text of corpora and bitexts, as the vocabulary and the shards read it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from transferlaws.corpora.items import Document, Pair, read_items
from transferlaws.files import check_sha256, read_json


@dataclass(frozen=True)
class TextFolder:
    """A folder that the corpus or the bitext stage wrote."""

    folder: Path
    report: dict

    @classmethod
    def open(cls, folder: str | Path) -> "TextFolder":
        """Read its report; `ChecksumError` unless every file beside it is the one that was written."""
        folder = Path(folder)
        report = read_json(folder / "report.json")
        for name, expected in report["files"].items():
            check_sha256(folder / name, expected, folder / "report.json")
        return cls(folder, report)

    @property
    def name(self) -> str:
        """Name in the study."""
        return self.report["name"]

    def items(self) -> Iterator[tuple[str, Document | Pair]]:
        """(split, item) of everything that is tokenised; a bitext's monolingual part is not."""
        if self.report["kind"] == "corpus":
            for document in read_items(self.folder / "documents.jsonl.zst", Document):
                yield document.split, document
        else:
            for split in ("train", "dev", "test"):
                for pair in read_items(self.folder / f"{split}.jsonl.zst", Pair):
                    yield split, pair

    def training_texts(self, side: int) -> Iterator[str]:
        """Texts of the train split, of one side (0 or 1; a corpus has only 0)."""
        if self.report["kind"] == "corpus":
            documents = read_items(self.folder / "documents.jsonl.zst", Document)
            return (document.text for document in documents if document.split == "train")
        return (pair.texts[side] for pair in read_items(self.folder / "train.jsonl.zst", Pair))
