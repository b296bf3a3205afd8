"""Stage: one curve -> the best fine-tuned state of every (seed, rung), its learning rate chosen on dev."""

import argparse
import json
import math
import shutil
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from transferlaws.errors import UserError
from transferlaws.files import check_sha256, exclusive, read_json, sha256, write_json
from transferlaws.model.checkpoint import load_checkpoint, save_checkpoint
from transferlaws.model.settings import ModelSettings
from transferlaws.model.transformer import Transformer
from transferlaws.progress import Progress
from transferlaws.tokens.batches import nested_subset
from transferlaws.tokens.vocabulary import Vocabulary
from transferlaws.training.device import choose_device
from transferlaws.training.distributed import World
from transferlaws.training.examples import Examples, open_examples
from transferlaws.training.launch import spread
from transferlaws.training.lockstep import Lockstep, Replica
from transferlaws.training.log import Log, Utilisation, write_lines
from transferlaws.training.settings import FinetuningSettings
from transferlaws.training.state import Checkpointer, key, load_state, save_state
from transferlaws.training.step import compute_type, operations_for

CPU_GROUP = 12  # replicas at once on a CPU: enough to share the cost of a step's bookkeeping, little memory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the stage."""
    parser.add_argument("--tokens", required=True, metavar="DIR", help="token shards of the task's bitext or corpus")
    parser.add_argument(
        "--trajectory", action="append", default=[], metavar="FILE", help="trajectory.json, one a seed; none: scratch"
    )
    parser.add_argument("--vocabulary", required=True, metavar="DIR")
    parser.add_argument("--model", required=True, metavar="JSON", help="the model's settings")
    parser.add_argument("--name-model", default="", metavar="NAME")
    parser.add_argument("--settings", required=True, metavar="JSON", help="the fine-tuning settings")
    parser.add_argument("--size", required=True, type=int, help="D_f: pairs, or tokens of an lm task")
    parser.add_argument("--seeds", required=True, metavar="JSON", help="list of seeds")
    parser.add_argument("--task", required=True, metavar="NAME")
    parser.add_argument("--mixture", required=True, metavar="NAME")
    parser.add_argument("--state", required=True, metavar="DIR", help="where finished replicas and resumable state live")
    parser.add_argument("--output", required=True, metavar="DIR")
    parser.add_argument("--code", default="", help="fingerprint of the stage's code: state made by other code is not used")


def run(arguments: argparse.Namespace) -> None:
    """Fine-tune what is not finished yet, then write the outputs."""
    spread()
    curve = Curve(arguments)
    with exclusive(curve.running / "lock") if curve.world.first else nullcontext():
        curve.world.wait()
        curve.train()


class Curve:
    """All (seed, rung) starts of one curve."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.settings = FinetuningSettings.model_validate_json(arguments.settings)
        self.shape = ModelSettings.model_validate_json(arguments.model)
        self.vocabulary = Vocabulary.load(arguments.vocabulary)
        self.seeds: list[int] = json.loads(arguments.seeds)
        self.world = World.join(choose_device())
        self.device = self.world.device
        self.starts = self._starts()
        self.state = Path(arguments.state)
        names = {name: getattr(arguments, name) for name in ("name_model", "mixture", "task", "size")}
        self.running = self.state / "running" / key(**names)
        train = open_examples(arguments.tokens, self.vocabulary, "train", self.settings.length)
        self.kind = "lm" if train.sources is None else "translation"
        self.train_sets = {seed: train.subset(self._indices(train, seed)) for seed in self.seeds}
        # one number for all seeds, also where equally many tokens are not equally many segments
        items = self.arguments.size if self.kind == "translation" else self.arguments.size * len(train) / train.targets.sizes.sum()
        self.batches = min(max(math.ceil(items / self.settings.batch), 1), *map(len, self.train_sets.values()))
        dev = open_examples(arguments.tokens, self.vocabulary, "dev", self.settings.length)
        self.dev = dev.subset(np.arange(min(len(dev), self.settings.dev_items)))

    def _starts(self) -> list[dict]:
        """Where each (seed, rung) starts: a checkpoint folder, or None for random weights."""
        if not self.arguments.trajectory:
            return [
                {"seed": seed, "pretraining_tokens": 0, "folder": None, "sha256": None, "pretraining": None} for seed in self.seeds
            ]
        starts = []
        for path in map(Path, self.arguments.trajectory):
            trajectory = read_json(path)
            if trajectory["seed"] not in self.seeds:
                raise UserError(f"{path}: seed {trajectory['seed']} is not among --seeds {self.seeds}.")
            for rung in trajectory["rungs"]:
                folder = path.parent / rung["path"]
                check_sha256(folder / "model.safetensors", rung["sha256"], path)
                start = {"seed": trajectory["seed"], "pretraining_tokens": rung["pretraining_tokens"]}
                starts.append(start | {"folder": str(folder), "sha256": rung["sha256"], "pretraining": rung})
        return sorted(starts, key=lambda start: (self.seeds.index(start["seed"]), start["pretraining_tokens"]))

    def _indices(self, train: Examples, seed: int) -> np.ndarray:
        """The seed's nested subset: `size` pairs, or as many segments as hold `size` tokens."""
        if self.kind == "translation":
            return nested_subset(len(train), self.arguments.size, seed)
        order = nested_subset(len(train), len(train), seed)
        tokens = np.cumsum(train.targets.sizes[order])
        if tokens[-1] < self.arguments.size:
            raise UserError(
                f"fine-tuning size {self.arguments.size} tokens is larger than the {tokens[-1]} of {self.arguments.tokens}. "
                "Lower the size."
            )
        return order[: int(np.searchsorted(tokens, self.arguments.size)) + 1]

    def _finished(self, start: dict) -> Path:
        return (
            self.state
            / "finished"
            / key(
                start={"seed": start["seed"], "sha256": start["sha256"]},
                tokens=sha256(Path(self.arguments.tokens) / "index.json"),
                vocabulary=self.vocabulary.sha256,
                model=self.shape.model_dump(),
                settings=self.settings.model_dump(exclude={"state_seconds", "group"}),
                size=self.arguments.size,
                code=self.arguments.code,
            )
        )

    def _is_finished(self, start: dict) -> bool:
        """Whether an earlier run left a whole result; one that was damaged since is trained again."""
        folder = self._finished(start)
        if not (folder / "result.json").is_file():
            return False
        weights, result = folder / "model.safetensors", read_json(folder / "result.json")
        return weights.is_file() and sha256(weights) == result["sha256"]

    def train(self) -> None:
        """Train the starts that no earlier run has finished, group by group; under torchrun, each process takes a share of them."""
        pending = [start for start in self.starts if not self._is_finished(start)]
        pending = pending[self.world.rank :: self.world.size]
        size = self.settings.group or (CPU_GROUP if self.device.type == "cpu" else len(pending) * len(self.settings.learning_rates))
        many = max(size // len(self.settings.learning_rates), 1)
        for first in range(0, len(pending), many):
            self._train_group(pending[first : first + many], f"{first // many + 1}/{-(-len(pending) // many)}")
        self.world.wait()
        if self.world.first:
            self._write()

    def _train_group(self, starts: list[dict], position: str) -> None:
        rates = self.settings.learning_rates
        replicas = [Replica(s["seed"], s["pretraining_tokens"], rate) for s in starts for rate in rates]
        model = Transformer(self.shape, self.vocabulary.size, len(replicas))
        for index, start in enumerate(start for start in starts for _ in rates):
            if start["folder"] is None:
                model.initialise(index, start["seed"])
            else:
                load_checkpoint(model, index, start["folder"])
        model.to(self.device)
        model.dtype = compute_type(self.settings.precision, self.device)
        model.operations = operations_for(model)
        seeds = {start["seed"]: self.train_sets[start["seed"]] for start in starts}
        lockstep = Lockstep(model, replicas, seeds, self.dev, self.settings, self.batches)
        path = self.running / f"{key(starts=[self._finished(start).name for start in starts])}.safetensors"
        loaded, log = load_state(path), Log(f"{self.arguments.mixture} {self.arguments.task} {self.arguments.size}")
        if loaded is not None:
            lockstep.restore(*loaded)
            log.lines = loaded[1]["log"]
        label = f"finetune {self.arguments.mixture} {self.arguments.task} {self.arguments.size} group {position}"
        with (
            Progress(label, lockstep.total * len(replicas), "steps") as progress,
            Checkpointer(self.settings.state_seconds) as saves,
        ):
            done = sum(r.steps for r in replicas if r.status != "running") + lockstep.number * len(lockstep.active)
            progress.resume(done)

            utilisation, start = Utilisation(self.device), time.monotonic()

            def after_step(evaluated: bool) -> None:
                note = ""
                if evaluated:
                    rate = lockstep.tokens / (time.monotonic() - start)
                    share = utilisation.since(lockstep.flops)
                    _record(log, lockstep, {"target_tokens_per_second": rate, "mfu": share, "padding": lockstep.stepper.padding})
                    note = f"{rate:,.0f} target tokens/s" + (f", MFU {share:.1%}" if share else "")
                progress.update(len(lockstep.active), note)
                if saves.due():
                    save_state(path, lockstep.tensors(), lockstep.plain() | {"log": log.lines})
                    saves.stop_if_asked()

            lockstep.run(after_step)
        self._keep(lockstep, starts, log.lines)
        path.unlink(missing_ok=True)

    def _keep(self, lockstep: Lockstep, starts: list[dict], log: list[dict]) -> None:
        """Choose each start's learning rate by dev loss and store its best state where later runs find it."""
        model = Transformer(self.shape, self.vocabulary.size, 1)
        many = len(self.settings.learning_rates)
        for number, start in enumerate(starts):
            replicas = lockstep.replicas[number * many : (number + 1) * many]
            chosen = min(range(many), key=lambda i: replicas[i].best if replicas[i].status == "ok" else float("inf"))
            best = replicas[chosen]
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    parameter[0].copy_(lockstep.best[name][number * many + chosen])
            folder = self._finished(start)
            digest = save_checkpoint(model, 0, folder)
            losses = {repr(r.learning_rate): r.best if r.status == "ok" else None for r in replicas}
            result = {
                "learning_rate": best.learning_rate,
                "learning_rates": losses,
                "status": best.status,
                "best_step": best.best_step,
                "steps": best.steps,
                "dev_cross_entropy": best.best if best.status == "ok" else None,
                "sha256": digest,
            }
            write_json(folder / "log.json", [line for line in log if line["start"] == number])
            write_json(folder / "result.json", result)  # last: its presence says that the start is finished

    def _set_size(self, seed: int) -> dict:
        """The fine-tuning set in every unit."""
        examples = self.train_sets[seed]
        source = 0 if examples.sources is None else examples.sources.sizes + 1
        flops = self.shape.flops(source, examples.targets.sizes + 1, 1, self.vocabulary.size).sum() / self.batches
        return {
            "pairs": len(examples) if self.kind == "translation" else None,
            "tokens": int(examples.targets.sizes.sum()),
            "positions": int(examples.lengths.sum()),
            "characters": sum(map(len, self.vocabulary.decode(examples.target_ids()))),
            "flops_a_step": float(flops),
        }

    def _write(self) -> None:
        output = Path(self.arguments.output)
        sizes = {seed: self._set_size(seed) for seed in self.seeds}
        rows, log = [], []
        for start in self.starts:
            finished = self._finished(start)
            result = read_json(finished / "result.json")
            path = f"seed_{start['seed']}/rung_{start['pretraining_tokens']}"
            (output / path).mkdir(parents=True, exist_ok=True)
            for file in ("config.json", "model.safetensors"):
                shutil.copyfile(finished / file, output / path / file)
            check_sha256(output / path / "model.safetensors", result["sha256"], finished / "result.json")
            names = {"seed": start["seed"], "pretraining_tokens": start["pretraining_tokens"]}
            log += [names | line for line in read_json(finished / "log.json")]
            size = dict(sizes[start["seed"]])
            counts = {"epochs": result["best_step"] / self.batches, "flops": result["best_step"] * size.pop("flops_a_step")}
            row = {
                "seed": start["seed"],
                "pretraining_tokens": start["pretraining_tokens"],
                **result,
                **counts,
                **size,
                "path": path,
            }
            rows.append(row | {"pretraining": start["pretraining"]})
        write_lines(output / "log.jsonl", log)
        write_json(
            output / "curve.json",
            {
                "model": self.arguments.name_model,
                "mixture": self.arguments.mixture,
                "task": self.arguments.task,
                "kind": self.kind,
                "finetuning_size": self.arguments.size,
                "shape": self.shape.model_dump(),
                "parameters_total": self.shape.parameters_total(self.vocabulary.size),
                "parameters_non_embedding": self.shape.parameters_non_embedding,
                "replicas": rows,
                "settings": self.settings.model_dump(),
            },
        )


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
