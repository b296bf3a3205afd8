"""The vocabulary, and shards made with it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from transferlaws.corpora import bitext, corpus
from transferlaws.corpora.items import Document, Pair, read_items
from transferlaws.corpora.settings import BitextSettings, CorpusSettings
from transferlaws.errors import ChecksumError, UserError
from transferlaws.tokens import shards_stage, vocabulary_stage
from transferlaws.tokens.settings import VocabularySettings
from transferlaws.tokens.shards import TokenCorpus
from transferlaws.tokens.vocabulary import Vocabulary

SIZE, SENTINELS = 512, 32


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bitext, a corpus and a vocabulary of planted languages."""
    folder = tmp_path_factory.mktemp("results")
    pairs = {"source": "simulate", "languages": ["xa", "xb"], "items": 2000, "concepts": 200}
    bitext.build("b", TypeAdapter(BitextSettings).validate_python(pairs), folder, folder / "b")
    text = {"source": "simulate", "language": "xb", "items": 2000, "concepts": 200, "seed": 2, "valid": 0.1}
    corpus.build("c", TypeAdapter(CorpusSettings).validate_python(text), [folder / "b"], folder, folder / "c")
    vocabulary_stage.build(VocabularySettings(size=SIZE, sentinels=SENTINELS), [folder / "c", folder / "b"], folder / "v")
    return folder


def test_layout(results: Path) -> None:
    vocabulary = Vocabulary.load(results / "v")
    assert (vocabulary.size, vocabulary.pad_id, vocabulary.eos_id, vocabulary.unk_id) == (SIZE, 0, 1, 2)
    assert vocabulary.sentinel_ids.tolist() == [SIZE - 1 - i for i in range(SENTINELS)]
    assert vocabulary.dtype == np.dtype("<u2")


def test_training_again_gives_the_same_bytes(results: Path, tmp_path: Path) -> None:
    settings_again = VocabularySettings(size=SIZE, sentinels=SENTINELS)
    manifest = vocabulary_stage.build(settings_again, [results / "c", results / "b"], tmp_path)
    assert (tmp_path / "spiece.model").read_bytes() == (results / "v" / "spiece.model").read_bytes()
    assert manifest["fertility"].keys() == {"c", "b.source", "b.target"}
    assert all(1 <= value < 10 for value in manifest["fertility"].values())


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_characters="\u2581\x00", codec="utf-8"), max_size=60))
def test_decoding_gives_back_any_text(results: Path, text: str) -> None:
    vocabulary = Vocabulary.load(results / "v")
    (ids,) = vocabulary.encode([text])
    assert not {vocabulary.pad_id, vocabulary.eos_id, vocabulary.unk_id} & {*ids.tolist()}
    assert (ids < SIZE - SENTINELS).all()
    assert vocabulary.decode([ids]) == [text]


def test_decoding_stops_at_eos_and_leaves_out_what_is_no_text(results: Path) -> None:
    vocabulary = Vocabulary.load(results / "v")
    (ids,) = vocabulary.encode(["fa ce"])
    noisy = [0, *ids[:1], SIZE - 1, *ids[1:], 1, *ids, 0]
    assert vocabulary.decode([noisy, np.array([1, 5]), []]) == ["fa ce", "", ""]


def test_a_model_that_is_not_the_recorded_one(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results / "v", tmp_path / "v")
    with open(tmp_path / "v" / "spiece.model", "ab") as file:
        file.write(b"x")
    with pytest.raises(ChecksumError, match=r"spiece\.model: SHA-256"):
        Vocabulary.load(tmp_path / "v")


def test_an_existing_model_is_taken_over(results: Path, tmp_path: Path) -> None:
    model = str(results / "v" / "spiece.model")
    manifest = vocabulary_stage.build(VocabularySettings(model=model, sentinels=100), [results / "c"], tmp_path)
    vocabulary = Vocabulary.load(tmp_path)
    pieces = SIZE - SENTINELS
    assert manifest["size"] == vocabulary.size == 640 >= pieces + 100
    assert vocabulary.sentinel_ids.tolist() == list(range(pieces + 99, pieces - 1, -1))  # as in T5: next to the pieces
    with pytest.raises(UserError, match=r"vocabulary\.model nothing\.model: no such file"):
        vocabulary_stage.build(VocabularySettings(model="nothing.model"), [results / "c"], tmp_path)
    (tmp_path / "bad.model").write_bytes(b"no model")
    with pytest.raises(UserError, match=r"bad\.model: no readable sentencepiece model"):
        vocabulary_stage.build(VocabularySettings(model=str(tmp_path / "bad.model")), [results / "c"], tmp_path)


def test_a_vocabulary_too_large_for_its_text_says_so(results: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sentencepiece cannot make 8128 pieces .* Lower vocabulary\.size"):
        vocabulary_stage.build(VocabularySettings(size=8192), [results / "c"], tmp_path)


def test_a_message_names_the_size_to_write(results: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the largest that this text makes is vocabulary\.size: (\d+)") as error:
        vocabulary_stage.build(VocabularySettings(size=8192), [results / "c"], tmp_path)
    size = int(str(error.value).split("vocabulary.size: ")[-1].split(";")[0])
    assert vocabulary_stage.build(VocabularySettings(size=size), [results / "c"], tmp_path)["size"] == size
    han = "".join(f"{chr(0x4E00 + i)}{chr(0x4E00 + (i * 7) % 900)}\n" for i in range(900))
    (tmp_path / "han.txt").write_text(han)
    text = {"source": "files", "language": "zh", "paths": [str(tmp_path / "han.txt")], "valid": 0}
    corpus.build("han", TypeAdapter(CorpusSettings).validate_python(text), [], tmp_path, tmp_path / "han")
    with pytest.raises(
        UserError, match=r"each need a piece: set vocabulary\.size: \d+ or more, or lower vocabulary\.character_cov"
    ) as error:
        vocabulary_stage.build(VocabularySettings(size=512), [tmp_path / "han"], tmp_path)
    assert "Lower vocabulary.size" not in str(error.value)


def test_languages_that_no_corpus_has_come_from_the_bitext(results: Path, tmp_path: Path) -> None:
    raw = VocabularySettings(size=448, sentinels=SENTINELS)
    alone = vocabulary_stage.build(raw, [results / "c"], tmp_path / "alone")
    covered = vocabulary_stage.build(raw, [results / "c"], tmp_path / "covered", [results / "b"])
    assert covered["sample_characters"].keys() == {"c", "b.source"}  # c is in the target's language
    assert sum(covered["fertility"].values()) and covered["sha256"] != alone["sha256"]


@pytest.mark.parametrize("raw", [{"size": 1000}, {"size": 320, "sentinels": 200}, {"sentinel": 5}])
def test_settings_that_cannot_be(raw: dict) -> None:
    with pytest.raises(ValidationError):
        VocabularySettings(**raw)


@given(available=st.dictionaries(st.text(max_size=3), st.integers(0, 1000), min_size=1, max_size=6), total=st.integers(0, 5000))
def test_fair_shares(available: dict[str, int], total: int) -> None:
    shares = vocabulary_stage.fair_shares(available, total)
    assert shares.keys() == available.keys()
    assert all(0 <= shares[name] <= available[name] for name in available)
    assert sum(shares.values()) <= total
    unsated = [shares[name] for name in available if shares[name] < available[name]]
    if unsated:  # who got less than there was got as much as anybody, to rounding
        assert min(unsated) >= max(shares.values()) - len(available)
        assert sum(shares.values()) > total - len(available)


def test_shards_hold_the_text_in_its_order_on_any_number_of_threads(results: Path, tmp_path: Path) -> None:
    vocabulary = Vocabulary.load(results / "v")
    for threads in (1, 3):
        shards_stage.build(results / "b", results / "v", tmp_path / f"b{threads}", threads)
        shards_stage.build(results / "c", results / "v", tmp_path / f"c{threads}", threads)
    for name in ("b", "c"):
        files = [{p.name: p.read_bytes() for p in (tmp_path / f"{name}{threads}").iterdir()} for threads in (1, 3)]
        assert files[0] == files[1]
    tokens = TokenCorpus.open(tmp_path / "b1")
    assert tokens.vocabulary_sha256 == vocabulary.sha256 and tokens.languages == ["xa", "xb"]
    for split in ("train", "dev", "test"):
        pairs = list(read_items(results / "b" / f"{split}.jsonl.zst", Pair))
        for side, name in enumerate(("source", "target")):
            shard = tokens.split(f"{split}.{name}")
            assert vocabulary.decode([shard[i] for i in range(len(shard))]) == [pair.texts[side] for pair in pairs]
            assert all(shard[i][-1] == vocabulary.eos_id for i in range(len(shard)))
            assert shard.characters == sum(len(pair.texts[side]) for pair in pairs)
    documents = list(read_items(results / "c" / "documents.jsonl.zst", Document))
    corpus_tokens = TokenCorpus.open(tmp_path / "c1")
    for split in ("train", "valid"):
        shard = corpus_tokens.split(split)
        expected = [document.text for document in documents if document.split == split]
        assert vocabulary.decode([shard[i] for i in range(len(shard))]) == expected and expected
