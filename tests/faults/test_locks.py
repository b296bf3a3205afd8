"""Two workflows at once, a workflow that was killed, and the orphans it leaves."""

import contextlib
import signal
import subprocess
import sys

import psutil
import pytest

from support.study import answers, end_all, environment, make_study, prepare, processes, stages, workflows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def folder(tmp_path):
    folder = prepare(tmp_path / "study")
    yield folder
    end_all(folder)


def plain_snakemake(folder) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "tiny.yaml"]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def suspended_while_training(folder) -> psutil.Process | None:
    """A stage that holds the lock on its state, suspended."""
    for lock in (folder / "results/.state").glob("*/lock"):
        for stage in stages(folder):
            if f"process {stage.pid} on" in lock.read_text():
                stage.suspend()
                return stage
    return None


def until(condition, run: subprocess.Popen, seconds: float = 120) -> object:
    """Wait for something to be true while `make study` runs."""
    for _ in range(round(seconds / 0.05)):
        if value := condition():
            return value
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(0.05)
            pytest.fail("the study ended early")
    pytest.fail("waited in vain")


def test_a_second_workflow_is_refused_and_a_killed_one_leaves_nothing_to_clear(finished_tiny, folder):
    first = make_study(folder)
    orphan = until(lambda: suspended_while_training(folder), first)
    second = make_study(folder)
    assert second.wait(60) != 0
    assert "another `make study` is running" in (folder / "output").read_text()
    refused = plain_snakemake(folder)
    assert refused.returncode
    assert "cannot be locked" in refused.stderr

    for workflow in workflows(folder):
        workflow.kill()
    first.wait(60)
    again = make_study(folder)
    log = folder / orphan.cmdline()[orphan.cmdline().index("--log") + 1]
    until(lambda: log.exists() and "is at the same work; waiting until it ends" in log.read_text(), again)
    assert f"process {orphan.pid} on" in log.read_text()
    orphan.resume()
    assert again.wait(300) == 0, (folder / "output").read_text()[-3000:]
    assert answers(folder) == answers(finished_tiny)


def test_a_workflow_asked_to_stop_stops_and_goes_on(finished_tiny, folder):
    """SIGTERM to all, as at the shutdown of a machine: the stages save and end, and the next call goes on."""
    run = make_study(folder)
    until(lambda: [s for s in stages(folder) if "finetune" in s.cmdline()], run)
    for process in psutil.Process(run.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
    assert run.wait(60) != 0
    psutil.wait_procs(list(processes(folder)), 60)
    assert make_study(folder).wait(300) == 0, (folder / "output").read_text()[-3000:]
    assert answers(folder) == answers(finished_tiny)
