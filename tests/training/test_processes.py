"""Groups of a curve side by side: what one process trains, and no process is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from support.engine_data import build
from transferlaws.cli import main
from transferlaws.errors import UserError
from transferlaws.files import sha256, write_json
from transferlaws.training.processes import run_in_processes
from transferlaws.training.state import Checkpointer, load_state

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"batch": 16, "max_steps": 20, "evaluations": 4, "learning_rates": [1e-2, 3e-2], "group": 4}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("processes"))


def finetuning(root, name, processes, *more, **changes):
    arguments = [
        *["finetune", "--tokens", root / "tokens/aa-bb", "--vocabulary", root / "vocabulary", "--model", '{"size": "tiny"}'],
        *["--settings", json.dumps(SETTINGS | changes), "--finetuning-size", 60, "--seeds", "[1, 2, 3, 4, 5]", "--task", "cipher"],
        *["--mixture", "scratch", "--state", root / f"state-{name}", "--output", root / name, "--log", root / f"{name}.log"],
        *["--processes", processes, *more],
    ]
    return list(map(str, arguments))


def started(root, name, processes, **changes) -> tuple[subprocess.Popen, list[psutil.Process]]:
    """A stage that trains in processes, and these, once the first two train."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    command = [
        sys.executable,
        "-m",
        "transferlaws",
        *finetuning(root, name, processes, max_steps=100_000, max_epochs=1e6, **changes),
    ]
    stage = subprocess.Popen(command, env=environment)
    log = root / f"{name}.log"
    while stage.poll() is None:
        if log.exists() and all(f"group {number}/3] " in log.read_text() for number in (1, 2)):
            return stage, [child for child in psutil.Process(stage.pid).children() if "--multiprocessing-fork" in child.cmdline()]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def test_two_processes_write_the_same_bytes_as_one(root):
    written = []
    for processes in (1, 2):
        name = f"same-{processes}"
        assert main(finetuning(root, name, processes)) == 0
        files = sorted((root / name).rglob("*.safetensors"))
        assert len(files) == 5
        written.append([(root / name / "curve.json").read_bytes(), *(file.read_bytes() for file in files)])
        assert (root / f"{name}.log").read_text().count("] done: ") == 3
    assert written[0] == written[1]


def test_learning_rates_one_after_another_are_those_together(root):
    curves = []
    for group in (4, 1):
        assert main(finetuning(root, f"rates-{group}", 1, group=group)) == 0
        curves.append(json.loads((root / f"rates-{group}/curve.json").read_text())["replicas"])
    for together, apart in zip(*curves, strict=True):
        assert apart["learning_rate"] == together["learning_rate"]
        assert apart["learning_rates"] == pytest.approx(together["learning_rates"], rel=1e-4)
        assert apart["best_step"] == together["best_step"]
    lines = [json.loads(line) for line in (root / "rates-1/log.jsonl").read_text().splitlines()]
    assert {(line["seed"], line["learning_rate"]) for line in lines} == {(s, rate) for s in range(1, 6) for rate in (1e-2, 3e-2)}
    assert len(list((root / "state-rates-1/finished").iterdir())) == 5, "what a single learning rate gave was left behind"


def test_an_error_is_the_one_that_a_single_process_meets(root, capfd):
    rungs = []
    for tokens in (1000, 2000, 3000):
        folder = root / "broken" / f"rung_{tokens}"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_text("no weights")
        digest = sha256(folder / "model.safetensors")
        rungs.append({"pretraining_tokens": tokens, "path": folder.name, "sha256": digest})
    write_json(root / "broken/trajectory.json", {"seed": 1, "rungs": rungs})
    said = []
    for processes in (1, 2):
        more = ["--trajectory", root / "broken/trajectory.json"]
        assert main(finetuning(root, "broken/out", processes, *more, learning_rates=[1e-2], group=1)) == 1
        said.append(capfd.readouterr().err)
    assert "rung_1000" in said[0]
    assert said[1] in (said[0], said[0].replace("rung_1000", "rung_2000"))  # whichever process was first


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stage_that_is_asked_to_stop_saves_every_group(root, number):
    name = f"asked-{number}"
    stage, children = started(root, name, 2, state_seconds=10_000)
    assert len(children) == 2
    stage.send_signal(number)
    assert stage.wait(60) == 128 + number
    assert not any(child.is_running() for child in children)
    states = list((root / f"state-{name}/running").rglob("*.safetensors"))
    assert len(states) == 2
    assert all(load_state(state)[1]["number"] > 0 for state in states)


@pytest.mark.slow
def test_a_killed_stage_leaves_no_process(root):
    stage, children = started(root, "killed", 2)
    stage.kill()
    stage.wait()
    gone, alive = psutil.wait_procs(children, 30)
    assert len(gone) == 2
    assert not alive


@pytest.mark.slow
def test_a_killed_process_of_a_stage_is_an_error_and_stops_the_others(root):
    stage, children = started(root, "child", 2, state_seconds=10_000)
    children[0].kill()
    assert stage.wait(60) == 1
    assert not children[1].is_running()
    assert (
        "one of this job's processes was killed by SIGKILL, as the system does when memory runs out"
        in (root / "child.log").read_text()
    )
    assert len(list((root / "state-child/running").rglob("*.safetensors"))) == 1  # of the other, which was asked to stop


class Unusual(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def go_wrong(error, place):
    if isinstance(error, type):
        raise error("one", "two")
    if error is not None:
        raise error
    with Checkpointer(1000) as asked:
        while True:
            time.sleep(0.01)
            asked.stop_if_asked()


@pytest.mark.parametrize("error", [UserError("row 7 is empty"), MemoryError("too much"), SystemExit(143)])
def test_what_a_process_raises_is_raised_and_ends_the_others(error):
    with pytest.raises(type(error), match=str(error)):
        run_in_processes(go_wrong, [(None,), (error,), (None,)], 2)


def test_an_error_that_cannot_travel_is_still_an_error():
    with pytest.raises((UserError, TypeError)):
        run_in_processes(go_wrong, [(Unusual,), (None,)], 2)
