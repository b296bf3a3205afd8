"""The workflow or a stage killed at random moments, again and again: the tables are those of an undisturbed run."""

import contextlib
import os
import random
import signal
import subprocess
import time

import psutil
import pytest

from support.study import answers, end_all, groups, make_study, prepare, stages, workflows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

KILLS = 30


def test_killed_thirty_times_at_random_moments(finished_tiny, tmp_path):
    choose = random.Random(20)
    killed = {"workflow": 0, "stage": 0, "everything": 0}
    rounds = 0
    while sum(killed.values()) < KILLS:
        folder = prepare(tmp_path / f"round{rounds}")
        rounds += 1
        try:
            _run_to_the_end(folder, choose, killed)
            assert answers(folder) == answers(finished_tiny)
        finally:
            end_all(folder)
    assert all(killed.values()), killed


def _run_to_the_end(folder, choose: random.Random, killed: dict[str, int]) -> None:
    """`make study` until it succeeds; while fewer than KILLS, something is killed every few seconds."""
    for _ in range(KILLS + 5):
        run = make_study(folder)
        while run.poll() is None:
            if sum(killed.values()) >= KILLS:
                run.wait(600)
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(choose.uniform(1, 7))
                break
            _kill(folder, run, choose, killed)
        if run.returncode == 0:
            return
    pytest.fail((folder / "output").read_text()[-5000:])


def _kill(folder, run: subprocess.Popen, choose: random.Random, killed: dict[str, int]) -> None:
    what = choose.choice(sorted(killed))
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        if what == "everything":
            os.killpg(run.pid, signal.SIGKILL)
            killed[what] += 1
        elif victims := workflows(folder) if what == "workflow" else stages(folder) + groups(folder):
            choose.choice(victims).kill()
            killed[what] += 1
    time.sleep(0.1)
