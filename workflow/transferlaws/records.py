"""Snakemake's records of how every output was made, kept with the results, so that results which are copied or moved keep them.

Snakemake holds them in `.snakemake/metadata` of the working folder, a JSON file an output. Without a record it takes an output for
up to date whatever code and settings made it.
"""

import json
import logging
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import zstandard

from transferlaws.files import atomic

logger = logging.getLogger("transferlaws")

METADATA = Path(".snakemake/metadata")
MOST = 1 << 30  # bytes of all records together
LONGEST = 254  # characters of a file name; Snakemake breaks longer ones into folders whose names begin with @


def keep(root: str) -> None:
    """Store the records of all outputs below `root` in `root`."""
    lines = [json.dumps({"root": root})]
    for file in sorted(path for path in METADATA.rglob("*") if path.is_file()):
        output = _output(file)
        if output.startswith(f"{root}/"):
            lines.append(json.dumps({"output": output[len(root) + 1 :], "record": file.read_text(encoding="utf-8")}))
    with atomic(_store(root)) as temporary:
        temporary.write_bytes(zstandard.compress("\n".join(lines).encode()))


def restore(root: str) -> None:
    """Give Snakemake the records that came with results from elsewhere. Records that are there already are left alone."""
    if not _store(root).is_file() or _record(f"{root}/study.json").is_file():
        return
    try:
        with open(_store(root), "rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
            text = stream.read(MOST + 1)
        if len(text) > MOST:
            raise ValueError(f"more than {MOST:,} bytes")
        header, *entries = [json.loads(line) for line in text.decode().split("\n")]
        entries = [(entry["output"], entry["record"]) for entry in entries]
        # every path below the folder's old name becomes one below its new name
        old = re.compile(rf"(?<![\w./-]){re.escape(header['root'])}(?=/)")
        if not text or not all(isinstance(part, str) for entry in entries for part in entry):
            raise ValueError("no records")
    except (zstandard.ZstdError, ValueError, KeyError, TypeError, RecursionError) as error:
        logger.warning(
            "%s: not readable (%s). The results stay, but Snakemake does not know what made them, and takes them for up to date. "
            "Delete the file to end this warning.",
            *(_store(root), error),
        )
        return
    for output, made in entries:
        if ".." in output.split("/"):
            continue
        record = _record(f"{root}/{output}")
        if not record.is_file():
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(old.sub(root, made), encoding="utf-8")


def parameters(output: str) -> list[str]:
    """What Snakemake recorded of the params that an output was made with, each as Python writes it; empty without a record."""
    record = _record(output)
    return json.loads(record.read_text(encoding="utf-8")).get("params", []) if record.is_file() else []


def _store(root: str) -> Path:
    return Path(root, ".state", "records.zst")


def _record(output: str) -> Path:
    name = urlsafe_b64encode(output.encode()).decode()
    *folders, last = (name[start : start + LONGEST] for start in range(0, len(name), LONGEST))
    return METADATA.joinpath(*(f"@{folder}" for folder in folders), last)


def _output(record: Path) -> str:
    name = "".join(part.removeprefix("@") for part in record.relative_to(METADATA).parts)
    return urlsafe_b64decode(name).decode()
