"""The tiny study through `profiles/slurm`, disturbed by the cluster: the tables are those of a run on one machine."""

import sys
from pathlib import Path

import pytest
import yaml
from cluster import Cluster, wait_for

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from study import answers, end_all, make_study, prepare

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(600)]


def running(cluster: Cluster, rule: str, avoid: set[str]) -> str | None:
    """A running job of a rule that was not disturbed before."""
    return next((n for n, what in cluster.jobs("RUNNING").items() if what.startswith(f"rule_{rule}_") and n not in avoid), None)


def kill(cluster: Cluster, number: str) -> bool:
    """SIGKILL a job's stage as soon as it is there."""
    try:
        cluster.kill(number, "-m transferlaws")
    except RuntimeError:
        return False
    return True


def test_the_tables_are_those_of_an_undisturbed_run(cluster: Cluster, finished_tiny: Path, tmp_path: Path) -> None:
    folder = prepare(tmp_path / "study")
    profile = yaml.safe_load((folder / "profiles/slurm/config.yaml").read_text())
    # tests cannot wait as long as users; fake GPUs are found by SLURM, not by torch
    profile |= {"slurm-init-seconds-before-status-checks": 2, "slurm-status-command": "squeue", "latency-wait": 10}
    profile["set-resources"] = {"pretrain": {"gpu": 1}, "finetune": {"gres": "'gpu:1'"}}
    (folder / "profiles/slurm/config.yaml").write_text(yaml.safe_dump(profile))
    workflow = make_study(folder, cluster.environment, "PROFILE=profiles/slurm")
    try:
        disturbed: set[str] = set()
        first = wait_for(lambda: running(cluster, "pretrain", disturbed), "a trajectory", 200)
        disturbed |= {first}
        assert cluster.job(first, "TresPerJob") == "gres:gpu:1"
        wait_for(lambda: kill(cluster, first), "the trajectory's process")
        second = wait_for(lambda: running(cluster, "pretrain", disturbed), "another trajectory", 100)
        cluster.run("scancel", second)
        disturbed |= {second}
        curve = wait_for(lambda: cluster.release() or running(cluster, "finetune", disturbed), "a curve", 200)
        assert cluster.job(curve, "TresPerNode") == "gres:gpu:1"
        cluster.preempt(curve)
        disturbed |= {curve}
        limited = wait_for(lambda: cluster.release() or running(cluster, "evaluate", disturbed), "an evaluation", 200)
        cluster.end_time_limit(limited)
        wait_for(lambda: cluster.release() or workflow.poll() is not None, "the study to end", 300)
    except TimeoutError as error:
        pytest.fail(f"{error}\n{cluster.run('squeue', '-o', '%A %T %r %N %k')}\n{(folder / 'output').read_text()}")
    finally:
        end_all(folder)
        cluster.cancel_all()
    assert workflow.returncode == 0, (folder / "output").read_text()
    assert answers(folder) == answers(finished_tiny)
