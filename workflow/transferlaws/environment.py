"""The environment that the workflow's jobs run in, wherever they run: each job parses the Snakefile, and so sets it again."""

import os
import sys
from pathlib import Path


def prepare(package: Path) -> None:
    """Run this checkout's package with the interpreter that runs Snakemake, installed or not; progress in lines."""
    _prepend("PYTHONPATH", str(package))
    _prepend("PATH", str(Path(sys.executable).parent))
    os.environ["TRANSFERLAWS_PROGRESS"] = "lines"


def hand_over(study: str) -> None:
    """Give the resolved study to the rule that writes it: as a parameter it would fill every explanation of a rerun."""
    os.environ["TRANSFERLAWS_STUDY"] = study


def _prepend(name: str, value: str) -> None:
    os.environ[name] = os.pathsep.join(filter(None, [value, os.environ.get(name)]))
