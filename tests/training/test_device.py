"""Stages that run side by side on one machine spread over its GPUs."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from transferlaws.training.device import least_used


@pytest.fixture(autouse=True)
def locks(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def elsewhere(gpus: list[str], folder: str) -> subprocess.Popen:
    """A process that holds the GPU it prints until its standard input ends."""
    code = f"""
import sys, tempfile
from transferlaws.training.device import least_used
tempfile.tempdir = {folder!r}
print(least_used({gpus!r}), flush=True)
sys.stdin.read()
"""
    pipe = subprocess.PIPE
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "workflow")}
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True, env=environment)


def test_processes_take_one_gpu_each_and_then_share_evenly():
    assert [least_used(["a", "b", "c"]) for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_a_gpu_is_known_by_its_name_not_by_its_place():
    assert least_used(["a", "b"]) == 0
    assert least_used(["b", "a"]) == 0
    assert least_used(["b", "a", "c"]) == 2


def test_a_process_that_was_killed_holds_nothing():
    other = elsewhere(["a", "b"], tempfile.gettempdir())
    assert other.stdout.readline() == "0\n"
    assert least_used(["a", "b"]) == 1
    other.kill()
    other.wait()
    assert least_used(["a", "b"]) == 0


def test_a_file_of_another_user_can_be_locked(tmp_path):
    """On a shared machine the file may be one that cannot be written."""
    (tmp_path / "transferlaws-a-0.lock").touch(mode=0o444)
    assert least_used(["a", "b"]) == 0
