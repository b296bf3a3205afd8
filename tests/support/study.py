"""The tiny study as a user runs it, `make study`, in processes that a test may kill."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import yaml

from support.tiny import REPOSITORY, checkout

ANSWERS = ("measurements.csv", "laws/*.json")  # what every law, figure and piece of advice rests on, and the fits


def prepare(folder: Path, **changes: dict) -> Path:
    """A checkout of the tiny study that saves its state all the time; `changes` are merged into its sections."""
    folder.mkdir(parents=True, exist_ok=True)
    checkout(folder)
    shutil.copy(REPOSITORY / "Makefile", folder)
    study = yaml.safe_load((folder / "tiny.yaml").read_text())
    for section, values in {"pretraining": {"state_seconds": 0.02}, "finetuning": {"state_seconds": 0.02}, **changes}.items():
        study[section] = {**study.get(section, {}), **values}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return folder


def environment() -> dict[str, str]:
    """What `make study` finds set."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MAKEFLAGS")} | {"OMP_NUM_THREADS": "1"}


def make_study(folder: Path, variables: Mapping[str, str] | None = None, *more: str) -> subprocess.Popen:
    """Start `make study` with this interpreter's environment instead of one of its own."""
    command = [
        "make",
        "-o",
        ".venv/.ready-cpu",
        "study",
        f"BIN={Path(sys.executable).parent}",
        "CONFIG=tiny.yaml",
        "CORES=2",
        *more,
    ]
    variables = environment() if variables is None else environment() | variables
    with open(folder / "output", "a") as output:
        return subprocess.Popen(
            command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )


def processes(folder: Path) -> Iterator[psutil.Process]:
    """Every process that works in `folder`, orphans too."""
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder):
                yield process
        except psutil.Error:
            continue


def workflows(folder: Path) -> list[psutil.Process]:
    """The running Snakemake, without its children."""
    return [process for process in processes(folder) if _has(process, "snakemake") and not _has(process, "transferlaws")]


def stages(folder: Path) -> list[psutil.Process]:
    """The running stages."""
    return [process for process in processes(folder) if _has(process, "-m", "transferlaws")]


def groups(folder: Path) -> list[psutil.Process]:
    """The running processes of stages that train a group of replicas each."""
    return [process for process in processes(folder) if _has(process, "--multiprocessing-fork")]


def _has(process: psutil.Process, *words: str) -> bool:
    try:
        line = process.cmdline()
    except psutil.Error:
        return False
    return "python" in Path(line[0] if line else "").name and all(any(part.endswith(word) for part in line[1:]) for word in words)


def answers(folder: Path) -> dict[str, bytes]:
    """The bytes of the table and of every fit."""
    results = folder / "results"
    return {str(path.relative_to(results)): path.read_bytes() for pattern in ANSWERS for path in sorted(results.glob(pattern))}


def end_all(folder: Path) -> None:
    """Kill whatever still works in `folder`."""
    for process in list(processes(folder)):
        try:
            process.kill()
        except psutil.Error:
            continue
