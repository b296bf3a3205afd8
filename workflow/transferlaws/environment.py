"""The environment that the workflow's jobs run in, wherever they run: each job parses the Snakefile, and so sets it again."""

import os
import sys
from pathlib import Path
from typing import NoReturn

SHARED = "TRANSFERLAWS_SHARED"  # set: other jobs compute on what this process sees of the machine
DEVICE = "TRANSFERLAWS_DEVICE"  # what the study's `compute.device` says


def prepare(package: Path | None) -> None:
    """Run the package with the interpreter that runs Snakemake; progress in lines.

    Args:
        package: the folder that holds this checkout's package, which need not be installed; None runs the installed one.
    """
    if package:
        _prepend("PYTHONPATH", str(package))
    _prepend("PATH", str(Path(sys.executable).parent))
    os.environ["TRANSFERLAWS_PROGRESS"] = "lines"


def mark_shared(shared: bool) -> None:
    """Say whether jobs share what they see of the machine, as those do that a local Snakemake runs side by side."""
    if shared:
        os.environ[SHARED] = "1"
    else:
        os.environ.pop(SHARED, None)


def hand_over(study: str, store: str | None) -> None:
    """What no result depends on, or a hash stands for: the resolved study, for the rule that writes it, and the shared store."""
    os.environ["TRANSFERLAWS_STUDY"] = study
    if store:
        os.environ["TRANSFERLAWS_STORE"] = str(Path(store).expanduser().absolute())


def refuse(error: Exception) -> NoReturn:
    """End with what the user must mend as the last words: of an exception, Snakemake names the line that raised it behind them."""
    print(error, file=sys.stderr)
    raise SystemExit(1)


def _prepend(name: str, value: str) -> None:
    os.environ[name] = os.pathsep.join(filter(None, [value, os.environ.get(name)]))
