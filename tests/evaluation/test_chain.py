"""pretrain -> finetune -> evaluate -> score through the CLI, on a cipher that a tiny model can partly learn."""

import json
import sys

import pandas as pd
import pytest

from support.engine_data import build
from transferlaws.cli import main

MODEL = json.dumps({"size": "tiny", "encoder_layers": 1, "decoder_layers": 1})
PRETRAINING = json.dumps({"length": 32, "batch_tokens": 256, "warmup_steps": 10, "validation_tokens": 500})
FINETUNING = json.dumps({"batch": 32, "max_steps": 30, "evaluations": 3, "learning_rates": [1e-2, 3e-2]})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("chain"))


def call(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


def pretrain(root, seed, ladder="[2000,8000]", output="pretrain"):
    call(
        *["pretrain", "--tokens", root / "tokens/aa", root / "tokens/bb", "--weights", '{"aa": 0.5, "bb": 0.5}'],
        *["--vocabulary", root / "vocabulary", "--model", MODEL, "--settings", PRETRAINING, "--ladder", ladder, "--seed", seed],
        *["--model-name", "tiny", "--mixture", "mix", "--state", root / "state", "--output", root / output / f"seed_{seed}"],
    )
    return root / output / f"seed_{seed}" / "trajectory.json"


def finetune(root, mixture, trajectories, output="finetune"):
    chosen = [part for path in trajectories for part in ("--trajectory", path)]
    call(
        *["finetune", "--tokens", root / "tokens/aa-bb", *chosen, "--vocabulary", root / "vocabulary", "--model", MODEL],
        *["--model-name", "tiny", "--settings", FINETUNING, "--finetuning-size", 200, "--seeds", "[1, 2]", "--task", "cipher"],
        *["--mixture", mixture, "--state", root / "state" / mixture, "--output", root / output / mixture],
    )
    return root / output / mixture / "curve.json"


def test_measurements_of_two_mixtures(root):
    curves = {"mix": finetune(root, "mix", [pretrain(root, 1), pretrain(root, 2)]), "scratch": finetune(root, "scratch", [])}
    for mixture, curve in curves.items():
        call(
            *["evaluate", "--curve", curve, "--tokens", root / "tokens/aa-bb", "--vocabulary", root / "vocabulary"],
            *["--settings", '{"max_length": 16}', "--output", root / "evaluate" / mixture],
        )
    task = {"cipher": {"data": str(root / "bitexts/aa-bb"), "source": "aa", "target": "bb"}}
    reports = [str(root / "corpora" / name / "report.json") for name in ("aa", "bb")]
    call(
        *["score", "--settings", '{"bootstrap": 50}', "--study", "test", "--evaluations", *(root / "evaluate" / m for m in curves)],
        *[
            "--tasks",
            json.dumps(task),
            "--mixtures",
            json.dumps({"mix": {"languages": {"aa": 0.5, "bb": 0.5}, "reports": reports}}),
        ],
        *["--output", root / "measurements.csv", "--sentences", root / "sentences.parquet"],
    )
    table = pd.read_csv(root / "measurements.csv")
    keys = table[["mixture", "seed", "pretraining_tokens"]].values.tolist()
    assert keys == [["mix", 1, 2000], ["mix", 1, 8000], ["mix", 2, 2000], ["mix", 2, 8000], ["scratch", 1, 0], ["scratch", 2, 0]]
    assert (table.status == "ok").all()
    assert table.alignment[0] == pytest.approx(1.0)  # 0.25 + 0.35 + 0.40, the paper's own example
    assert table.contamination_removed.tolist() == [7, 7, 7, 7, 1, 1]
    assert table.upstream_cross_entropy[1] < table.upstream_cross_entropy[0]
    sentences = pd.read_parquet(root / "sentences.parquet")
    first = sentences[(sentences.mixture == "mix") & (sentences.seed == 1) & (sentences.pretraining_tokens == 2000)]
    assert table.cross_entropy[0] == pytest.approx(first.nll.sum() / first.tokens.sum(), rel=1e-12)
    assert len(first) == table.test_items[0] == 50


def test_a_longer_ladder_continues_and_equals_a_straight_run(root):
    pretrain(root, 3, "[2000]", "short")
    continued = json.loads(pretrain(root, 3, "[2000,4000]", "short").read_text())
    (root / "state").rename(root / "state-away")
    straight = json.loads(pretrain(root, 3, "[2000,4000]", "straight").read_text())
    assert [rung["sha256"] for rung in continued["rungs"]] == [rung["sha256"] for rung in straight["rungs"]]


def test_score_imports_no_torch(root):
    import subprocess

    code = "import sys, transferlaws.evaluation.score; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "workflow"}, check=False).returncode == 0
