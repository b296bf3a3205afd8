"""A store of finished artifacts that checkouts share: corpora, bitexts, vocabularies, tokens and trajectories, each made once.

An entry's name is a hash of everything that the artifact depends on: the stage's code, its arguments, the manifest of every folder
that they name, and the content of every file in settings that are marked `OwnFiles`. A checkout that asks for the same while
another makes it waits for that one; an entry that is whole is taken without waiting.
"""

import argparse
import hashlib
import logging
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from pydantic import BaseModel

from transferlaws import entry as entries
from transferlaws.corpora.readers.paths import named
from transferlaws.errors import UserError
from transferlaws.files import canonical_json, exclusive, sha256
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
    entry, output = Path(os.environ[VARIABLE], stage, key(module, arguments)), Path(arguments.output)
    if "WORLD_SIZE" in os.environ:  # under torchrun: the process that started it has looked already
        run(arguments)
        return _put(output, entry) if os.environ["RANK"] == "0" else None
    if entries.take(entry, output):
        return None
    with ExitStack() as stack:
        try:
            _make_folder(entry.parent)
            stack.enter_context(exclusive(entry.with_suffix(".lock")))
        except (OSError, UserError) as error:
            logger.warning("%s: the store cannot be written (%s), so this output is not kept there.", entry.parent, error)
            return run(arguments)
        if not entries.take(entry, output):  # another may have made it meanwhile
            run(arguments)
            _put(output, entry)
    return None


def _put(output: Path, entry: Path) -> None:
    try:
        entries.put(output, entry)
    except (OSError, UserError) as error:
        logger.warning("%s: the store cannot be written (%s), so this output is not kept there.", entry, error)


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
    found = [Path(path) for pattern in patterns for path in named(pattern)]
    files = [file for path in found for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.is_file()]
    return {str(file): sha256(file) for file in files}


def _make_folder(folder: Path) -> None:
    """Make a folder of the store as open to others as the store's own folder is, whatever the umask."""
    store = folder.parent
    store.mkdir(parents=True, exist_ok=True)
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        folder.chmod(stat.S_IMODE(store.stat().st_mode))
