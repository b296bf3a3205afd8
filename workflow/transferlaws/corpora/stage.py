"""What the bitext and corpus stages share: arguments, settings, reports."""

import argparse
import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from transferlaws.errors import UserError
from transferlaws.files import sha256, write_json


def default_cache() -> Path:
    """The download cache that checkouts share: `$XDG_CACHE_HOME/transferlaws`, else `~/.cache/transferlaws`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transferlaws"


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """`--name --settings --cache --output --threads`."""
    parser.add_argument("--name", required=True, help="name in the study")
    parser.add_argument("--settings", required=True, help="its part of the config, as JSON")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder for downloads (default: %(default)s)")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--threads", type=int, default=1, help="processes to clean with (default: %(default)s)")


def parse_settings(kind: object, text: str, name: str) -> object:
    """Validate a JSON part of the config; a `UserError` that names key, value and what is allowed."""
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']} (found {e['input']!r:.100})" for e in error.errors()]
        raise UserError(f"settings of '{name}': " + "; ".join(lines)) from None


def write_report(folder: Path, report: dict, files: list[str]) -> None:
    """`report.json` with the checksum of every file beside it: the last file written, so that it vouches for the others."""
    write_json(folder / "report.json", {**report, "files": {name: sha256(folder / name) for name in files}})
