"""Several GPUs against one: the same losses and weights from the stages `pretrain` and `finetune`, and tokens a second at T5-770M.

python benchmarks/engine_gpus.py [--seconds 220]

N processes are as many as there are GPUs; on a CPU two, and a tiny model in the place of T5-770M. "copies" share each batch
between whole models, "sharded" splits the parameters too.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch
from engine_common import ROOT, Results, seconds_a_call
from engine_mfu import LARGE, LARGE_LENGTH, LARGE_VOCABULARY
from safetensors.torch import load_file

from transferlaws.files import read_json
from transferlaws.model.checkpoint import save_checkpoint
from transferlaws.model.settings import ModelSettings
from transferlaws.model.transformer import Transformer
from transferlaws.tokens.vocabulary import Vocabulary
from transferlaws.training.device import choose_device
from transferlaws.training.distributed import World, shard
from transferlaws.training.optimisers import Optimiser
from transferlaws.training.settings import OptimiserSettings
from transferlaws.training.step import Step, compute_type, operations_for

sys.path.insert(0, str(ROOT / "tests"))

GPUS = torch.cuda.device_count()
PROCESSES = GPUS or 2
LIMIT = 100  # seconds of a job that hangs
SEED, LADDER = 1, [4_000, 16_000, 64_000]
LAYERS = -(-2 // PROCESSES) * PROCESSES  # that shards can share evenly
MODEL = {"size": "1M" if GPUS else "tiny", "encoder_layers": LAYERS, "decoder_layers": LAYERS}
# at the default learning rate a loss this early jumps about by a percent, whatever the cause
PRETRAINING = {"length": 64, "batch_tokens": 2048, "warmup_steps": 10, "learning_rate": 5e-3}
FINETUNING = {"batch": 32, "max_steps": 60, "evaluations": 3, "learning_rates": [1e-3, 3e-3]}
PRECISIONS, FORMS = ("fp32", "bf16"), ("copies", "sharded")
SEQUENCES = 48 if GPUS else 2  # a process, of the large model


def launcher(processes: int) -> list[str]:
    if processes == 1:
        return [sys.executable]
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]


def together(jobs: dict[str, list]) -> None:
    """Run commands at once, those of one process each on a GPU of its own; a failure or a hang is shown and ends that one alone."""
    path = os.pathsep.join([str(ROOT / "workflow"), os.environ.get("PYTHONPATH", "")])
    running = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, command) in enumerate(jobs.items()):
            environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
            if GPUS and "--nproc-per-node" not in command:
                environment["CUDA_VISIBLE_DEVICES"] = str(number % GPUS)
            with open(Path(folder) / str(number), "w+b") as log:
                running[name] = subprocess.Popen(
                    list(map(str, command)), env=environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
                )
        stop = time.monotonic() + LIMIT
        for number, (name, job) in enumerate(running.items()):
            try:
                failed = job.wait(max(stop - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                os.killpg(job.pid, signal.SIGKILL)
                failed = job.wait()
            if failed:
                text = (Path(folder) / str(number)).read_text(errors="replace")
                print(f"-- {name} ended with {failed}\n{text[-3000:]}", flush=True)


def pretraining(root: Path, name: str, processes: int, precision: str, *, sharded: bool = False) -> list:
    settings = PRETRAINING | {"precision": precision, "sharded": sharded}
    return [
        *[*launcher(processes), "-m", "transferlaws", "pretrain", "--tokens", root / "tokens/aa", "--weights", '{"aa": 1}'],
        *["--vocabulary", root / "vocabulary", "--model", json.dumps(MODEL), "--settings", json.dumps(settings)],
        *["--ladder", json.dumps(LADDER), "--seed", SEED, "--model-name", "m", "--mixture", "aa"],
        *["--state", root / f"state-{name}", "--output", root / name],
    ]


def finetuning(root: Path, name: str, processes: int, precision: str, start: str) -> list:
    return [
        *[*launcher(processes), "-m", "transferlaws", "finetune", "--tokens", root / "tokens/aa-bb"],
        *["--trajectory", root / start / "trajectory.json", "--vocabulary", root / "vocabulary", "--model", json.dumps(MODEL)],
        *["--settings", json.dumps(FINETUNING | {"precision": precision}), "--finetuning-size", 200, "--seeds", json.dumps([SEED])],
        *["--task", "cipher", "--mixture", "aa", "--state", root / f"state-{name}", "--output", root / name],
    ]


def weights(folder: Path) -> torch.Tensor:
    """All of a checkpoint's weights in one vector, fp64."""
    loaded = load_file(folder / "model.safetensors")
    return torch.cat([loaded[name].double().flatten() for name in sorted(loaded)])


def distance(root: Path, name: str, other: str, rung: int) -> tuple[float, float]:
    """Largest difference of a weight; norm of the difference as a share of what `other` moved since its random start."""
    ours, theirs, start = (weights(root / folder) for folder in (f"{name}/rung_{rung}", f"{other}/rung_{rung}", "start"))
    return float((ours - theirs).abs().max()), float((ours - theirs).norm() / (theirs - start).norm())


def compare_pretraining(root: Path, results: Results) -> None:
    model = Transformer(ModelSettings(**MODEL), Vocabulary.load(root / "vocabulary").size)
    model.initialise(0, SEED)
    save_checkpoint(model, 0, root / "start")
    one = {f"1 {precision}": pretraining(root, f"1 {precision}", 1, precision) for precision in PRECISIONS}
    again = {f"again {precision}": pretraining(root, f"again {precision}", 1, precision) for precision in PRECISIONS}
    together(one | again)
    for precision, form in product(PRECISIONS, FORMS):  # one after another: collectives that share GPUs wait for each other's turn
        name = f"{form} {precision}"
        together({name: pretraining(root, name, PROCESSES, precision, sharded=form == "sharded")})
        with results.part(f"compare {form} {precision}"):
            losses(root, results, precision, form)
            updates(root, results, precision, form)
    with results.part("compare bf16 with fp32"):
        share = distance(root, "1 bf16", "1 fp32", LADDER[-1])[1]
        results.add(f"difference of weights at {LADDER[-1]} tokens, one process, bf16 against fp32", share, "of the update")
        ours, theirs = (
            read_json(root / f"1 {p}" / "trajectory.json")["rungs"][-1]["upstream_cross_entropy"] for p in ("bf16", "fp32")
        )
        label = f"upstream loss at {LADDER[-1]} tokens, one process, bf16 against fp32"
        results.add(label, ours, "nats/token", theirs, ours / theirs)


def losses(root: Path, results: Results, precision: str, form: str) -> None:
    one, many = (read_json(root / f"{name} {precision}" / "trajectory.json")["rungs"] for name in ("1", form))
    for ours, theirs in zip(many, one, strict=True):
        if ours["tokens"] != theirs["tokens"]:
            raise ValueError(f"{form}: {ours['tokens']} tokens at a rung where one process has {theirs['tokens']}")
        value, baseline = ours["upstream_cross_entropy"], theirs["upstream_cross_entropy"]
        label = f"upstream loss at {ours['pretraining_tokens']} tokens, {PROCESSES} processes, {form}, {precision}"
        results.add(label, value, "nats/token", baseline, value / baseline)


def updates(root: Path, results: Results, precision: str, form: str) -> None:
    """The baseline is one process run twice."""
    for rung in (LADDER[0], LADDER[-1]):
        most, share = distance(root, f"{form} {precision}", f"1 {precision}", rung)
        noise = distance(root, f"again {precision}", f"1 {precision}", rung)
        label = f"at {rung} tokens, {PROCESSES} processes against 1, {form}, {precision}"
        results.add(f"largest difference of a weight {label}", most, "absolute", noise[0], most / noise[0] if noise[0] else None)
        results.add(f"difference of weights {label}", share, "of the update", noise[1], share / noise[1] if noise[1] else None)


def compare_finetuning(root: Path, results: Results) -> None:
    for processes in (1, PROCESSES):
        names = {precision: f"tuned {processes} {precision}" for precision in PRECISIONS}
        together({name: finetuning(root, name, processes, p, f"1 {p}") for p, name in names.items()})
    for precision in PRECISIONS:
        with results.part(f"compare finetune {precision}"):
            one, many = (read_json(root / f"tuned {n} {precision}" / "curve.json")["replicas"] for n in (1, PROCESSES))
            for ours, theirs in zip(many, one, strict=True):
                value, baseline = ours["dev_cross_entropy"], theirs["dev_cross_entropy"]
                label = f"dev loss from the rung of {ours['pretraining_tokens']} tokens, {PROCESSES} processes, {precision}"
                results.add(label, value, "nats/token", baseline, value / baseline)


def worker(forms: list[str], batches: list[int], steps: int, output: Path) -> None:
    """One of the processes of a large model's steps; the first writes {form: {batch: (positions a second, GiB, parts)}}."""
    world, found = World.join(choose_device()), {}
    for form in forms:
        found[form] = speeds(form, batches, steps, world)
        if world.first:
            output.write_text(json.dumps(found))
    world.wait()
    if world.size > 1:
        torch.distributed.destroy_process_group()


def speeds(form: str, batches: list[int], steps: int, world: World) -> dict[int, tuple[float, float, int]]:
    shape = LARGE if GPUS else ModelSettings(size="tiny")
    vocabulary, length = (LARGE_VOCABULARY, LARGE_LENGTH) if GPUS else (512, 32)
    model = Transformer(shape, vocabulary)
    model.to(world.device)
    torch.manual_seed(SEED)
    for name, parameter in model.named_parameters():  # drawn on the device: the seeded draw on the host takes a while
        if not name.endswith("norm"):
            torch.nn.init.normal_(parameter.data, std=0.02)
    model.dtype = compute_type("auto", world.device)
    model.operations = operations_for(model)
    if form == "sharded" and world.size > 1:
        shard(model, world)
    step = Step(model, Optimiser(model, OptimiserSettings()), 0.0, world)
    one, rates = torch.zeros(1, dtype=torch.long, device=world.device), torch.full((1,), 1e-4, device=world.device)
    random, found = np.random.default_rng(SEED), {}
    for batch in batches:
        source, target = (random.integers(3, vocabulary - 100, (1, batch, length)) for _ in range(2))

        def call(source: np.ndarray = source, target: np.ndarray = target) -> None:
            step(source, target, streams=one, rates=rates, seeds=[SEED], step=1)

        if GPUS:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        seconds = seconds_a_call(call, steps, 3)
        peak = torch.cuda.max_memory_allocated() / 2**30 if GPUS else 0.0
        found[batch] = (2 * batch * length / seconds, peak, step.parts)
    return found


def throughput(root: Path, results: Results, steps: int) -> None:
    batches = sorted({SEQUENCES, SEQUENCES * PROCESSES})
    shape = "T5-770M, 512+512 positions" if GPUS else "tiny, 32+32 positions"
    one: dict[str, list[float]] = {}
    for processes, forms in ((1, ["copies"]), (PROCESSES, FORMS)):
        output = root / f"throughput {processes}.json"
        command = [*launcher(processes), Path(__file__).resolve(), "--worker", *forms, "--steps", steps, "--output", output]
        together({f"throughput of {processes}": [*command, "--batches", *batches]})
        for form, found in read_json(output).items():
            one = one or found
            name = "one process" if processes == 1 else f"{processes} processes, {form}"
            for batch, (rate, peak, parts) in found.items():
                label = f"{shape}, batch {batch} in {parts} part(s), {name}"
                baseline = one[batch][0] if processes > 1 else None
                results.add(f"positions a second, {label}", rate, "1/s", baseline, rate / baseline if baseline else None)
                if GPUS:
                    results.add(f"peak memory of a GPU, {label}", peak, "GiB")


def table(rows: list[dict]) -> None:
    for row in rows:
        baseline = f"{row['baseline']:14.6g}" if isinstance(row["baseline"], float) else " " * 14
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.6f}"
        print(f"{row['value']:14.6g} {baseline} {ratio:>12}  {row['figure']} [{row['unit']}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=220, help="start no part after this")
    parser.add_argument("--steps", type=int, default=8, help="measured steps of the large model")
    parser.add_argument("--worker", nargs="+", choices=FORMS, help=argparse.SUPPRESS)
    parser.add_argument("--batches", type=int, nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker, arguments.batches, arguments.steps, arguments.output)
        return
    from support.engine_data import build

    results = Results("engine_gpus", arguments.seconds)
    with tempfile.TemporaryDirectory() as name:
        root = build(Path(name) / "data")
        with results.part("pretrain"):
            compare_pretraining(root, results)
        with results.part("throughput"):
            throughput(root, results, arguments.steps)
        if results.in_time:
            with results.part("finetune"):
                compare_finetuning(root, results)
    table(results.rows)


if __name__ == "__main__":
    main()
