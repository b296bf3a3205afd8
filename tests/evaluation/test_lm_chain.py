"""A decoder-only model: next-token pretraining with decay branches, an `lm` task, its measurements."""

import json

import pandas as pd
import pytest
import zstandard

from support.engine_data import build
from transferlaws.cli import main
from transferlaws.files import sha256, write_json

MODEL = json.dumps({"size": "tiny", "encoder_layers": 0})
PRETRAINING = {"objective": "next-token", "length": 32, "batch_tokens": 256, "warmup_steps": 5, "validation_tokens": 500}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = build(tmp_path_factory.mktemp("lm"))
    documents = b"".join(b'{"id": "%d", "text": "x"}\n' % i for i in range(200))
    (root / "corpora/bb/documents.jsonl.zst").write_bytes(zstandard.compress(documents))
    files = {"documents.jsonl.zst": sha256(root / "corpora/bb/documents.jsonl.zst")}
    write_json(root / "corpora/bb/report.json", {"name": "bb", "kind": "corpus", "contamination": {}, "files": files})
    return root


def call(*arguments):
    return main([str(argument) for argument in arguments])


def pretrain(root, ladder, output, **changes):
    arguments = [
        *["pretrain", "--tokens", root / "tokens/aa", "--weights", '{"aa": 1}', "--vocabulary", root / "vocabulary"],
        *["--model", MODEL, "--settings", json.dumps(PRETRAINING | changes), "--ladder", ladder, "--seed", 1],
        *["--model-name", "decoder", "--mixture", "aa", "--state", root / "state" / output, "--output", root / output],
    ]
    assert call(*arguments) == 0
    return json.loads((root / output / "trajectory.json").read_text())


def test_lm_task_from_corpus_to_table(root):
    pretrain(root, "[2000,8000]", "pretrain")
    finetuning = {"batch": 8, "max_steps": 20, "evaluations": 2, "learning_rates": [1e-2], "length": 32}
    common = ["--tokens", root / "tokens/bb", "--vocabulary", root / "vocabulary"]
    arguments = [
        "--model",
        MODEL,
        "--model-name",
        "decoder",
        "--settings",
        json.dumps(finetuning),
        "--finetuning-size",
        1500,
        "--seeds",
        "[1]",
    ]
    for mixture, chosen in (("aa", ["--trajectory", root / "pretrain/trajectory.json"]), ("scratch", [])):
        folders = ["--state", root / "state", "--output", root / "finetune" / mixture]
        assert call("finetune", *common, *arguments, *chosen, *folders, "--task", "bb", "--mixture", mixture) == 0
        curve = root / "finetune" / mixture / "curve.json"
        assert call("evaluate", "--curve", curve, *common, "--settings", "{}", "--output", root / "evaluate" / mixture) == 0
    tables = ["--output", root / "measurements.csv", "--sentences", root / "sentences.parquet"]
    evaluations = ["--evaluations", root / "evaluate/aa", root / "evaluate/scratch"]
    tasks = json.dumps({"bb": {"data": str(root / "corpora/bb")}})
    mixtures = json.dumps({"aa": {"languages": {"aa": 1.0}, "reports": []}})
    assert call("score", "--settings", "{}", "--study", "s", *evaluations, "--tasks", tasks, "--mixtures", mixtures, *tables) == 0
    table = pd.read_csv(root / "measurements.csv")
    assert table.pretraining_tokens.tolist() == [2000, 8000, 0]
    assert (table.kind == "lm").all()
    assert (table.finetuning_unit == "tokens").all()
    assert table.finetuning_tokens.between(1500, 1500 + 31).all()
    assert table[["bleu", "finetuning_pairs", "alignment"]].isna().all(axis=None)
    assert table.cross_entropy.between(0.5, 5.2).all()
    curve = json.loads((root / "finetune/aa/curve.json").read_text())
    assert curve["kind"] == "lm"


def test_decay_branches_leave_the_trunk_as_it_was(root):
    """A rung's annealed branch must not move the rungs after it: with or without the first rung, the last one is the same."""
    both = pretrain(root, "[2000,6000]", "both", schedule="wsd", learning_rate=1e-2)
    last = pretrain(root, "[6000]", "last", schedule="wsd", learning_rate=1e-2)
    assert [rung["annealed"] for rung in both["rungs"]] == [True, True]
    assert both["rungs"][1]["sha256"] == last["rungs"][0]["sha256"]
    trunk = pretrain(root, "[2000,6000]", "trunk", schedule="constant", learning_rate=1e-2)
    assert trunk["rungs"][0]["sha256"] != both["rungs"][0]["sha256"]


def test_a_model_without_encoder_refuses_infilling(root, capsys):
    settings = json.dumps(PRETRAINING | {"objective": "infilling"})
    arguments = [
        "--model",
        MODEL,
        "--settings",
        settings,
        "--ladder",
        "[2000]",
        "--seed",
        1,
        "--model-name",
        "d",
        "--mixture",
        "aa",
    ]
    folders = ["--state", root / "state", "--output", root / "x", "--vocabulary", root / "vocabulary"]
    assert call("pretrain", "--tokens", root / "tokens/aa", "--weights", '{"aa": 1}', *arguments, *folders) == 1
    assert "next-token is for models without an encoder" in capsys.readouterr().err
