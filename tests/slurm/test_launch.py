"""A job with several GPUs or nodes trains with a process on each (gloo: the GPUs are fakes)."""

import json
import shlex
import sys
from pathlib import Path

import pytest
from cluster import Cluster

from support.engine_data import build

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(200)]

ROOT = Path(__file__).parents[2]


def pretrain(cluster: Cluster, root: Path, name: str, *request: str) -> tuple[dict, str]:
    """The trajectory of a job, and what torchrun said."""
    settings = {"length": 32, "warmup_steps": 5, "validation_tokens": 300}
    stage = [
        *(sys.executable, "-m", "transferlaws", "pretrain", "--tokens", str(root / "tokens/aa"), "--weights", '{"aa": 1}'),
        *("--vocabulary", str(root / "vocabulary"), "--model", '{"size": "tiny"}', "--settings", json.dumps(settings)),
        *("--ladder", "[1000]", "--seed", "1", "--model-name", "tiny", "--mixture", "aa"),
        *("--state", str(root / f"state-{name}"), "--output", str(root / name)),
    ]
    variables = f"ALL,PYTHONPATH={ROOT / 'workflow'},OMP_NUM_THREADS=1,LOGLEVEL=INFO"
    output = root / f"{name}.out"
    # as the executor plugin does it: a batch script whose only step is one task on the first node
    step = shlex.join(["srun", "--ntasks=1", "--nodes=1", *stage])
    options = (f"--output={output}", f"--export={variables}", "--mem=3000", *request)
    try:
        cluster.run("sbatch", "--wait", *options, f"--wrap={step}", seconds=120)
    except RuntimeError:
        pytest.fail(output.read_text())
    return json.loads((root / name / "trajectory.json").read_text()), output.read_text()


def test_a_process_on_every_gpu_and_node(cluster: Cluster, tmp_path: Path) -> None:
    cluster.rest()
    root = build(tmp_path)
    alone, said = pretrain(cluster, root, "alone", "--gpus=1", "--nodes=1")
    assert "global_world_sizes" not in said
    for name, request in (("gpus", ("--gpus=2", "--nodes=1")), ("nodes", ("--nodes=2", "--ntasks=2"))):
        together, said = pretrain(cluster, root, name, *request)
        assert "global_world_sizes=[2" in said, said
        rung, reference = together["rungs"][0], alone["rungs"][0]
        assert rung["tokens"] == reference["tokens"]
        assert rung["upstream_cross_entropy"] == pytest.approx(reference["upstream_cross_entropy"], rel=1e-3)
