"""A run that is killed at any moment and started again ends with the same bytes as one that was not."""

import json
import os
import random
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from support.engine_data import build
from transferlaws.cli import main
from transferlaws.model.checkpoint import save_checkpoint
from transferlaws.training.state import load_state, save_state

MODEL = json.dumps({"size": "tiny", "encoder_layers": 1, "decoder_layers": 1})
PRETRAINING = {"length": 32, "batch_tokens": 128, "warmup_steps": 10, "validation_tokens": 200, "dropout": 0.1}
FINETUNING = {"batch": 16, "max_steps": 40, "evaluations": 8, "patience": 2, "learning_rates": [1e-2, 3.0], "dropout": 0.1}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = build(tmp_path_factory.mktemp("resume"))
    assert main(pretraining(root, "whole", {"state_seconds": 1000})) == 0
    assert main(finetuning(root, "whole", {"state_seconds": 1000})) == 0
    return root


def pretraining(root, name, extra):
    arguments = [
        *["pretrain", "--tokens", root / "tokens/aa", root / "tokens/bb", "--weights", '{"aa": 0.7, "bb": 0.3}'],
        *["--vocabulary", root / "vocabulary", "--model", MODEL, "--settings", json.dumps(PRETRAINING | extra), "--seed", 1],
        *["--ladder", "[1000,2000,4000]", "--model-name", "tiny", "--mixture", "mix"],
        *["--state", root / f"state-{name}", "--output", root / name / "pretrain"],
    ]
    return list(map(str, arguments))


def finetuning(root, name, extra, processes=1):
    arguments = [
        *["finetune", "--tokens", root / "tokens/aa-bb", "--trajectory", root / "whole/pretrain/trajectory.json"],
        *["--vocabulary", root / "vocabulary", "--model", MODEL, "--settings", json.dumps(FINETUNING | {"group": 4} | extra)],
        *["--finetuning-size", 100, "--seeds", "[1]", "--task", "cipher", "--mixture", "mix"],
        *["--state", root / f"state-{name}", "--output", root / name / "finetune", "--processes", processes],
    ]
    return list(map(str, arguments))


def run_killed(arguments, number=None, saves=0, delay=0.0):
    """Run the stage in a forked process and send it a signal some time after so many saves of its state.

    Returns its status, negative for a signal. It always gets somewhere, however slow the machine; one that hangs is an error.
    """
    limit = time.monotonic() + 120
    child = os.fork()
    if child == 0:
        try:
            os._exit(main(arguments))
        except SystemExit as stop:
            os._exit(stop.code)
        except BaseException:  # a forked pytest must not go on
            os._exit(99)
    state, seen, last = Path(arguments[arguments.index("--state") + 1]), 0, None
    while True:
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > limit:
            os.kill(child, signal.SIGKILL)
            raise AssertionError(f"process {child} hangs: {arguments}")
        files = {(path, path.stat().st_ino) for path in state.rglob("*.safetensors") if path.exists()}
        if files != last:
            seen, last = seen + 1, files
        if number is not None and seen > saves:
            time.sleep(delay)
            os.kill(child, number)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        time.sleep(0.002)


def weights(folder: Path) -> dict:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))}


def results(path: Path) -> dict:
    value = json.loads(path.read_text())
    value["settings"].pop("state_seconds")
    return value


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "command", "extra"),
    [
        ("pretrain", pretraining, {}),
        ("finetune", finetuning, {}),
        ("finetune", partial(finetuning, processes=2), {}),
        ("finetune", finetuning, {"group": 1}),
    ],
    ids=["pretrain", "finetune", "finetune in two processes", "finetune one learning rate at a time"],
)
def test_killed_and_resumed_is_bit_identical(root, stage, command, extra, tmp_path):
    result = {"pretrain": "trajectory.json", "finetune": "curve.json"}[stage]
    whole = root / ("whole-apart" if extra else "whole")
    assert main(command(root, whole.name, extra | {"state_seconds": 1000})) == 0
    random.seed(5)
    kills, name = {signal.SIGKILL: 0, signal.SIGTERM: 0}, f"{tmp_path.name}-killed"
    for attempt in range(200):
        number = [signal.SIGKILL, signal.SIGTERM][attempt % 2]
        arguments = command(root, name, extra | {"state_seconds": 0.01})
        status = run_killed(arguments, number, random.randint(1, 6), random.uniform(0, 0.02))
        if status == 0:
            assert weights(root / name / stage) == weights(whole / stage)
            assert results(root / name / stage / result) == results(whole / stage / result)
            if sum(kills.values()) >= 20:
                break
            name = f"{tmp_path.name}-killed-{attempt}"  # and again from nothing
        else:
            assert status in (-signal.SIGKILL, 128 + signal.SIGTERM, -signal.SIGTERM)
            kills[number] += 1
    assert sum(kills.values()) >= 20
    assert min(kills.values()) >= 5


def test_killed_while_a_group_is_kept_is_bit_identical(root, monkeypatch):
    kept = []

    def save_one(model, replica, folder):
        if kept:
            os._exit(9)
        kept.append(folder)
        return save_checkpoint(model, replica, folder)

    with monkeypatch.context() as patch:
        patch.setattr("transferlaws.training.group.save_checkpoint", save_one)
        assert run_killed(finetuning(root, "kept", {"state_seconds": 1000})) == 9
    assert len(list((root / "state-kept/finished").glob("*/result.json"))) == 1
    assert main(finetuning(root, "kept", {"state_seconds": 1000})) == 0
    assert weights(root / "kept/finetune") == weights(root / "whole/finetune")
    assert not list((root / "state-kept/running").rglob("*.safetensors"))


def test_another_rung_trains_that_rung_alone(root):
    command = finetuning(root, "grown", {})
    assert main(command) == 0
    finished = sorted((root / "state-grown" / "finished").iterdir())
    times = {path: (path / "model.safetensors").stat().st_mtime_ns for path in finished}
    shorter = root / "whole/pretrain/trajectory.json"
    trajectory = json.loads(shorter.read_text())
    longer = pretraining(root, "whole", {"state_seconds": 1000})
    longer[longer.index("--ladder") + 1] = "[1000,2000,4000,6000]"
    longer[longer.index("--output") + 1] = str(root / "longer/pretrain")
    assert main(longer) == 0
    command[command.index("--trajectory") + 1] = str(root / "longer/pretrain/trajectory.json")
    assert main(command) == 0
    assert {path: (path / "model.safetensors").stat().st_mtime_ns for path in finished} == times
    assert len(list((root / "state-grown" / "finished").iterdir())) == len(trajectory["rungs"]) + 1


def test_a_damaged_state_is_not_used(tmp_path):
    import torch

    path = tmp_path / "state.safetensors"
    save_state(path, {"x": torch.arange(100.0)}, {"step": 3})
    tensors, plain = load_state(path)
    assert plain == {"step": 3}
    assert torch.equal(tensors["x"], torch.arange(100.0))
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    assert load_state(path) is None
    path.write_bytes(data[:50])
    assert load_state(path) is None
    assert load_state(tmp_path / "absent") is None
