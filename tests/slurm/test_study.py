"""The tiny study through `profiles/slurm`, disturbed by the cluster: the tables are those of a run on one machine."""

import signal
from pathlib import Path

import pytest
import yaml
from cluster import Cluster, wait_for

from support.study import answers, end_all, make_study, prepare

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(600)]


def trajectory(cluster: Cluster, avoid: list[str], what: signal.Signals) -> str | None:
    """A running trajectory that was not disturbed before, its process signalled."""
    for number, comment in cluster.jobs("RUNNING").items():
        if comment.startswith("rule_pretrain_") and number not in avoid and cluster.signal(number, "-m transferlaws", what):
            return number
    return None


def test_the_tables_are_those_of_an_undisturbed_run(cluster: Cluster, finished_tiny: Path, tmp_path: Path) -> None:
    cluster.rest()
    folder = prepare(tmp_path / "study")
    profile = yaml.safe_load((folder / "profiles/slurm/config.yaml").read_text())
    # tests cannot wait as long as users; fake GPUs are found by SLURM, not by torch
    profile |= {"slurm-init-seconds-before-status-checks": 2, "slurm-status-command": "squeue", "latency-wait": 10}
    profile["set-resources"] = {"pretrain": {"gpu": 1}, "finetune": {"gres": "'gpu:1'"}, "evaluate": {"gpu": 1}}
    (folder / "profiles/slurm/config.yaml").write_text(yaml.safe_dump(profile))
    workflow = make_study(folder, cluster.environment, "PROFILE=profiles/slurm")
    try:
        disturbed: list[str] = []
        for what in (signal.SIGSTOP, signal.SIGKILL, signal.SIGCONT, signal.SIGCONT):
            disturbed.append(wait_for(lambda what=what: trajectory(cluster, disturbed, what), "a trajectory", 200))
        limited, _, cancelled, preempted = disturbed
        assert cluster.job(limited, "TresPerJob") == "gres:gpu:1"
        cluster.run("scancel", cancelled)
        cluster.end_time_limit(limited)
        cluster.preempt(preempted)
        wait_for(lambda: cluster.release() or workflow.poll() is not None, "the study to end", 300)
    except TimeoutError as error:
        pytest.fail(f"{error}\n{cluster.run('squeue', '-o', '%A %T %r %N %k')}\n{(folder / 'output').read_text()}")
    finally:
        end_all(folder)
        cluster.cancel_all()
    assert workflow.returncode == 0, (folder / "output").read_text()
    assert answers(folder) == answers(finished_tiny)
