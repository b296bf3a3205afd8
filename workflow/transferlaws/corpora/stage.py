"""What the bitext and corpus stages share: arguments, settings, reports."""

import argparse
import os
from pathlib import Path

from transferlaws.files import sha256, write_json
from transferlaws.options import add_json, folder_of


def default_cache() -> Path:
    """The download cache that checkouts share: `$XDG_CACHE_HOME/transferlaws`, else `~/.cache/transferlaws`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transferlaws"


def add_common_arguments(parser: argparse.ArgumentParser, settings: object) -> None:
    """`--name --settings --cache --output --threads`; `settings` is the model of its part of the config."""
    parser.add_argument("--name", required=True, help="name in the study")
    add_json(parser, "--settings", settings, required=True, help="its part of the config")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder for downloads (default: %(default)s)")
    parser.add_argument("--output", type=folder_of, required=True, help="folder to write")
    parser.add_argument("--threads", type=int, default=1, help="processes to clean with (default: %(default)s)")


def write_report(folder: Path, report: dict, files: list[str]) -> None:
    """`report.json` with the checksum of every file beside it: the last file written, so that it vouches for the others."""
    write_json(folder / "report.json", {**report, "files": {name: sha256(folder / name) for name in files}})
