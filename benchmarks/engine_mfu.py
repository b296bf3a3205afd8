"""Model FLOP utilisation of training steps, as a share of the bf16 matrix rate measured in the same run; and where the time goes.

python benchmarks/engine_mfu.py [--seconds 240]
"""

import argparse

import numpy as np
import torch
from engine_common import SHAPES, VOCABULARY, Results, device, full_pairs, matrix_rate, seconds_a_call, synchronise
from engine_curve import BATCH, LENGTH, RUNGS, lockstep

from transferlaws.model.settings import ModelSettings
from transferlaws.model.transformer import Transformer
from transferlaws.training.optimisers import Optimiser
from transferlaws.training.settings import OptimiserSettings
from transferlaws.training.step import Step, compute_type, operations_for

LARGE = ModelSettings(size="T5-770M")
LARGE_VOCABULARY, LARGE_LENGTH = 32128, 512


def profile(step, label: str, results: Results) -> None:
    """The kernels of one step, longest first, beside the results."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as found:
        step()
        synchronise()
    key = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    table = found.key_averages().table(sort_by=key, row_limit=30, max_name_column_width=90)
    results.path.with_name(f"engine_profile_{label}.txt").write_text(table)
    print(table[-6000:], flush=True)


def small(size: int, results: Results, rate: float) -> None:
    run = lockstep(SHAPES[size], full_pairs(1280, LENGTH))
    for _ in range(4):
        run._step()
    step = seconds_a_call(run._step, 60, 3)
    flops = RUNGS * SHAPES[size].flops(LENGTH, LENGTH, BATCH, VOCABULARY)
    results.add(f"MFU, d={size}, 8 replicas, batch 64 x (64+64)", 100 * flops / step / rate, "%", 100.0, flops / step / rate)
    profile(run._step, f"d{size}", results)


def large(batch: int, results: Results, rate: float) -> None:
    model = Transformer(LARGE, LARGE_VOCABULARY)
    model.to(device())
    for name, parameter in model.named_parameters():  # drawn on the device: the seeded draw on the host takes a while
        if not name.endswith("norm"):
            torch.nn.init.normal_(parameter.data, std=0.02)
    model.dtype = compute_type("auto", device())
    model.operations = operations_for(model)
    step = Step(model, Optimiser(model, OptimiserSettings()), 0.0)
    random = np.random.default_rng(0)
    source, target = (random.integers(3, LARGE_VOCABULARY - 200, (1, batch, LARGE_LENGTH)) for _ in range(2))
    one, rates = torch.zeros(1, dtype=torch.long, device=device()), torch.full((1,), 1e-4, device=device())

    def call() -> None:
        step(source, target, streams=one, rates=rates, seeds=[1], step=1)

    time = seconds_a_call(call, 8, 3)
    flops = LARGE.flops(LARGE_LENGTH, LARGE_LENGTH, batch, LARGE_VOCABULARY)
    label = f"T5-770M, batch {batch} x (512+512), in {step.parts} part(s)"
    results.add(f"MFU, {label}", 100 * flops / time / rate, "%", 100.0, flops / time / rate)
    if torch.cuda.is_available():
        results.add(f"peak memory, {label}", torch.cuda.max_memory_allocated() / 2**30, "GiB")
        torch.cuda.reset_peak_memory_stats()
    profile(call, f"T5-770M_{batch}", results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=240, help="start no part after this")
    parser.add_argument("--batches", type=int, nargs="+", default=[48, 64], help="sequences of the T5-770M step")
    arguments = parser.parse_args()
    results = Results("engine_mfu", arguments.seconds)
    rate = matrix_rate()
    results.add("bf16 matrix rate, 8192 x 8192", rate / 1e12, "TFLOP/s")
    for batch in arguments.batches:
        with results.part(f"T5-770M, batch {batch}"):
            large(batch, results, rate)
    for size in (512, 256, 128):
        if results.in_time:
            with results.part(f"d={size}"):
                small(size, results, rate)


if __name__ == "__main__":
    main()
