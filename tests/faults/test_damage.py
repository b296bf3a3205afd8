"""Damaged files, full and closed disks, clocks that jump: a clear error or recovery, never another number."""

import json
import os
import shutil
import subprocess
import sys
import time
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest

from support.study import answers, environment
from support.tiny import snakemake

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(finished_tiny, tmp_path):
    return Path(shutil.copytree(finished_tiny, tmp_path / "copy"))


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of a given size at a folder; skipped where we may not."""
    mounted = []

    def mount(where: Path, size: str, *options: str) -> None:
        where.mkdir(parents=True, exist_ok=True)
        options = ",".join([f"size={size}", *options])
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", where], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"needs to mount a small file system: {done.stderr.strip()}")
        mounted.append(where)

    yield mount
    for where in mounted:
        subprocess.run(["umount", "--lazy", where], check=False, capture_output=True)


def run_again(folder: Path, output: str) -> subprocess.CompletedProcess:
    """Run the command that made an output, as the workflow ran it."""
    for record in (folder / ".snakemake/metadata").rglob("*"):
        name = "".join(part.removeprefix("@") for part in record.relative_to(folder / ".snakemake/metadata").parts)
        if record.is_file() and urlsafe_b64decode(name).decode() == output:
            command = json.loads(record.read_text())["shellcmd"]
            break
    else:
        raise AssertionError(f"no record of {output}")
    variables = environment() | {
        "PYTHONPATH": str(folder / "workflow"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    return subprocess.run(["bash", "-c", command], cwd=folder, env=variables, capture_output=True, text=True, check=False)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


READ_BY = [
    ("corpora/en/documents.jsonl.zst", "vocabulary/vocabulary.json"),
    ("corpora/en/documents.jsonl.zst", "tokens/corpora/en/index.json"),
    ("bitexts/pairs/train.jsonl.zst", "tokens/bitexts/pairs/index.json"),
    ("bitexts/pairs/test.jsonl.zst", "corpora/en/report.json"),
    ("bitexts/pairs/test.jsonl.zst", "measurements.csv"),
    ("vocabulary/spiece.model", "tokens/corpora/en/index.json"),
    ("tokens/corpora/fr/train.bin", "pretrain/nano/fr/seed_1/trajectory.json"),
    ("tokens/corpora/fr/train.offsets.npy", "pretrain/nano/fr/seed_1/trajectory.json"),
    ("tokens/bitexts/pairs/train.source.bin", "finetune/nano/fr/en-de/100/curve.json"),
    ("pretrain/nano/fr/seed_1/rung_1000/model.safetensors", "finetune/nano/fr/en-de/100/curve.json"),
    ("finetune/nano/fr/en-de/100/seed_1/rung_1000/model.safetensors", "evaluate/nano/fr/en-de/100/evaluation.json"),
    ("evaluate/nano/fr/en-de/100/predictions.parquet", "measurements.csv"),
    ("sentences.parquet", "laws/score-log.json"),
    ("measurements.csv", "laws/score-log.json"),
]


@pytest.mark.parametrize("damage", [flip, truncate])
def test_a_damaged_artifact_is_named_with_its_remedy(folder, damage):
    for artifact, consumer in READ_BY:
        path, output = folder / "results" / artifact, folder / "results" / consumer
        whole, made = path.read_bytes(), output.read_bytes()
        damage(path)
        done = run_again(folder, f"results/{consumer}")
        assert done.returncode == 1, f"{artifact} -> {consumer}: {done.stderr}"
        assert f"results/{artifact}" in done.stderr and "Delete it and" in done.stderr, done.stderr
        assert output.read_bytes() == made
        path.write_bytes(whole)


def test_an_altered_config_of_a_checkpoint_is_noticed(folder):
    path = folder / "results/finetune/nano/fr/en-de/100/seed_1/rung_1000/config.json"
    path.write_text(path.read_text().replace('"relative_attention_max_distance": 128', '"relative_attention_max_distance": 64'))
    done = run_again(folder, "results/evaluate/nano/fr/en-de/100/evaluation.json")
    assert done.returncode == 1
    assert str(path.relative_to(folder)) in done.stderr and "relative_distance" in done.stderr


@pytest.mark.parametrize("damage", [flip, truncate])
def test_damaged_state_is_made_again(folder, damage):
    """States carry their own checksum; a damaged one is as good as none."""
    before = answers(folder)
    state = folder / "results/.state"
    for path in [*state.rglob("state.safetensors"), *state.rglob("model.safetensors")]:
        damage(path)
    shutil.rmtree(folder / "results/pretrain")
    shutil.rmtree(folder / "results/finetune")
    (folder / "results/measurements.csv").unlink()
    snakemake(folder)
    assert answers(folder) == before


def test_the_remedy_mends(folder):
    """Deleting what the error names and running again rebuilds the same."""
    before = answers(folder)
    checkpoint = folder / "results/finetune/nano/fr/en-de/100/seed_1/rung_1000/model.safetensors"
    flip(checkpoint)
    done = snakemake(folder, "--forcerun", "evaluate", check=False)
    assert done.returncode
    assert "SHA-256" in done.stderr and "curve.json" in done.stderr
    checkpoint.unlink()
    (folder / "results/finetune/nano/fr/en-de/100/curve.json").unlink()
    snakemake(folder)
    assert answers(folder) == before


def test_a_full_disk_is_named_and_the_work_goes_on_afterwards(folder, small_disk):
    before = answers(folder)
    shutil.rmtree(folder / "results/.state")
    shutil.rmtree(folder / "results/pretrain/nano/fr")
    small_disk(folder / "results/.state", "64k")
    done = run_again(folder, "results/pretrain/nano/fr/seed_1/trajectory.json")
    assert done.returncode == 1, done.stderr
    assert "results/.state/" in done.stderr and "The disk is full" in done.stderr
    assert not list((folder / "results/.state").rglob("*.tmp"))
    subprocess.run(["umount", folder / "results/.state"], check=True)
    small_disk(folder / "results/.state", "64m")
    (folder / "results/measurements.csv").unlink()
    snakemake(folder)
    assert answers(folder) == before


def test_results_that_cannot_be_written_are_named(folder, small_disk):
    shutil.rmtree(folder / "results/laws")
    small_disk(folder / "results/laws", "1m", "ro")
    done = run_again(folder, "results/laws/score-log.json")
    assert done.returncode == 1
    assert "results/laws/score-log.json" in done.stderr and "read-only" in done.stderr


def test_a_clock_that_jumps_back(folder):
    """Inputs dated tomorrow are named; once they are dated today, what lacks is made and nothing else."""
    before = answers(folder)
    made = [path for path in (folder / "results").rglob("*") if path.is_file()]
    for path in made:
        os.utime(path, (time.time() + 86_400,) * 2)
    for path in (folder / "results/laws").iterdir():
        path.unlink()
    done = snakemake(folder, check=False)
    assert done.returncode
    assert "older modification time" in done.stderr and "results/measurements.csv" in done.stderr + done.stdout
    for path in made:
        if path.exists():
            os.utime(path)
    assert "finetune" not in snakemake(folder).stdout
    assert answers(folder) == before
