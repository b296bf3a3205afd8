"""Does a GPU wait for its batches? A step with batches made as training goes, against the same batches made beforehand.

python benchmarks/engine_feed.py [--sizes 128 256 512] [--positions 8192 16384] [--steps 40] [--seconds 240]

A step is launched, not waited for, and a thread makes pretraining's next batch meanwhile: a ratio near 1 says that the GPU never
waits, and the host's milliseconds how far off the end of that is.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from engine_common import ROOT, SHAPES, VOCABULARY, Results, natural_pairs, seconds_a_call, synchronise
from engine_curve import LENGTH, lockstep

from transferlaws.files import read_json, write_json
from transferlaws.tokens.shards import ShardWriter
from transferlaws.tokens.vocabulary import Vocabulary
from transferlaws.training.device import choose_device
from transferlaws.training.distributed import World
from transferlaws.training.mixture_text import MixtureText, Pretraining
from transferlaws.training.settings import PretrainingSettings
from transferlaws.training.trajectory import TrajectoryRun

sys.path.insert(0, str(ROOT / "tests"))

PRETRAINING_LENGTH, DOCUMENTS, REPEATS = 128, 20_000, 3


def build(root: Path) -> Path:
    """Two corpora of random ids of a vocabulary of 8192, documents with a median of 40 tokens."""
    from support.engine_data import build

    build(root)
    manifest = read_json(root / "vocabulary" / "vocabulary.json")
    write_json(root / "vocabulary" / "vocabulary.json", manifest | {"size": VOCABULARY})
    vocabulary = Vocabulary.load(root / "vocabulary")
    for seed, name in enumerate(("xx", "yy")):
        random = np.random.default_rng(seed)
        lengths = np.clip(random.lognormal(np.log(40), 0.8, DOCUMENTS), 2, 2000).astype(int)
        documents = [random.integers(400, VOCABULARY - 200, length) for length in lengths]
        with ShardWriter(
            root / "tokens" / name,
            name=name,
            kind="corpus",
            languages=[name],
            vocabulary_sha256=vocabulary.sha256,
            dtype=vocabulary.dtype,
            eos_id=vocabulary.eos_id,
            splits=["train", "valid"],
        ) as writer:
            writer.add("train", documents, ["text"] * DOCUMENTS)
            writer.add("valid", documents[:100], ["text"] * 100)
    return root


def trajectory(root: Path, size: int, positions: int) -> TrajectoryRun:
    """The pretrain stage's run, not yet started."""
    asked = Pretraining(
        tokens=[root / "tokens/xx", root / "tokens/yy"],
        weights={"xx": 0.7, "yy": 0.3},
        vocabulary=root / "vocabulary",
        model=SHAPES[size],
        settings=PretrainingSettings(length=PRETRAINING_LENGTH, batch_tokens=positions, learning_rate=1e-3),
        ladder=[10**12],
        seed=1,
        model_name="m",
        mixture="xx+yy",
        state=root / "state",
        output=root / "output",
    )
    return TrajectoryRun(asked, MixtureText.open(asked), World.join(choose_device()))


def milliseconds(step: Callable[[], object], steps: int) -> float:
    """A step's time."""
    return 1e3 * seconds_a_call(step, steps, warm=0)


def launching(step: Callable[[], object], steps: int) -> float:
    """Milliseconds until a step is launched on an idle device, which is not waited for."""
    total = 0.0
    for _ in range(steps):
        synchronise()
        start = time.perf_counter()
        step()
        total += time.perf_counter() - start
    return 1e3 * total / steps


def record(results: Results, label: str, fed: list[float], ready: list[float], make: float, launch: float) -> None:
    """All in milliseconds; the baseline is always a step with its batch made beforehand."""
    step = min(ready)
    results.add(f"step, its batch made meanwhile: {label}", min(fed), "ms", step, min(fed) / step)
    results.add(f"making a batch, host alone: {label}", make, "ms", step, make / step)
    if torch.cuda.is_available():
        results.add(f"launching a step, host alone: {label}", launch, "ms", step, launch / step)


def pretraining(root: Path, size: int, positions: int, steps: int, results: Results) -> None:
    run = trajectory(root, size, positions)
    ahead = run.batches
    for _ in range(max(steps, 12)):  # most forms twice: a step, then its capture
        run._take(1.0)
    place, counts = ahead.place, dict(run.counts)

    def rewind() -> None:
        ahead.rewind(place)
        run.batches, run.counts = ahead, dict(counts)

    rewind()
    start = time.perf_counter()
    made = [ahead._make(counts["steps"] + number)[:2] for number in range(steps)]
    make = 1e3 * (time.perf_counter() - start) / steps
    recorded = SimpleNamespace(take=lambda step: made[(step - counts["steps"]) % steps])
    fed, ready = [], []
    for _ in range(REPEATS):
        rewind()
        fed.append(milliseconds(lambda: run._take(1.0), steps))
        rewind()
        run.batches = recorded
        ready.append(milliseconds(lambda: run._take(1.0), steps))
    launch = launching(lambda: run._take(1.0), steps)
    run._check_finite()
    record(results, f"pretraining, d={size}, {positions} positions of {PRETRAINING_LENGTH}", fed, ready, make, launch)


def finetuning(size: int, pairs: int, steps: int, results: Results) -> None:
    run = lockstep(SHAPES[size], natural_pairs(pairs, LENGTH))
    making = run._batch
    steps = min(steps, run.batches_an_epoch)
    for _ in range(2 * run.batches_an_epoch):  # most forms twice
        run._step()
    first = run.number
    start, batches = time.perf_counter(), []
    for run.number in range(first, first + steps):
        batches.append(making())
    make = 1e3 * (time.perf_counter() - start) / steps
    fed, ready = [], []
    for _ in range(REPEATS):
        run.number, run._batch = first, making
        fed.append(milliseconds(run._step, steps))
        run.number, run._batch = first, lambda: batches[run.number - first]
        ready.append(milliseconds(run._step, steps))
    run.number = first
    launch = launching(run._step, steps)
    record(results, f"8 replicas in lockstep, d={size}, 64 pairs of natural lengths", fed, ready, make, launch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--positions", type=int, nargs="+", default=[8192, 16384], help="text positions of a pretraining batch")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--pairs", type=int, default=3200, help="fine-tuning pairs; an epoch of them warms up")
    parser.add_argument("--seconds", type=float, default=240, help="start no part after this")
    arguments = parser.parse_args()
    results = Results("engine_feed", arguments.seconds)
    with tempfile.TemporaryDirectory() as name:
        root = build(Path(name))
        for size in arguments.sizes:
            for positions in arguments.positions:
                if results.in_time:
                    with results.part(f"pretraining d={size} {positions}"):
                        pretraining(root, size, positions, arguments.steps, results)
        if results.in_time:
            with results.part("lockstep"):
                finetuning(min(arguments.sizes), arguments.pairs, arguments.steps, results)


if __name__ == "__main__":
    main()
