"""Whatever a cluster does to a job, the workflow ends with the right output, and a stage goes on where it was."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import Cluster, wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STEPS = 300
PARTS = ("preempted", "cancelled", "killed", "limited", "failed", "undisturbed")


class Run:
    """A finished run of the miniature workflow."""

    def __init__(self, folder: Path, numbers: dict[str, str]) -> None:
        self.folder, self.numbers = folder, numbers

    def history(self, part: str) -> list[int]:
        """The step that each attempt of a part started from."""
        return [int(line.split()[1]) for line in (self.folder / "state" / f"{part}.history").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The miniature workflow through `profiles/slurm`, each part disturbed in its own way while it counts."""
    folder = tmp_path_factory.mktemp("run")
    command = [
        *(sys.executable, "-m", "snakemake", "-s", str(HERE / "workflow" / "Snakefile"), "--directory", str(folder)),
        *("--workflow-profile", str(ROOT / "profiles" / "slurm"), "--slurm-init-seconds-before-status-checks", "2"),
        *(
            "--slurm-status-command",
            "squeue",
            "--latency-wait",
            "10",
            "--config",
            f"state={folder / 'state'}",
            f"steps={STEPS}",
            f"parts={','.join(PARTS)}",
        ),
    ]
    with open(folder / "output", "w") as output:
        workflow = subprocess.Popen(command, env=cluster.environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        numbers = {part: wait_for(lambda part=part: _counting(cluster, folder, part), f"{part} to count") for part in PARTS}
        cluster.end_time_limit(numbers["limited"])
        assert cluster.signal(numbers["killed"], "count.py", signal.SIGKILL)
        cluster.run("scancel", numbers["cancelled"])
        ended = {numbers[part] for part in ("limited", "killed", "cancelled")}
        wait_for(lambda: not ended & set(cluster.jobs()), "three jobs to end")
        cluster.fail_node(numbers["failed"])
        wait_for(lambda: cluster.release() or _counting(cluster, folder, "preempted"), "the preempted part to count")
        cluster.preempt(numbers["preempted"])
        (folder / "state" / "finish").touch()
        wait_for(lambda: cluster.release() or workflow.poll() is not None, "the workflow to end", 150)
    except TimeoutError as error:
        queue = cluster.run("squeue", "-o", "%A %T %r %N %k")
        pytest.fail(f"{error}\n{queue}\n{(folder / 'output').read_text()}")
    finally:
        workflow.kill()
        workflow.wait()
    assert workflow.returncode == 0, (folder / "output").read_text()
    return Run(folder, numbers)


def _counting(cluster: Cluster, folder: Path, part: str) -> str | None:
    """The running job of a part that has saved a state."""
    running = [number for number, comment in cluster.jobs("RUNNING").items() if comment == f"rule_count_wildcards_{part}"]
    return running[0] if running and (folder / "state" / part).exists() else None


def test_the_table_is_that_of_an_undisturbed_run(run: Run) -> None:
    counted = [f"{part} {STEPS * (STEPS + 1) // 2}" for part in PARTS]
    assert (run.folder / "table.txt").read_text().splitlines() == [*counted, "gpus: 0"]


@pytest.mark.parametrize("part", [part for part in PARTS if part != "undisturbed"])
def test_a_disturbed_stage_goes_on_where_it_was(run: Run, part: str) -> None:
    first, *later = run.history(part)
    assert first == 0
    assert later and later[0] > 0
    assert later == sorted(later)


def test_a_stage_that_is_asked_to_stop_saves_first(run: Run) -> None:
    assert (run.folder / "state" / "limited.stopped").exists()


def test_a_retry_gets_more_time_and_memory(run: Run, cluster: Cluster) -> None:
    first = run.numbers["limited"]
    again = [number for number in cluster.finished("rule_count_wildcards_limited") if number != first]
    assert len(again) == 1
    assert cluster.job(again[0], "TimeLimit") == "00:10:00"
    assert cluster.job(again[0], "MinMemoryNode") == "400M"


def test_what_slurm_requeues_keeps_its_number(run: Run, cluster: Cluster) -> None:
    assert int(cluster.job(run.numbers["preempted"], "Restarts")) >= 1
    assert int(cluster.job(run.numbers["failed"], "Restarts")) >= 1
