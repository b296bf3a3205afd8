"""What Snakemake itself costs: a call that finds nothing to do, and the job graph of a study of 10,000 runs.

    python benchmarks/workflow.py        writes benchmarks/results/workflow.json

The finished study of the first number is the tiny one, whose graph is as large as the default study's.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import yaml
from record import ROOT, Record

sys.path += [str(ROOT / "tests"), str(ROOT / "workflow")]

from support.tiny import checkout, snakemake
from transferlaws.config import overlay
from transferlaws.layout import Layout

REPEATS = 5


def nothing_to_do(folder: Path) -> float:
    """A call that finds every result there."""
    snakemake(folder)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        assert "Nothing to be done" in snakemake(folder).stderr
        seconds.append(time.perf_counter() - start)
    return round(min(seconds), 2)


def large_graph(folder: Path, sizes: int = 50, mixtures: int = 99) -> tuple[int, int, float, float]:
    """Jobs, fine-tuned models, and seconds to the table of jobs of a dry run when there is nothing yet; CPU seconds beside them."""
    study = yaml.safe_load((folder / "tiny.yaml").read_text())
    study["mixtures"] = {f"m{number}": {"en": number / 200, "de": 1 - number / 200} for number in range(1, mixtures + 1)}
    study["tasks"]["en-de"]["pairs"] = list(range(1, sizes + 1))
    study["pretraining"]["seeds"] = [1]
    (folder / "tiny.yaml").write_text(yaml.safe_dump(study))
    layout = Layout(overlay(yaml.safe_load((folder / "config.yaml").read_text()), study))
    runs = [_until_job_table(folder) for _ in range(REPEATS)]
    replicas = len(study["pretraining"]["ladder"]) * len(study["finetuning"]["learning_rates"])
    models = sum(replicas if curve.mixture != "scratch" else 2 for curve in layout.curves)
    jobs = len(layout.trajectories) + 2 * len(layout.curves)
    return jobs, models, round(min(wall for wall, _ in runs), 2), round(min(cpu for _, cpu in runs), 2)


def _until_job_table(folder: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml", "--cores", "2", "--dry-run"]
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            if line.startswith("Job stats"):
                times = psutil.Process(process.pid).cpu_times()
                wall = time.perf_counter() - start
                process.kill()
                return wall, times.user + times.system
    raise RuntimeError("no job table")


def main() -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as name:
        small, large = Path(name, "small"), Path(name, "large")
        small.mkdir()
        large.mkdir()
        jobs, models, graph, cpu = large_graph(checkout(large))
        nothing = nothing_to_do(checkout(small))
    record = Record(
        "workflow", packages=("snakemake",), device=f"{psutil.cpu_count()} cores", command="python benchmarks/workflow.py"
    )
    record.add(f"job graph of a study of {jobs:,} jobs and {models:,} fine-tuned models, until the table of jobs", graph, "s")
    record.add("the same, CPU time", cpu, "s")
    record.add("a call that finds nothing to do", nothing, "s")


if __name__ == "__main__":
    main()
