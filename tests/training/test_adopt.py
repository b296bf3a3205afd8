"""Existing checkpoints can stand in for pretraining."""

import json

import pytest
import tokenizers

from support.engine_data import build
from transferlaws.cli import main
from transferlaws.files import sha256, write_json
from transferlaws.tokens.vocabulary import Vocabulary

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("adopt"))


def checkpoint(folder, size):
    config = transformers.T5Config(
        vocab_size=size, d_model=32, d_kv=8, d_ff=48, num_layers=1, num_heads=4, decoder_start_token_id=0, pad_token_id=0
    )
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder)


def adopt(root, checkpoints):
    model = {"d_model": 32, "d_kv": 8, "d_ff": 48, "encoder_layers": 1, "decoder_layers": 1, "heads": 4, "activation": "relu"}
    arguments = ["--vocabulary", root / "vocabulary", "--model", json.dumps(model), "--seed", 1, "--model-name", "public"]
    chosen = ["--checkpoints", json.dumps(checkpoints), "--mixture", "theirs", "--output", root / "adopted"]
    return main(list(map(str, ["adopt", *arguments, *chosen])))


def test_a_public_checkpoint_is_a_rung_that_can_be_fine_tuned(root):
    size = Vocabulary.load(root / "vocabulary").size
    for name in ("early", "late"):
        checkpoint(root / name, size)
    assert adopt(root, {"1000": str(root / "early"), "20000": str(root / "late")}) == 0
    trajectory = json.loads((root / "adopted/trajectory.json").read_text())
    assert [rung["pretraining_tokens"] for rung in trajectory["rungs"]] == [1000, 20000]
    model = json.dumps({"d_model": 32, "d_kv": 8, "d_ff": 48, "encoder_layers": 1, "decoder_layers": 1, "activation": "relu"})
    settings = json.dumps({"batch": 16, "max_steps": 4, "evaluations": 2, "learning_rates": [1e-3]})
    common = ["--tokens", root / "tokens/aa-bb", "--vocabulary", root / "vocabulary", "--model", model, "--settings", settings]
    rest = ["--finetuning-size", 50, "--seeds", "[1]", "--task", "t", "--mixture", "theirs"]
    rest += ["--state", root / "s", "--output", root / "f"]
    assert main(list(map(str, ["finetune", *common, *rest, "--trajectory", root / "adopted/trajectory.json"]))) == 0
    assert len(json.loads((root / "f/curve.json").read_text())["replicas"]) == 2


def test_wrong_checkpoints_are_refused(root, capsys):
    checkpoint(root / "other", 999)
    assert adopt(root, {"1000": str(root / "other")}) == 1
    assert "vocab_size is 999" in capsys.readouterr().err
    assert adopt(root, {"1000": str(root / "absent")}) == 1
    assert "must name a revision" in capsys.readouterr().err
    checkpoint(root / "alien", Vocabulary.load(root / "vocabulary").size)
    (root / "alien/spiece.model").write_bytes(b"another")
    assert adopt(root, {"1000": str(root / "alien")}) == 1
    assert "not the tokenizer of this study" in capsys.readouterr().err


def test_a_vocabulary_that_reorders_its_tokenizers_ids_adopts_nothing(root, tmp_path, capsys):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<s>": 0, "<pad>": 1, "</s>": 2, "word": 3}, unk_token="<s>"))
    (tmp_path / "vocabulary").mkdir()
    tokenizer.save(str(tmp_path / "vocabulary/tokenizer.json"))
    manifest = {"size": 64, "sentinels": 10, "file": "tokenizer.json", "pad_token": "<pad>", "eos_token": "</s>"}
    write_json(tmp_path / "vocabulary/vocabulary.json", manifest | {"sha256": sha256(tmp_path / "vocabulary/tokenizer.json")})
    checkpoint(tmp_path / "theirs", 64)
    assert adopt(tmp_path, {"1000": str(tmp_path / "theirs")}) == 1
    assert "the study reorders its ids" in capsys.readouterr().err
