"""A store of finished artifacts that checkouts share: corpora, bitexts, vocabularies, tokens and trajectories, each made once.

An entry's name is a hash of everything that the artifact depends on: the stage's code, its arguments, the manifest of every folder
that they name, and the content of every file in settings that are marked `OwnFiles`. A checkout that asks for the same while
another makes it waits for that one.
"""

import argparse
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from glob import glob
from pathlib import Path

from pydantic import BaseModel

from transferlaws.errors import ChecksumError
from transferlaws.files import SUMS, canonical_json, check_sums, exclusive, sha256, write_sums
from transferlaws.fingerprint import fingerprint
from transferlaws.options import own_files

VARIABLE = "TRANSFERLAWS_STORE"
STAGES = ("bitext", "corpus", "vocabulary", "tokens", "pretrain")
MANIFESTS = ("report.json", "vocabulary.json", "index.json")
WITHOUT_EFFECT = ("stage", "output", "log", "state", "cache", "code", "threads")

logger = logging.getLogger("transferlaws")


def through(stage: str, module: str, arguments: argparse.Namespace, run: Callable[[argparse.Namespace], None]) -> None:
    """Take the stage's output from the store; if it is not there, run the stage and put its output there."""
    if stage not in STAGES or not os.environ.get(VARIABLE):
        return run(arguments)
    entry = Path(os.environ[VARIABLE], stage, key(module, arguments))
    if "WORLD_SIZE" in os.environ:  # under torchrun: the process that started it has looked already
        run(arguments)
        return _put(Path(arguments.output), entry) if os.environ["RANK"] == "0" else None
    with exclusive(entry.with_suffix(".lock")):
        if not _take(entry, Path(arguments.output)):
            run(arguments)
            _put(Path(arguments.output), entry)
    return None


def key(module: str, arguments: argparse.Namespace) -> str:
    """The name of an entry."""
    values = {name: _content(value) for name, value in vars(arguments).items() if name not in WITHOUT_EFFECT}
    return hashlib.sha256(canonical_json([fingerprint(module), values]).encode()).hexdigest()[:32]


def _content(value: object) -> object:
    """An argument with what it names instead of where that lies."""
    if isinstance(value, list | tuple):
        return [_content(item) for item in value]
    if isinstance(value, BaseModel):
        return [value.model_dump(mode="json"), _sums(own_files(value))]
    if isinstance(value, str | Path):
        manifests = [Path(value, name) for name in MANIFESTS]
        return next((sha256(manifest) for manifest in manifests if manifest.is_file()), str(value))
    return value


def _sums(patterns: Iterable[str]) -> dict[str, str]:
    """The checksum of every file that paths, patterns and folders name."""
    found = [Path(path) for pattern in patterns for path in sorted(glob(pattern, recursive=True))]
    files = [file for path in found for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file()]
    return {str(file): sha256(file) for file in files}


def _take(entry: Path, output: Path) -> bool:
    """Copy an entry to where the stage would have written; False if there is none that is whole."""
    if not (entry / SUMS).is_file():
        return False
    names = [line.partition("  ")[2] for line in (entry / SUMS).read_text(encoding="utf-8").splitlines()]
    try:
        for name in names:
            check_sums(entry, name)
    except ChecksumError as error:
        logger.warning("%s The entry is made again.", error)
        shutil.rmtree(entry)
        return False
    for name in names:  # in the order of writing: the manifest last
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(entry / name, output / name)
    logger.info("[store] taken from %s", entry)
    return True


def _put(output: Path, entry: Path) -> None:
    """Copy what a stage wrote; the checksums last, which make it an entry."""
    shutil.rmtree(entry, ignore_errors=True)
    files = sorted((file for file in output.rglob("*") if file.is_file()), key=lambda file: (file.stat().st_mtime_ns, file))
    names = [str(file.relative_to(output)) for file in files]
    for name in names:
        (entry / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(output / name, entry / name)
    write_sums(entry, names)
