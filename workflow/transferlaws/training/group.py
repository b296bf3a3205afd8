"""A group of a curve's starts and their learning rates in lockstep: trained, then the best state of each start kept."""

import math
import shutil
import time
from pathlib import Path

import torch

from transferlaws.files import read_json, write_json
from transferlaws.model.checkpoint import copy_checkpoint, load_checkpoint, save_checkpoint
from transferlaws.model.transformer import Transformer
from transferlaws.progress import Progress
from transferlaws.training.curve import Curve
from transferlaws.training.lockstep import Lockstep, Replica
from transferlaws.training.log import Log, Utilisation
from transferlaws.training.state import Checkpointer, key, load_state, save_state
from transferlaws.training.step import compute_type, operations_for


def train_group(curve: Curve, starts: list[dict], name: str, place: int = 0) -> None:
    """Train a group of `curve.starts`, or go on from its state; `name` and `place` (a line) are for the display.

    Learning rates that cannot go together are tried one after another.
    """
    together = curve.settings.rates_together()
    if len(together) == 1:
        _train(curve, starts, name, place)
        return
    parts = [curve.with_rates(rates) for rates in together]
    for start in starts:
        for number, part in enumerate(parts, 1):
            if not part.is_finished(start):
                _train(part, [start], f"{name}, rates {number}/{len(parts)}", place)
        _keep_best(curve.finished(start), [part.finished(start) for part in parts])


def _keep_best(folder: Path, parts: list[Path]) -> None:
    """The result of a start, of those with some of its learning rates each; these are removed."""
    results = [read_json(part / "result.json") for part in parts]
    losses = [math.inf if result["dev_cross_entropy"] is None else result["dev_cross_entropy"] for result in results]
    best = losses.index(min(losses))
    copy_checkpoint(parts[best], folder)
    every = {rate: loss for result in results for rate, loss in result["learning_rates"].items()}
    write_json(folder / "log.json", [line for part in parts for line in read_json(part / "log.json")])
    write_json(folder / "result.json", results[best] | {"learning_rates": every})
    for part in parts:
        shutil.rmtree(part)


def _train(curve: Curve, starts: list[dict], name: str, place: int) -> None:
    """All learning rates of the starts in lockstep."""
    rates = curve.settings.learning_rates
    replicas = [Replica(s["seed"], s["pretraining_tokens"], rate) for s in starts for rate in rates]
    model = Transformer(curve.shape, curve.vocabulary.size, len(replicas))
    for index, start in enumerate(start for start in starts for _ in rates):
        if start["folder"] is None:
            model.initialise(index, start["seed"])
        else:
            load_checkpoint(model, index, start["folder"])
    model.to(curve.device)
    model.dtype = compute_type(curve.settings.precision, curve.device)
    model.operations = operations_for(model)
    seeds = {start["seed"]: curve.train_sets[start["seed"]] for start in starts}
    lockstep = Lockstep(model, replicas, seeds, curve.dev, curve.settings, curve.batches)
    names = [curve.finished(start).name for start in starts]
    path = curve.running / f"{key(starts=names)}.safetensors"
    loaded, log = load_state(path), Log(f"{curve.arguments.mixture} {curve.arguments.task} {curve.arguments.finetuning_size}")
    if loaded is not None:
        lockstep.restore(*loaded)
        log.lines = loaded[1]["log"]
    label = f"finetune {curve.arguments.mixture} {curve.arguments.task} {curve.arguments.finetuning_size} {name}"
    with (
        Progress(label, lockstep.total * len(replicas), "steps", place) as progress,
        Checkpointer(curve.settings.state_seconds) as saves,
    ):
        done = sum(r.steps for r in replicas if r.status != "running") + lockstep.number * len(lockstep.active)
        progress.resume(done)

        utilisation, start = Utilisation(curve.device), time.monotonic()

        def after_step(evaluated: bool) -> None:
            note = ""
            if evaluated:
                rate = lockstep.tokens / (time.monotonic() - start)
                share = utilisation.since(lockstep.flops)
                _record(log, lockstep, {"target_tokens_per_second": rate, "mfu": share, "padding": lockstep.stepper.padding})
                note = f"{rate:,.0f} target tokens/s" + (f", MFU {share:.1%}" if share else "")
            progress.update(len(lockstep.active), note)
            if saves.due() or lockstep.ended:
                save_state(path, lockstep.tensors(), lockstep.plain() | {"log": log.lines, "starts": names})
                saves.stop_if_asked()

        lockstep.run(after_step)
    _keep(curve, lockstep, starts, log.lines)
    path.unlink(missing_ok=True)  # until then all of the group counts as unfinished


def _keep(curve: Curve, lockstep: Lockstep, starts: list[dict], log: list[dict]) -> None:
    """Choose each start's learning rate by dev loss and store its best state where later runs find it."""
    model = Transformer(curve.shape, curve.vocabulary.size, 1)
    many = len(curve.settings.learning_rates)
    for number, start in enumerate(starts):
        replicas = lockstep.replicas[number * many : (number + 1) * many]
        chosen = min(range(many), key=lambda i: replicas[i].best if replicas[i].status == "ok" else float("inf"))
        best = replicas[chosen]
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter[0].copy_(lockstep.best[name][number * many + chosen])
        folder = curve.finished(start)
        digest = save_checkpoint(model, 0, folder)
        losses = {repr(r.learning_rate): r.best if r.status == "ok" else None for r in replicas}
        result = {
            "learning_rate": best.learning_rate,
            "learning_rates": losses,
            "status": best.status,
            "best_step": best.best_step,
            "steps": best.steps,
            "stopped": best.stopped,
            "dev_cross_entropy": best.best if best.status == "ok" else None,
            "sha256": digest,
        }
        write_json(folder / "log.json", [line for line in log if line["start"] == number])
        write_json(folder / "result.json", result)  # last: its presence says that the start is finished


def _record(log: Log, lockstep: Lockstep, speed: dict[str, float | None]) -> None:
    """A log line for every replica that was just evaluated."""
    many = len(lockstep.settings.learning_rates)
    for index, replica in enumerate(lockstep.replicas):
        if replica.steps == lockstep.number:
            line = {
                "start": index // many,  # which of the group's (seed, rung)
                "learning_rate": replica.learning_rate,
                "step": replica.steps,
                "status": replica.status,
                "dev_cross_entropy": replica.last if math.isfinite(replica.last) else None,
                **speed,
            }
            log.add(replica.steps, line, f"seed {replica.seed} rung {replica.pretraining_tokens} rate {replica.learning_rate}")
