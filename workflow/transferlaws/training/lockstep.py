"""Fine-tunes replicas of one curve together: same data order, own weights, own learning rate, own early stop."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from transferlaws.model.transformer import Transformer
from transferlaws.tokens.batches import epoch_batches
from transferlaws.training.examples import Examples
from transferlaws.training.optimisers import Optimiser
from transferlaws.training.schedules import evaluation_steps, finetuning_factor, rising_steps
from transferlaws.training.settings import FinetuningSettings
from transferlaws.training.step import Step, summed_losses

EXPLODED = 3.0  # a dev loss above this many times that of a uniform guess counts as diverged


@dataclass
class Replica:
    """One (seed, rung, learning rate) and how its training went."""

    seed: int
    pretraining_tokens: int
    learning_rate: float
    best: float = float("inf")  # dev cross-entropy, nats/token
    best_step: int = 0
    steps: int = 0
    last: float = float("inf")  # dev cross-entropy at the last evaluation
    waited: int = 0  # evaluations since the best one
    misses: int = 0  # evaluations that were no better than the best before them
    status: str = "running"  # running, ok, diverged
    stopped: str = ""  # by what: early, max_steps, max_epochs; empty while running and where training diverged


class Lockstep:
    """Trains `replicas`, whose initial weights `model` holds in the same order.

    `train` maps a seed to its fine-tuning set, passed in `batches` steps an epoch; `dev` is shared. After `run`, `best` holds each
    replica's best weights. A replica that has stopped leaves the model, so it costs nothing more.
    """

    def __init__(
        self,
        model: Transformer,
        replicas: list[Replica],
        train: dict[int, Examples],
        dev: Examples,
        settings: FinetuningSettings,
        batches: int,
    ) -> None:
        self.model, self.replicas, self.train, self.dev, self.settings = model, replicas, train, dev, settings
        self.device = model.embedding.device
        self.seeds = list(train)
        self.optimiser = Optimiser(model, settings.optimiser)
        self.stepper = Step(model, self.optimiser, settings.dropout)
        self.active = list(range(len(replicas)))
        self.best = {name: p.clone() for name, p in self.optimiser.master.items()}
        self.number = 0
        self.finite = torch.ones(len(replicas), dtype=torch.bool, device=self.device)
        self.losses = torch.zeros(len(replicas), device=self.device)
        self.tokens, self.flops = 0, 0.0  # real target tokens and operations of all replicas, in this process
        self.batches_an_epoch = batches
        self.total, self.limit = settings.most_steps(batches)
        self.rising = rising_steps(settings, self.total)
        self.evaluated_at = evaluation_steps(settings, self.total)
        self._epoch: tuple[int, dict[int, list[np.ndarray]]] = (-1, {})
        self._streams()

    def _streams(self) -> None:
        self.present = sorted({self.replicas[i].seed for i in self.active}, key=self.seeds.index)
        self.order = [self.present.index(self.replicas[i].seed) for i in self.active]
        self.streams = torch.tensor(self.order, device=self.device)
        self._rates()

    def _rates(self) -> None:
        halving = self.settings.schedule == "plateau"
        active = [self.replicas[index] for index in self.active]
        self.rates = torch.tensor([r.learning_rate * (0.5**r.misses if halving else 1) for r in active], device=self.device)

    @property
    def ended(self) -> bool:
        """True if no step is left."""
        return not self.active or self.number >= self.total

    def run(self, after_step: Callable[[bool], None]) -> None:
        """Train until every replica has stopped; `after_step` is told whether dev loss was just measured."""
        while not self.ended:
            self._step()
            evaluated = self.number in self.evaluated_at
            if evaluated:
                self._evaluate()
            after_step(evaluated)
        for index in self.active:
            self._finish(index, self.limit)
        self.active = []

    def _step(self) -> None:
        source, target = self._batch()
        factor = finetuning_factor(self.settings.schedule, self.number + 1, self.total, self.rising)
        loss, norm = self.stepper(
            source, target, streams=self.streams, rates=self.rates * factor, seeds=self.present, step=self.number
        )
        self.number += 1
        self.losses = loss
        self.tokens += int((target != 0).sum((1, 2)) @ np.bincount(self.order, minlength=len(target)))
        lengths = [0 if ids is None else (ids != 0).sum(2) for ids in (source, target)]
        flops = self.model.settings.flops(*lengths, 1, self.model.vocabulary_size).sum(1)
        self.flops += float(flops @ np.bincount(self.order, minlength=len(target)))
        self.finite &= torch.isfinite(norm) & torch.isfinite(loss)

    def _batch(self) -> tuple[np.ndarray | None, np.ndarray]:
        epoch, place = divmod(self.number, self.batches_an_epoch)
        if self._epoch[0] != epoch or set(self._epoch[1]) != set(self.present):
            plans = {s: epoch_batches(self.train[s].lengths, self.batches_an_epoch, s, epoch) for s in self.present}
            self._epoch = (epoch, plans)
        picked = [(self.train[seed], self._epoch[1][seed][place]) for seed in self.present]
        shape = tuple(map(int, np.max([examples.shape(indices) for examples, indices in picked], axis=0)))
        pairs = [examples.batch(indices, shape) for examples, indices in picked]
        source = None if pairs[0][0] is None else np.stack([source for source, _ in pairs])
        return source, np.stack([target for _, target in pairs])

    def dev_losses(self) -> Tensor:
        """Dev cross-entropy of the active replicas, nats/token, (active,)."""
        nats = torch.zeros(len(self.active), dtype=torch.float64, device=self.device)
        tokens = 0
        for indices in self.dev.sorted_batches(4 * self.settings.batch):
            source, target = self.dev.batch(indices)
            nats += summed_losses(self.model, source, target).double().sum(1)
            tokens += int((target != 0).sum())
        return nats / tokens

    def _evaluate(self) -> None:
        losses = self.dev_losses().cpu().numpy()
        finite = self.finite.cpu().numpy()
        limit = EXPLODED * np.log(self.model.vocabulary_size)
        improved, stopped = [], []
        for row, index in enumerate(self.active):
            replica = self.replicas[index]
            replica.steps, replica.last = self.number, float(losses[row])
            if not finite[row] or not losses[row] < limit:
                replica.status = "diverged"
                stopped.append(row)
            elif losses[row] < replica.best:
                replica.best, replica.best_step, replica.waited = float(losses[row]), self.number, 0
                improved.append(row)
            else:
                replica.waited += 1
                replica.misses += 1
                if replica.waited >= self.settings.patience:
                    self._finish(index, "early")
                    stopped.append(row)
        if improved:
            rows = torch.tensor(improved, device=self.device)
            places = torch.tensor([self.active[row] for row in improved], device=self.device)
            for name, p in self.optimiser.master.items():
                self.best[name][places] = p[rows]
        self._rates()
        if stopped:
            self._drop([row for row in range(len(self.active)) if row not in stopped])

    def _finish(self, index: int, why: str) -> None:
        replica = self.replicas[index]
        if replica.status == "running":
            replica.status = "ok" if replica.best_step else "diverged"
            replica.stopped = why if replica.best_step else ""

    def _drop(self, kept: list[int]) -> None:
        rows = torch.tensor(kept, dtype=torch.long, device=self.device)
        self.active = [self.active[row] for row in kept]
        self.model.select(rows)
        self.optimiser.select(rows)
        self.stepper.forget_graphs()
        self.finite, self.losses = self.finite[rows], self.losses[rows]
        self._streams()

    def tensors(self) -> dict[str, Tensor]:
        """Everything that training changes, under unique names."""
        best = {f"best:{name}": tensor for name, tensor in self.best.items()}
        return self.optimiser.tensors() | best | {"finite": self.finite}

    def plain(self) -> dict:
        """The rest of the state: JSON."""
        return {"number": self.number, "active": self.active, "replicas": [_plain(replica) for replica in self.replicas]}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], plain: dict) -> None:
        """Continue where `tensors` and `plain` were taken."""
        self.number = plain["number"]
        self.replicas[:] = [Replica(**{**r, "best": float(r["best"]), "last": float(r["last"])}) for r in plain["replicas"]]
        if plain["active"] != self.active:
            self._drop(plain["active"])
        self._rates()
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])
        self.optimiser.refresh()


def _plain(replica: Replica) -> dict:
    return asdict(replica) | {"best": repr(replica.best), "last": repr(replica.last)}  # JSON knows no infinity
