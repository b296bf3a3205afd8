"""One training step of R replicas: forward, backward, clip, update; and the loss of R replicas without gradients."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from transferlaws.model.kernels import fused
from transferlaws.model.loss import token_losses
from transferlaws.model.operations import PLAIN, Operations, no_dropout
from transferlaws.model.packing import GROUPS, Form, Layout, pack, unpack
from transferlaws.model.transformer import Transformer
from transferlaws.seeding import seed_for
from transferlaws.training.distributed import World, gather, is_sharded
from transferlaws.training.graphs import GraphedStep, batch_loss
from transferlaws.training.optimisers import Optimiser


def compute_type(precision: str, device: torch.device) -> torch.dtype:
    """`auto` is bf16 on a GPU and fp32 on a CPU; never fp16, which overflows in T5's feed-forward layers."""
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" else "fp32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def operations_for(model: Transformer) -> Operations:
    """Fused operations for a model that computes in bf16 on a GPU, plain ones for any other."""
    return fused() if model.embedding.is_cuda and model.dtype == torch.bfloat16 else PLAIN


class SeededDropout:
    """Masks that depend on (seed of a data stream, step, place in the model) alone: the same in any company, in any part of a
    batch, and after a resume.
    """

    def __init__(self, rate: float, seeds: Sequence[int], step: int, streams: Tensor) -> None:
        self.rate, self.seeds, self.step, self.streams = rate, seeds, step, streams
        self.place = 0

    def __call__(self, layout: Layout, x: Tensor) -> Tensor:
        """Drop entries of x (R, N, width) and divide the others by 1 - rate."""
        self.place += 1
        # position by position: a longer batch (another replica's, say) draws the same masks and then some more
        shape = (layout.side.whole, x.shape[2])
        masks = torch.stack(
            [torch.rand(shape, generator=self._random(seed), device=x.device) < 1 - self.rate for seed in self.seeds]
        )
        kept = masks[self.streams.unsqueeze(1), layout.index]
        return x * kept.to(x.dtype).div_(1 - self.rate)

    def _random(self, seed: int) -> torch.Generator:
        return torch.Generator(self.streams.device).manual_seed(seed_for(seed, "dropout", self.step, self.place))


class Step:
    """Trains replicas that read from a few data streams: replica r reads stream `streams[r]`.

    Out of memory on a GPU, the batch is taken in twice as many parts, from then on, and the step is repeated with the same result
    (on one GPU with dropout: with other masks). A sharded model's processes cannot do so, since they compute together.
    Several processes (`world`) take their rows of the batch each; a sharded model's gradients are summed on its own.
    """

    def __init__(self, model: Transformer, optimiser: Optimiser, dropout: float, world: World | None = None) -> None:
        self.model, self.optimiser, self.dropout = model, optimiser, dropout
        self.world = world or World(0, 1, model.embedding.device)
        self.sharded = is_sharded(model.embedding)
        if self.sharded:
            optimiser.count = self.world.replicated(optimiser.count)
        self.parts = 1
        self.positions = self.computed = 0  # those of sequences; all that were computed
        self.on_gpu = model.embedding.is_cuda
        self.graphed = None
        if model.embedding.is_cuda and not self.sharded:
            self.graphed = GraphedStep(model, optimiser, dropout, processes=self.world.size)

    def __call__(
        self,
        source: np.ndarray | None,
        target: np.ndarray,
        *,
        streams: Tensor,
        rates: Tensor,
        seeds: Sequence[int],
        step: int,
    ) -> tuple[Tensor, Tensor]:
        """Source (streams, B, S), target (streams, B, T) ids; rates (R,). Returns losses (R,), nats/token, and gradient norms."""
        counts = (target != 0).sum((1, 2))
        while True:
            batches, failed = self._packed(source, target), False
            try:
                if self.graphed is not None:
                    seed = seed_for(seeds[0], "dropout", step, self.world.rank)
                    found = self.graphed(batches, counts, streams, rates, seed)
                else:
                    loss, gradients = self._gradients(batches, counts, streams, seeds, step)
            except torch.cuda.OutOfMemoryError:
                if self.sharded or self.parts * self.world.size >= target.shape[1]:
                    raise
                failed = True
            if not self.world.any(failed):
                break
            self.parts *= 2
            self.forget_graphs()
        self._count(batches, (source, target))
        if self.graphed is not None:
            if self.world.size == 1:
                return found
            self.world.sum([self.graphed.sums])
            return self.graphed.update(rates)
        self.world.sum([loss] if self.sharded else [loss, *gradients])
        norm = self.optimiser.step(gradients, self.world.replicated(rates) if self.sharded else rates)
        return loss, gather(norm)

    def _packed(self, source: np.ndarray | None, target: np.ndarray) -> list[tuple[Form, np.ndarray]]:
        """The rows of this process, in `parts`: every so many rows, as neighbours may be alike in length."""
        every = self.world.size * self.parts
        if target.shape[1] % every:
            source, target = (None if ids is None else _with_empty_rows(ids, every) for ids in (source, target))
        return [
            pack(source, target, rows=slice(first, None, every), groups=_groups(self.model), few_forms=self.on_gpu)
            for first in range(self.world.rank, every, self.world.size)
        ]

    def _count(self, batches: list[tuple[Form, np.ndarray]], sides: Sequence[np.ndarray | None]) -> None:
        mine = (ids[:, self.world.rank :: self.world.size] for ids in sides if ids is not None)
        self.positions += sum(map(np.count_nonzero, mine))
        self.computed += sum(len(table) * side.positions for form, table in batches for side in (form.source, form.target) if side)

    @property
    def padding(self) -> float:
        """The share of all positions computed so far, in this process, that was left over."""
        return 1 - self.positions / self.computed

    def forget_graphs(self) -> None:
        """Call after the model's replicas have changed."""
        if self.graphed is not None:
            self.graphed.clear()

    def _gradients(
        self, batches: list[tuple[Form, np.ndarray]], counts: np.ndarray, streams: Tensor, seeds: Sequence[int], step: int
    ) -> tuple[Tensor, list[Tensor]]:
        counts = torch.from_numpy(counts).to(streams.device)[streams]
        parameters = list(self.model.parameters())
        total, gradients = torch.zeros(len(streams), device=streams.device), None
        for form, table in batches:
            drop = SeededDropout(self.dropout, seeds, step, streams) if self.dropout else no_dropout
            loss = batch_loss(self.model, unpack(form, torch.from_numpy(table).to(streams.device)[streams]), counts, drop)
            total += loss.detach()
            if self.sharded:  # accumulates, and divides by the number of processes
                (loss.sum() * self.world.size).backward()
                continue
            more = torch.autograd.grad(loss.sum(), parameters)
            if len(batches) > 1 or self.world.size > 1:  # a sum of bf16 parts would lose the small ones
                more = [gradient.float() for gradient in more]
            gradients = list(more) if gradients is None else [old.add_(new) for old, new in zip(gradients, more, strict=True)]
        if self.sharded:
            gradients = [parameter.grad for parameter in self.model.parameters()]  # the sharded ones are back only now
            self.model.zero_grad(set_to_none=True)
        return total, gradients


def _groups(model: Transformer) -> int:
    """Padded groups that the model's attention wants: padding costs in proportion to the replicas, a group costs the same."""
    return 0 if not model.operations.pads else 1 if model.embedding.is_cuda else min(model.replicas, GROUPS)


def _with_empty_rows(ids: np.ndarray, multiple: int) -> np.ndarray:
    return np.pad(ids, ((0, 0), (0, -ids.shape[1] % multiple), (0, 0)))


@torch.no_grad()
def summed_losses(model: Transformer, source: np.ndarray | None, target: np.ndarray) -> Tensor:
    """Cross-entropy of one batch in every replica: nats summed over each row's real tokens, (R, B); ids (B, S) and (B, T)."""
    device = model.embedding.device
    form, table = pack(None if source is None else source[None], target[None], groups=_groups(model))
    batch = unpack(form, torch.from_numpy(table).to(device).expand(model.replicas, -1))
    losses = token_losses(model(batch.source, batch.inputs), model.head, batch.labels) * (batch.labels != 0)
    return torch.zeros(model.replicas, len(target), device=device).index_add_(1, batch.rows[0], losses)
