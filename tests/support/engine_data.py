"""A tiny vocabulary, two corpora and a bitext in the artifact formats, made in a second: a word-for-word cipher."""

import json
from pathlib import Path

import numpy as np
import sentencepiece
import zstandard

from transferlaws.files import sha256, write_json
from transferlaws.tokens.shards import ShardWriter
from transferlaws.tokens.vocabulary import Vocabulary

SYLLABLES = [c + v for c in "bdfgklmnprst" for v in "aeiou"]


def words(count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    return sorted({"".join(random.choice(SYLLABLES, 2)) for _ in range(3 * count)})[:count]


def sentences(vocabulary: list[str], count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, len(vocabulary) + 1)
    return [" ".join(random.choice(vocabulary, random.integers(2, 9), p=weights / weights.sum())) for _ in range(count)]


def build(root: Path) -> Path:
    """Writes `vocabulary/`, `tokens/{aa,bb,aa-bb}/`, `bitexts/aa-bb/` and `corpora/{aa,bb}/report.json` below `root`."""
    ours, theirs = words(60, 1), [word.upper() for word in words(60, 2)]
    cipher = dict(zip(ours, theirs, strict=True))
    text = {"aa": sentences(ours, 1200, 3)}
    text["bb"] = [" ".join(cipher[w] for w in line.split()) for line in sentences(ours, 1200, 4)]
    pairs = {split: sentences(ours, count, seed) for split, count, seed in (("train", 400, 5), ("dev", 40, 6), ("test", 50, 7))}
    (root / "vocabulary").mkdir(parents=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text["aa"] + text["bb"]),
        model_prefix=str(root / "vocabulary" / "spiece"),
        vocab_size=180,
        model_type="unigram",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    model = root / "vocabulary" / "spiece.model"
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    sentinels = 10
    size = -(-(processor.get_piece_size() + sentinels) // 64) * 64
    manifest = {"size": size, "sentinels": sentinels, "file": model.name, "sha256": sha256(model)}
    write_json(root / "vocabulary" / "vocabulary.json", manifest)
    vocabulary = Vocabulary.load(root / "vocabulary")

    def shards(name: str, kind: str, languages: list[str], splits: dict[str, list[str]]) -> None:
        with ShardWriter(
            root / "tokens" / name,
            name=name,
            kind=kind,
            languages=languages,
            vocabulary_sha256=vocabulary.sha256,
            dtype=vocabulary.dtype,
            eos_id=vocabulary.eos_id,
            splits=list(splits),
        ) as writer:
            for split, lines in splits.items():
                writer.add(split, vocabulary.encode(lines), lines)

    for name, lines in text.items():
        shards(name, "corpus", [name], {"train": lines[:1000], "valid": lines[1000:]})
        contamination = {"aa-bb.test": {"documents": 3, "grams": 9}, "other.test": {"documents": 5, "grams": 5}}
        write_json(root / "corpora" / name / "report.json", {"name": name, "kind": "corpus", "contamination": contamination})
    targets = {split: [" ".join(cipher[w] for w in line.split()) for line in lines] for split, lines in pairs.items()}
    sides = {f"{split}.source": lines for split, lines in pairs.items()} | {f"{split}.target": targets[split] for split in pairs}
    shards("aa-bb", "bitext", ["aa", "bb"], sides)
    folder = root / "bitexts" / "aa-bb"
    folder.mkdir(parents=True)
    for split, lines in pairs.items():
        rows = [
            {"id": str(i), "source": s, "target": t, "origin": "x"}
            for i, (s, t) in enumerate(zip(lines, targets[split], strict=True))
        ]
        (folder / f"{split}.jsonl.zst").write_bytes(zstandard.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    files = {f"{split}.jsonl.zst": sha256(folder / f"{split}.jsonl.zst") for split in pairs}
    contamination = {"aa-bb.dev": {"documents": 1, "grams": 1}}
    write_json(folder / "report.json", {"name": "aa-bb", "kind": "bitext", "contamination": contamination, "files": files})
    return root
