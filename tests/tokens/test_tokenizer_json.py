"""A tokenizer.json made elsewhere as the vocabulary."""

from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from transferlaws.corpora import corpus
from transferlaws.corpora.items import Document, read_items
from transferlaws.corpora.settings import CorpusSettings
from transferlaws.errors import UserError
from transferlaws.tokens import shards_stage, vocabulary_stage
from transferlaws.tokens.settings import VocabularySettings
from transferlaws.tokens.shards import TokenCorpus
from transferlaws.tokens.vocabulary import Vocabulary

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "the",
    "dog",
    "ran",
    "over",
    "some",
    "hills",
    "with",
    "many",
    "friends",
    "of",
    "mine",
]


def byte_level(path: Path, special: list[str]) -> Path:
    """As BART's: byte-level BPE, with everything on that a text's own tokens must not show."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([" ".join(WORDS)] * 20, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{special[0]} $A", special_tokens=[(special[0], 0)])
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=7)
    tokenizer.save(str(path))
    return path


def unigram(path: Path, sentinels: int = 0) -> Path:
    """As T5's: pad, eos and unk first, its own sentinels last."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0)]
    pieces += [(f"▁{word}", -2.0) for word in dict.fromkeys(WORDS)] + [(letter, -5.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    own = [f"<extra_id_{i}>" for i in reversed(range(sentinels))]
    tokenizer = Tokenizer(models.Unigram([*pieces, *((token, 0.0) for token in own)], unk_id=2))
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in ("<pad>", "</s>", "<unk>", *own)])
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    raw = {"source": "simulate", "language": "xa", "items": 300, "concepts": 50, "valid": 0.1}
    corpus.build("c", TypeAdapter(CorpusSettings).validate_python(raw), [], folder, folder / "c")
    return folder / "c"


@pytest.fixture(scope="module")
def bart(text: Path) -> Path:
    """A vocabulary of a tokenizer whose eos, bos and pad stand where T5 has others."""
    folder = text.parent / "bart"
    folder.mkdir()
    model = byte_level(folder / "mine.json", ["<s>", "<pad>", "</s>", "<unk>"])
    vocabulary_stage.build(VocabularySettings(model=str(model), sentinels=20), [text], folder / "v")
    return folder / "v"


def test_ids_are_in_the_order_that_the_models_expect(bart: Path) -> None:
    vocabulary = Vocabulary.load(bart)
    pieces = Tokenizer.from_file(str(bart / "tokenizer.json")).get_vocab_size()
    assert (vocabulary.pad_id, vocabulary.eos_id, vocabulary.size) == (0, 1, -(-(pieces + 20) // 64) * 64)
    assert vocabulary.sentinel_ids.tolist() == list(range(pieces + 19, pieces - 1, -1))
    assert vocabulary.file == "tokenizer.json" and vocabulary.reordered
    assert not (bart / "spiece.model").exists()


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(["a </s> b", "<pad>", "<s><unk>"]))
def test_a_text_gives_its_own_tokens_alone_and_comes_back(bart: Path, text: str) -> None:
    vocabulary = Vocabulary.load(bart)
    (ids,) = vocabulary.encode([text])
    assert ids.dtype == np.int32 and (ids > 1).all() and (ids < vocabulary.sentinel_ids.min()).all()
    assert vocabulary.decode([[*ids, vocabulary.sentinel_ids[0], 1, 5]]) == [text]


def test_shards_hold_the_text(text: Path, bart: Path, tmp_path: Path) -> None:
    shards_stage.build(text, bart, tmp_path, threads=2)
    vocabulary, tokens = Vocabulary.load(bart), TokenCorpus.open(tmp_path)
    shard = tokens.split("train")
    expected = [document.text for document in read_items(text / "documents.jsonl.zst", Document) if document.split == "train"]
    assert vocabulary.decode([shard[i] for i in range(len(shard))]) == expected
    assert tokens.vocabulary_sha256 == vocabulary.sha256


def test_a_tokenizer_in_t5s_order_keeps_its_ids_and_sentinels(text: Path, tmp_path: Path) -> None:
    path = unigram(tmp_path / "tokenizer.json", sentinels=10)
    theirs = Tokenizer.from_file(str(path))
    manifest = vocabulary_stage.build(VocabularySettings(model=str(path), sentinels=50), [text], tmp_path / "v")
    vocabulary = Vocabulary.load(tmp_path / "v")
    assert manifest["sentinels"] == 10 and manifest["size"] == 64 and not vocabulary.reordered
    assert vocabulary.sentinel_ids.tolist() == [theirs.token_to_id(f"<extra_id_{i}>") for i in range(10)]
    assert vocabulary.encode(["the cat ran"])[0].tolist() == theirs.encode("the cat ran", add_special_tokens=False).ids


def test_a_text_that_spells_eos_or_a_sentinel_is_unknown_there(text: Path, tmp_path: Path) -> None:
    path = unigram(tmp_path / "tokenizer.json", sentinels=10)
    vocabulary_stage.build(VocabularySettings(model=str(path)), [text], tmp_path / "v")
    vocabulary = Vocabulary.load(tmp_path / "v")
    assert 1 in Tokenizer.from_file(str(path)).encode("the </s> cat").ids  # the library alone would end the document here
    for spelled in ("the </s> cat", "the <extra_id_3> cat", "the <pad> cat"):
        (ids,) = vocabulary.encode([spelled])
        assert not {0, 1, *vocabulary.sentinel_ids.tolist()} & {*ids.tolist()}
        assert vocabulary.unk_id in ids and vocabulary.decode([ids])[0].split() == ["the", "cat"]


def test_tokenizers_that_cannot_serve_say_so(text: Path, tmp_path: Path) -> None:
    def build(model: Path | str, **raw: str) -> None:
        vocabulary_stage.build(VocabularySettings(model=str(model), **raw), [text], tmp_path / "v")

    gpt = byte_level(tmp_path / "gpt.json", ["<|endoftext|>"])
    with pytest.raises(UserError, match=r"gpt\.json: pad is '<pad>' and eos is '</s>': .* tokens: <\|endoftext\|>\. Name"):
        build(gpt)
    with pytest.raises(UserError, match="expected two tokens"):
        build(gpt, pad_token="<|endoftext|>", eos_token="<|endoftext|>")
    other = byte_level(tmp_path / "other.json", ["[PAD]", "[SEP]"])
    build(other, pad_token="[PAD]", eos_token="[SEP]")
    assert not Vocabulary.load(tmp_path / "v").reordered
    (tmp_path / "bad.json").write_text('{"model": 3}')
    with pytest.raises(UserError, match=r"bad\.json: no readable tokenizer\.json"):
        build(tmp_path / "bad.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"neither spiece\.model nor tokenizer\.json in .*empty"):
        build(tmp_path / "empty")
    with pytest.raises(
        UserError, match=r"vocabulary\.model google/t5: no such file or folder\. A hub id must name a revision: google/t5@"
    ):
        build("google/t5")


def test_a_folder_or_a_pinned_snapshot_of_the_hub(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "snapshot").mkdir()
    unigram(tmp_path / "snapshot" / "tokenizer.json")
    asked = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: asked.append((a, k)) or str(tmp_path / "snapshot"))
    manifests = [
        vocabulary_stage.build(VocabularySettings(model=model), [text], tmp_path / "v")
        for model in (str(tmp_path / "snapshot"), "someone/small@0123abc")
    ]
    assert manifests[0]["sha256"] == manifests[1]["sha256"]
    patterns = ["spiece.model", "tokenizer.json"]
    assert asked == [(("someone/small",), {"revision": "0123abc", "allow_patterns": patterns})]
