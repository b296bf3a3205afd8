"""What every benchmark writes: benchmarks/results/NAME.json, a list of figures with where, when and at which version."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def cpu() -> str:
    """The processor's name."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    named = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


class Record:
    """The list; written after every figure, so that a failure loses only itself.

    `BENCHMARK_RESULTS` names another folder. `COMMIT` names the commit where the code was copied without its history.
    """

    def __init__(self, name: str, *, packages: tuple[str, ...], device: str, command: str) -> None:
        folder = Path(os.environ.get("BENCHMARK_RESULTS", ROOT / "benchmarks" / "results"))
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.rows = folder / f"{name}.json", []
        self.head = {
            "device": device,
            "versions": {"python": platform.python_version(), **{package: _version(package) for package in packages}},
            "commit": os.environ.get("COMMIT") or _commit(),
            "date": datetime.now(UTC).date().isoformat(),
            "command": command,
        }

    def add(self, figure: str, value: float, unit: str, baseline: float | str | None = None, ratio: float | None = None) -> None:
        """Add a figure; `baseline` is a number in the same unit, or says what it is."""
        self.rows.append({"figure": figure, "value": value, "unit": unit, "baseline": baseline, "ratio": ratio, **self.head})
        self.path.write_text(json.dumps(self.rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        more = "" if ratio is None else f"  (baseline {baseline}, ratio {ratio:.3g})"
        print(f"{figure}: {value:.4g} {unit}{more}", file=sys.stderr, flush=True)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
