"""A rule whose profile asks for several GPUs, tasks or nodes trains with a process on each (gloo: the GPUs are fakes)."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cluster import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(300)]

TRAJECTORY = "results/pretrain/nano/fr/seed_1/trajectory.json"


def pretrain(cluster: Cluster, study: Path, **asked: object) -> dict:
    """The trajectory that the rule makes, its state and output removed before."""
    profile = yaml.safe_load((study / "profiles/slurm/config.yaml").read_text())
    profile |= {"slurm-init-seconds-before-status-checks": 2, "latency-wait": 10, "retries": 0}
    profile["set-resources"] = {"pretrain": asked}
    (study / "profile").mkdir(exist_ok=True)
    (study / "profile/config.yaml").write_text(yaml.safe_dump(profile))
    shutil.rmtree(study / Path(TRAJECTORY).parent, ignore_errors=True)
    shutil.rmtree(study / "results/.state", ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "snakemake",
        TRAJECTORY,
        "--profile",
        "profile",
        "--configfile",
        "tiny.yaml",
        "--rerun-triggers",
        "mtime",
    ]
    environment = {**cluster.environment, "OMP_NUM_THREADS": "1", "LOGLEVEL": "INFO"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        command, cwd=study, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return json.loads((study / TRAJECTORY).read_text())


@pytest.fixture(scope="module")
def study(finished_tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished tiny study, to make one trajectory of it again."""
    return shutil.copytree(finished_tiny, tmp_path_factory.mktemp("spread") / "study", symlinks=True)


@pytest.mark.parametrize(
    ("asked", "nodes", "each"),
    [
        ({"gpu": 2, "slurm_partition": "main"}, 1, 2),
        ({"tasks": 2}, 1, 2),
        ({"nodes": 2, "tasks": 2}, 2, 1),
        ({"nodes": 2, "tasks": 4}, 2, 2),
        ({"nodes": 2, "gres": "'gpu:2'"}, 2, 2),
    ],
)
def test_a_process_on_every_gpu_task_and_node(
    cluster: Cluster, study: Path, finished_tiny: Path, asked: dict, nodes: int, each: int
) -> None:
    cluster.rest()
    alone = json.loads((finished_tiny / TRAJECTORY).read_text())
    together = pretrain(cluster, study, **asked)
    assert f"{nodes} nodes, {each} processes on this one" in (study / "results/logs/pretrain/nano/fr/seed_1.log").read_text()
    for rung, reference in zip(together["rungs"], alone["rungs"], strict=True):
        assert rung["tokens"] == reference["tokens"]
        assert rung["upstream_cross_entropy"] == pytest.approx(reference["upstream_cross_entropy"], rel=1e-3)
        assert rung["sha256"] != reference["sha256"]  # equal to rounding, not to the bit: another number of processes added up
