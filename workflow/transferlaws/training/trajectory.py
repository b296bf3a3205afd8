"""One pretraining run: the trunk, its rungs and decay branches, its resumable state."""

from pathlib import Path

import numpy as np
import torch

from transferlaws.errors import UserError
from transferlaws.files import sha256, write_json
from transferlaws.model.checkpoint import copy_checkpoint, save_checkpoint
from transferlaws.model.transformer import Transformer
from transferlaws.progress import Progress
from transferlaws.seeding import generator
from transferlaws.tokens.batches import TextBatch
from transferlaws.tokens.objectives import Example, corrupt
from transferlaws.training.distributed import World, gather, scatter, shard
from transferlaws.training.log import Log, Utilisation, write_lines
from transferlaws.training.mixture_text import MixtureText, Pretraining
from transferlaws.training.optimisers import Optimiser
from transferlaws.training.prefetch import Prefetcher
from transferlaws.training.schedules import decay_factor, trunk_factor
from transferlaws.training.state import Checkpointer, load_state, save_state
from transferlaws.training.step import Step, compute_type, operations_for, summed_losses

LOG_EVERY = 20  # steps


class TrajectoryRun:
    """One pretraining run and its resumable state."""

    def __init__(self, asked: Pretraining, text: MixtureText, world: World) -> None:
        self.asked, self.settings, self.shape = asked, asked.settings, asked.model
        self.text, self.vocabulary, self.ladder = text, text.vocabulary, text.ladder
        self.batches = Prefetcher(text.stream, self._example)
        self.world, self.device = world, world.device
        self.model = Transformer(self.shape, self.vocabulary.size)
        self.model.initialise(0, asked.seed)
        self.model.to(self.device)
        self.model.dtype = compute_type(self.settings.precision, self.device)
        self.model.operations = operations_for(self.model)
        if self.settings.sharded and self.world.size > 1:
            shard(self.model, self.world)
        self.optimiser = Optimiser(self.model, self.settings.optimiser)
        self.step = Step(self.model, self.optimiser, self.settings.dropout, self.world)
        self.streams = torch.zeros(1, dtype=torch.long, device=self.device)
        self.finite = torch.ones(1, dtype=torch.bool, device=self.device)
        self.counts = {"steps": 0, "tokens": 0, "positions": 0, "flops": 0.0}
        self.rungs: list[dict] = []
        self.log = Log(f"{asked.model_name} {asked.mixture} seed_{asked.seed}")
        self.utilisation = Utilisation(self.device)
        self.state = asked.state / text.key

    def train(self) -> None:
        """Take steps until the last rung, then write the outputs."""
        self._restore()
        label = f"pretrain {self.asked.mixture} seed {self.asked.seed}"
        with Progress(label, self.ladder[-1], "tokens") as progress, Checkpointer(self.settings.state_seconds) as saves:
            progress.resume(self.counts["tokens"])
            while not {rung["pretraining_tokens"] for rung in self.rungs}.issuperset(self.ladder):
                before = self.counts["tokens"]
                loss = self._take(trunk_factor(self.settings.schedule, self.counts["steps"] + 1, self.settings.warmup_steps))
                progress.update(self.counts["tokens"] - before, self._note(loss, progress))
                self._reach_rungs(saves)
                if self.world.any(saves.due()):
                    self._save()
                    self._stop_if_asked(saves)
            self._check_finite()
            self._save()
        if self.world.first:
            self._write()
        self.world.wait()

    def _stop_if_asked(self, saves: Checkpointer) -> None:
        if self.world.any(bool(saves.asked)):
            saves.stop()

    def _take(self, factor: float) -> torch.Tensor:
        batch, example = self.batches.take(self.counts["steps"])
        rate = torch.full((1,), self.settings.learning_rate * factor, device=self.device)
        source = None if example.source is None else example.source[None]
        loss, norm = self.step(
            source, example.target[None], streams=self.streams, rates=rate, seeds=[self.asked.seed], step=self.counts["steps"]
        )
        source, target = (0 if ids is None else (ids != 0).sum(1) for ids in example)
        self.counts["steps"] += 1
        self.counts["tokens"] += batch.text_tokens
        self.counts["positions"] += int(np.sum(source + target))
        self.counts["flops"] += float(self.shape.flops(source, target, 1, self.vocabulary.size).sum())
        self.finite &= torch.isfinite(norm)
        return loss

    def _check_finite(self) -> None:
        if not bool(self.finite.all()):
            raise UserError(
                f"pretraining {self.asked.mixture}, seed {self.asked.seed}: the gradient is not finite at step "
                f"{self.counts['steps']}. Lower pretraining.learning_rate (now {self.settings.learning_rate}) or raise "
                "its warmup_steps."
            )

    def _example(self, batch: TextBatch, number: int, name: str = "corruption") -> Example:
        """Mask a batch."""
        return corrupt(
            self.settings.objective,
            batch.tokens,
            batch.lengths,
            density=self.settings.mask_density,
            mean_span=self.settings.mean_span,
            sentinels=self.vocabulary.sentinel_ids,
            random=generator(self.asked.seed if name == "corruption" else 0, name, number),
        )

    def _note(self, loss: torch.Tensor, progress: Progress) -> str:
        if self.counts["steps"] % LOG_EVERY:
            return ""
        self._check_finite()
        value = float(loss)
        share = self.utilisation.since(self.counts["flops"])
        self.log.add(
            self.counts["tokens"],
            {**self.counts, "loss": value, "tokens_per_second": progress.rate, "mfu": share, "padding": self.step.padding},
        )
        return f"loss {value:.3f}" + (f", MFU {share:.1%}" if share else "")

    def upstream_cross_entropy(self) -> float:
        """Validation loss of the objective, nats a target token; the masks are the same for every trajectory."""
        nats, tokens = 0.0, 0
        for number, batch in enumerate(self.text.validation):
            example = self._example(batch, number, "validation")
            nats += float(summed_losses(self.model, example.source, example.target).double().sum())
            tokens += int((example.target != 0).sum())
        if self.step.sharded:  # gathered parameters would outlive a change of the sharded ones
            self.model.reshard()
        return nats / tokens

    def _reach_rungs(self, saves: Checkpointer) -> None:
        share = self.settings.anneal_share
        for rung in self.ladder:
            reached = any(done["pretraining_tokens"] == rung for done in self.rungs)
            if reached or self.counts["tokens"] < rung * (1 - share):
                continue
            if share:
                self._branch(rung, saves)
            else:
                self._keep(rung, annealed=False)

    def _branch(self, rung: int, saves: Checkpointer) -> None:
        """Leave the trunk, decay to 0 until `rung` tokens, keep the rung, return. A branch cut short is taken again."""
        self._save()
        trunk = {name: gather(tensor).detach().clone() for name, tensor in self._tensors().items()}
        counts, stream = dict(self.counts), self.batches.place
        start, peak = self.counts["tokens"], trunk_factor(self.settings.schedule, self.counts["steps"], self.settings.warmup_steps)
        while self.counts["tokens"] < rung:
            self._take(peak * decay_factor((self.counts["tokens"] - start) / max(rung - start, 1)))
            self._stop_if_asked(saves)
        self._keep(rung, annealed=True)
        self._load(trunk)
        self.counts = counts
        self.batches.rewind(stream)

    def _keep(self, rung: int, *, annealed: bool) -> None:
        self._check_finite()
        folder = f"rung_{rung}"
        digest = self._save_weights(self.state / folder)
        self.rungs.append(
            {
                "pretraining_tokens": rung,
                "tokens": self.counts["tokens"],
                "steps": self.counts["steps"],
                "positions": self.counts["positions"],
                "characters": round(self.text.stream.characters(self.counts["tokens"])),
                "unique_tokens": self.text.stream.unique_tokens(self.batches.place["drawn"]),
                "epochs": self.text.stream.epochs(self.batches.place["drawn"]),
                "flops": self.counts["flops"],
                "upstream_cross_entropy": self.upstream_cross_entropy(),
                "annealed": annealed,
                "path": folder,
                "sha256": digest,
            }
        )

    def _save_weights(self, folder: Path) -> str:
        """Save the master weights; returns their SHA-256. A sharded model is gathered; only the first process writes."""
        model = self.model
        if self.step.sharded or self.model.dtype != torch.float32:
            weights = self.optimiser.tensors()
            model = Transformer(self.shape, self.vocabulary.size)
            for name, parameter in model.named_parameters():
                parameter.data = gather(weights[name].detach()).cpu()
        return save_checkpoint(model, 0, folder) if self.world.first else ""

    def _tensors(self) -> dict[str, torch.Tensor]:
        return self.optimiser.tensors()

    def _load(self, tensors: dict[str, torch.Tensor]) -> None:
        for name, tensor in self._tensors().items():
            scatter(tensor, tensors[name])
        if not self.step.sharded:
            self.optimiser.refresh()

    def _save(self) -> None:
        plain = {"counts": self.counts, "rungs": self.rungs, "stream": self.batches.place, "log": self.log.lines}
        tensors = {name: gather(tensor.detach()) for name, tensor in self._tensors().items()}
        if self.world.first:
            save_state(self.state / "state.safetensors", tensors, plain)

    def _restore(self) -> None:
        loaded = load_state(self.state / "state.safetensors")
        if loaded is None:
            return
        tensors, plain = loaded
        done = {rung["pretraining_tokens"] for rung in plain["rungs"]}
        share = self.settings.anneal_share
        passed = plain["counts"]["tokens"]
        missed = [rung for rung in self.ladder if rung not in done and passed > rung * (1 - share) and passed > 0]
        intact = all(_is(self.state / rung["path"] / "model.safetensors", rung["sha256"]) for rung in plain["rungs"])
        if missed or not intact:  # a rung was put below the end of the ladder, or lost: start again
            return
        self._load(tensors)
        self.counts, self.rungs, self.log.lines = plain["counts"], plain["rungs"], plain["log"]
        self.batches.rewind(plain["stream"])

    def _write(self) -> None:
        output = self.asked.output
        rungs = [rung for rung in self.rungs if rung["pretraining_tokens"] in self.ladder]
        for rung in rungs:
            copy_checkpoint(self.state / rung["path"], output / rung["path"])
        write_lines(output / "log.jsonl", self.log.lines)
        write_json(
            output / "trajectory.json",
            {
                "model": self.asked.model_name,
                "mixture": self.asked.mixture,
                "seed": self.asked.seed,
                "corpora": self.asked.weights,
                "rungs": sorted(rungs, key=lambda rung: rung["pretraining_tokens"]),
                "left_out": self.text.left_out,
                "settings": self.settings.model_dump(),
                "parameters_total": self.shape.parameters_total(self.vocabulary.size),
                "parameters_non_embedding": self.shape.parameters_non_embedding,
            },
        )


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest
