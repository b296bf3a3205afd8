"""Runs per GPU-hour of one transfer curve: 8 rungs in lockstep against `transformers`, one run after another, on the same data.

python benchmarks/engine_curve.py [--sizes 128 256 512] [--seconds 240]
"""

import argparse
import tempfile
import time

import numpy as np
import torch
from engine_common import SHAPES, VOCABULARY, Results, device, full_pairs, hugging_face, natural_pairs, seconds_a_call, synchronise

from transferlaws.model.settings import ModelSettings
from transferlaws.model.transformer import Transformer
from transferlaws.training.examples import Examples
from transferlaws.training.lockstep import Lockstep, Replica
from transferlaws.training.settings import FinetuningSettings
from transferlaws.training.step import compute_type, operations_for

RUNGS, BATCH, LENGTH, PAIRS = 8, 64, 64, 6400


def lockstep(shape: ModelSettings, data: Examples, replicas: int = RUNGS) -> Lockstep:
    """A curve's lockstep run, as the finetune stage builds it, with no end in sight."""
    model = Transformer(shape, VOCABULARY, replicas)
    for replica in range(replicas):
        model.initialise(replica, 1)
    model.to(device())
    model.dtype = compute_type("auto", device())
    model.operations = operations_for(model)
    settings = FinetuningSettings(batch=BATCH, max_steps=10**6, max_epochs=10**6, evaluations=1, warmup=0.0, length=LENGTH)
    runs = [Replica(1, rung, 1e-3) for rung in range(replicas)]
    return Lockstep(model, runs, {1: data}, data.subset(np.arange(64)), settings, -(-len(data) // BATCH))


def our_step(shape: ModelSettings, data: Examples, replicas: int = RUNGS, steps: int = 200) -> tuple[float, float]:
    """Seconds a lockstep step, batches made on the host included; and what an epoch takes longer while kernels are compiled and
    the forms of batches are captured.
    """
    run = lockstep(shape, data, replicas)
    start = time.perf_counter()
    first = 2 * run.batches_an_epoch
    for _ in range(first):
        run._step()
    synchronise()
    begun = time.perf_counter() - start
    result = seconds_a_call(run._step, steps, 5)
    assert bool(run.finite.all()), "a replica diverged"
    return result, begun - first * result


def their_batches(data: Examples, width: int | None) -> list[dict[str, torch.Tensor]]:
    """Random batches padded to their longest member, or to `width`, on the device."""
    order = np.random.default_rng(0).permutation(len(data))
    batches = []
    for start in range(0, len(data) - BATCH + 1, BATCH):
        indices = order[start : start + BATCH]
        source, target = data.batch(indices, None if width is None else (BATCH, width, width))
        source, target = torch.from_numpy(source).to(device()), torch.from_numpy(target).to(device())
        batches.append(
            {"input_ids": source, "attention_mask": (source != 0).long(), "labels": target.masked_fill(target == 0, -100)}
        )
    return batches


def their_loop(shape: ModelSettings, data: Examples, *, compiled: bool, steps: int) -> float:
    """Seconds a step of a plain bf16 training loop with the fused AdamW; compiled: one fixed shape."""
    model = hugging_face(shape).to(device())
    forward = torch.compile(model, dynamic=False) if compiled else model
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=torch.cuda.is_available())
    batches = their_batches(data, LENGTH if compiled else None)
    number = 0

    def step() -> None:
        nonlocal number
        with torch.autocast(device().type, torch.bfloat16):
            loss = forward(**batches[number % len(batches)]).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        number += 1

    return seconds_a_call(step, steps, 8)


def their_trainer(shape: ModelSettings, data: Examples, steps: int) -> float:
    """Seconds a step of `Seq2SeqTrainer` in bf16, as it comes: dynamic padding, its own data loader."""
    import transformers

    rows = [{"input_ids": s.tolist(), "attention_mask": [1] * len(s), "labels": t.tolist()} for s, t in _ids(data)]

    def collate(items: list[dict]) -> dict[str, torch.Tensor]:
        result = {}
        for name, fill in (("input_ids", 0), ("attention_mask", 0), ("labels", -100)):
            width = max(len(item[name]) for item in items)
            result[name] = torch.tensor([item[name] + [fill] * (width - len(item[name])) for item in items])
        return result

    times: list[float] = []

    class Clock(transformers.TrainerCallback):
        def on_step_end(self, *_: object, **__: object) -> None:
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.Seq2SeqTrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            max_steps=steps + 10,
            bf16=torch.cuda.is_available(),
            learning_rate=1e-3,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            logging_steps=10**6,
        )
        trainer = transformers.Seq2SeqTrainer(
            model=hugging_face(shape), args=arguments, train_dataset=rows, data_collator=collate, callbacks=[Clock()]
        )
        trainer.train()
    synchronise()
    return (times[-1] - times[9]) / (len(times) - 10)


def _ids(data: Examples) -> list[tuple[np.ndarray, np.ndarray]]:
    source, target = data.batch(np.arange(len(data)))
    return [(s[: n + 1], t[: m + 1]) for s, t, n, m in zip(source, target, data.sources.sizes, data.targets.sizes, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--seconds", type=float, default=240, help="start no part after this")
    parser.add_argument("--steps", type=int, default=40, help="steps of each of the others' loops")
    arguments = parser.parse_args()
    results = Results("engine_curve", arguments.seconds)
    kinds = {"natural": natural_pairs(PAIRS, LENGTH), "full": full_pairs(PAIRS, LENGTH)}
    text = {"full": "64+64 tokens a pair", "natural": "natural lengths, median 9"}
    hourly: dict[tuple[str, int], float] = {}
    for kind, data in kinds.items():
        for size in arguments.sizes:
            with results.part(f"ours d={size} {kind}"):
                step, ready = our_step(SHAPES[size], data)
                hourly[kind, size] = RUNGS / step
                results.add(f"lockstep step, 8 replicas, d={size}, {text[kind]}", 1e3 * step, "ms")
                results.add(f"compiling kernels and capturing graphs, d={size}, {text[kind]}", ready, "s")
    # a curve's runs need equally many steps in both, so run-steps a second compare runs an hour
    others = [
        ("Trainer", 128),
        ("eager loop", 512),
        ("Trainer", 256),
        ("compiled loop", 128),
        ("eager loop", 128),
        ("eager loop", 256),
    ]
    for name, size in others:
        for kind, data in kinds.items():
            ours = hourly.get((kind, size))
            if ours is None or not results.in_time:
                continue
            with results.part(f"{name} d={size} {kind}"):
                if name == "Trainer":
                    step = their_trainer(SHAPES[size], data, arguments.steps)
                else:
                    step = their_loop(SHAPES[size], data, compiled=name == "compiled loop", steps=arguments.steps)
                results.add(
                    f"run-steps a second against transformers' {name}, d={size}, {text[kind]}", ours, "1/s", 1 / step, ours * step
                )
    if results.in_time:
        with results.part("ours R=1, 32 d=128 full"):
            for replicas in (1, 32):
                step, _ = our_step(SHAPES[128], kinds["full"], replicas, 100)
                results.add(f"lockstep step, {replicas} replicas, d=128, {text['full']}", 1e3 * step, "ms")


if __name__ == "__main__":
    main()
