"""Snakemake's records of how every output was made, kept with the results, so that results which are copied or moved keep them.

Snakemake holds them in `.snakemake/metadata` of the working folder, a JSON file an output. Without a record it takes an output for
up to date whatever code and settings made it.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import zstandard

from transferlaws.files import atomic

METADATA = Path(".snakemake/metadata")
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
    header, *lines = zstandard.decompress(_store(root).read_bytes()).decode().split("\n")
    # every path below the folder's old name becomes one below its new name
    old = re.compile(rf"(?<![\w./-]){re.escape(json.loads(header)['root'])}(?=/)")
    for line in lines:
        entry = json.loads(line)
        record = _record(f"{root}/{entry['output']}")
        if not record.is_file():
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(old.sub(root, entry["record"]), encoding="utf-8")


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
