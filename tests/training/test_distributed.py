"""Two processes train what one trains (gloo on a CPU)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from support.engine_data import build

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("distributed"))


def pretrain(root, name, processes, **changes):
    settings = {"length": 32, "warmup_steps": 5, "validation_tokens": 300} | changes
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    command = [
        *[sys.executable, *launcher, "-m", "transferlaws", "pretrain", "--tokens", root / "tokens/aa", "--weights", '{"aa": 1}'],
        *["--vocabulary", root / "vocabulary", "--model", '{"size": "tiny"}', "--settings", json.dumps(settings)],
        *["--ladder", "[1000,3000]", "--seed", 1, "--model-name", "tiny", "--mixture", "aa"],
        *["--state", root / f"state-{name}", "--output", root / name],
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    subprocess.run(list(map(str, command)), check=True, env=environment, capture_output=True, timeout=100)
    return json.loads((root / name / "trajectory.json").read_text())


@pytest.mark.slow
def test_two_processes_share_the_starts_of_a_curve(root):
    settings = {"batch": 16, "max_steps": 12, "evaluations": 3, "learning_rates": [1e-2]}
    curves = []
    for name, launcher in (("alone", []), ("shared", ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"])):
        command = [
            *[sys.executable, *launcher, "-m", "transferlaws", "finetune", "--tokens", root / "tokens/aa-bb"],
            *["--vocabulary", root / "vocabulary", "--model", '{"size": "tiny"}', "--settings", json.dumps(settings)],
            *[
                "--finetuning-size",
                60,
                "--seeds",
                "[1, 2, 3]",
                "--task",
                "t",
                "--mixture",
                "scratch",
                "--state",
                root / f"s-{name}",
                "--output",
                root / name,
            ],
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
        subprocess.run(list(map(str, command)), check=True, env=environment, capture_output=True, timeout=100)
        curves.append(json.loads((root / name / "curve.json").read_text())["replicas"])
    for ours, theirs in zip(*curves, strict=True):
        assert ours["seed"] == theirs["seed"]
        assert ours["dev_cross_entropy"] == pytest.approx(theirs["dev_cross_entropy"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("schedule", ["inverse-square-root", "wsd"])
def test_two_processes_equal_one(root, sharded, schedule):
    # an odd number of rows is filled up; dropout masks are those of one process where nothing is
    changes = {"schedule": schedule} | ({"batch_tokens": 168} if schedule == "wsd" else {"batch_tokens": 192, "dropout": 0.1})
    one = pretrain(root, f"one-{schedule}", 1, **changes)
    name = f"two-{schedule}-{sharded}"
    two = pretrain(root, name, 2, sharded=sharded, **changes)
    for ours, theirs in zip(one["rungs"], two["rungs"], strict=True):
        assert ours["tokens"] == theirs["tokens"]
        assert ours["upstream_cross_entropy"] == pytest.approx(theirs["upstream_cross_entropy"], rel=1e-4)
        weights = [load_file(root / folder / ours["path"] / "model.safetensors") for folder in (f"one-{schedule}", name)]
        for key, tensor in weights[0].items():
            assert (tensor - weights[1][key]).abs().max() < 2e-3 * tensor.abs().max(), key
