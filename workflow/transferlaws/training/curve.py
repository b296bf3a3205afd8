"""One curve: what its fine-tuning reads, and where its finished starts and its running state are kept."""

import argparse
import copy
import math
from pathlib import Path

import numpy as np

from transferlaws.errors import UserError
from transferlaws.files import check_sha256, read_json, sha256
from transferlaws.model.settings import ModelSettings
from transferlaws.tokens.batches import nested_subset
from transferlaws.tokens.vocabulary import Vocabulary
from transferlaws.training.device import choose_device
from transferlaws.training.distributed import World
from transferlaws.training.examples import Examples, open_examples
from transferlaws.training.settings import FinetuningSettings
from transferlaws.training.state import key, read_plain


class Curve:
    """All (seed, rung) starts of one curve."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.settings: FinetuningSettings = arguments.settings
        self.shape: ModelSettings = arguments.model
        self.vocabulary = Vocabulary.load(arguments.vocabulary)
        self.seeds: list[int] = arguments.seeds
        self.world = World.join(choose_device())
        self.device = self.world.device
        self.starts = self._starts()
        self.state = Path(arguments.state)
        names = {name: getattr(arguments, name) for name in ("model_name", "mixture", "task", "finetuning_size")}
        self.running = self.state / "running" / key(**names)
        train = open_examples(arguments.tokens, self.vocabulary, "train", self.settings.length)
        self.kind = "lm" if train.sources is None else "translation"
        self.train_sets = {seed: train.subset(self._indices(train, seed)) for seed in self.seeds}
        # one number for all seeds, also where equally many tokens are not equally many segments
        size = arguments.finetuning_size
        items = size if self.kind == "translation" else size * len(train) / train.targets.sizes.sum()
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
            return nested_subset(len(train), self.arguments.finetuning_size, seed)
        order = nested_subset(len(train), len(train), seed)
        tokens = np.cumsum(train.targets.sizes[order])
        if tokens[-1] < self.arguments.finetuning_size:
            raise UserError(
                f"fine-tuning size {self.arguments.finetuning_size} tokens is larger than the {tokens[-1]} of "
                f"{self.arguments.tokens}. Lower the size."
            )
        return order[: int(np.searchsorted(tokens, self.arguments.finetuning_size)) + 1]

    def with_rates(self, rates: list[float]) -> "Curve":
        """The same curve, trying these learning rates."""
        curve = copy.copy(self)
        curve.settings = self.settings.model_copy(update={"learning_rates": rates})
        return curve

    def finished(self, start: dict) -> Path:
        """Where a start's result is kept: a folder named by all that it depends on."""
        return (
            self.state
            / "finished"
            / key(
                start={"seed": start["seed"], "sha256": start["sha256"]},
                tokens=sha256(Path(self.arguments.tokens) / "index.json"),
                vocabulary=self.vocabulary.sha256,
                model=self.shape.model_dump(),
                settings=self.settings.model_dump(exclude={"state_seconds", "group"}),
                finetuning_size=self.arguments.finetuning_size,
                code=self.arguments.code,
            )
        )

    def pending(self) -> list[dict]:
        """The starts without a result, and all of a group that was killed while it was kept, so that the same ones go together."""
        claimed = {name for path in self.running.glob("*.safetensors") for name in read_plain(path).get("starts", [])}
        return [start for start in self.starts if self.finished(start).name in claimed or not self.is_finished(start)]

    def is_finished(self, start: dict) -> bool:
        """Whether an earlier run left a whole result; one that was damaged since is trained again."""
        folder = self.finished(start)
        if not (folder / "result.json").is_file():
            return False
        weights, result = folder / "model.safetensors", read_json(folder / "result.json")
        return weights.is_file() and sha256(weights) == result["sha256"]
