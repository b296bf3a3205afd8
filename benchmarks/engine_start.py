"""Seconds from the start of a finetune job to its end after a few steps: fresh, and with the kernels that the first one compiled.

python benchmarks/engine_start.py
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine_common import ROOT, Results

sys.path.insert(0, str(ROOT / "tests"))


def job(root: Path, output: str, environment: dict[str, str]) -> float:
    """Seconds of a whole job of four steps on a d=128 model."""
    model = {"d_model": 128, "heads": 4, "d_kv": 32, "d_ff": 352, "encoder_layers": 3, "decoder_layers": 3}
    settings = {"max_steps": 4, "evaluations": 2, "batch": 64, "learning_rates": [1e-3, 3e-3]}
    command = [
        *[sys.executable, "-m", "transferlaws", "finetune", "--tokens", root / "tokens/aa-bb", "--vocabulary", root / "vocabulary"],
        *["--model", json.dumps(model), "--settings", json.dumps(settings), "--finetuning-size", 200],
        *[
            "--seeds",
            "[1]",
            "--task",
            "cipher",
            "--mixture",
            "scratch",
            "--state",
            root / f"state-{output}",
            "--output",
            root / output,
        ],
    ]
    start = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, env=environment, cwd=ROOT)
    return time.perf_counter() - start


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    results = Results("engine_start", 200)
    from support.engine_data import build

    with tempfile.TemporaryDirectory() as name:
        root = build(Path(name) / "data")
        cache = str(Path(name) / "cache")
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(ROOT / "workflow"), os.environ.get("PYTHONPATH", "")]),
            "TRITON_CACHE_DIR": cache,
        }
        for label in ("fresh", "warm", "warm again"):
            with results.part(label):
                results.add(
                    f"a finetune job of 4 steps, d=128, {label} cache of kernels",
                    job(root, label.replace(" ", "-"), environment),
                    "s",
                )


if __name__ == "__main__":
    main()
