"""One training step of R replicas: forward, backward, clip, update; and the loss of R replicas without gradients."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from transferlaws.model.loss import linear_cross_entropy, token_losses
from transferlaws.model.operations import PLAIN, Dropping, Operations, fused, no_dropout
from transferlaws.model.transformer import Transformer
from transferlaws.seeding import seed_for
from transferlaws.training.distributed import World, is_sharded, whole
from transferlaws.training.graphs import GraphedStep
from transferlaws.training.optimisers import Optimiser


def choose_device() -> torch.device:
    """The GPU if there is one. On a CPU, denormals are flushed: moments that decay to nothing would slow every step."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    torch.set_flush_denormal(True)
    return torch.device("cpu")


def compute_type(precision: str, device: torch.device) -> torch.dtype:
    """`auto` is bf16 on a GPU and fp32 on a CPU; never fp16, which overflows in T5's feed-forward layers."""
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" else "fp32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def operations_for(model: Transformer) -> Operations:
    """Fused operations for a model that computes in bf16 on a GPU, plain ones for any other."""
    return fused() if model.embedding.is_cuda and model.dtype == torch.bfloat16 else PLAIN


class Dropout:
    """Masks that depend on (seed of a data stream, step, place in the model) alone: the same in any company, in any part of a
    batch, and after a resume.
    """

    def __init__(self, rate: float, seeds: Sequence[int], step: int, streams: Tensor, rows: slice, batch: int) -> None:
        self.rate, self.seeds, self.step, self.streams, self.rows, self.batch = rate, seeds, step, streams, rows, batch
        self.place = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Drop entries of x (R, B, T, width) and divide the others by 1 - rate."""
        self.place += 1
        # position by position: a longer batch (another replica's, say) draws the same masks and then some more
        shape = (x.shape[2], self.batch, x.shape[3])
        masks = [torch.rand(shape, generator=self._random(seed), device=x.device) < 1 - self.rate for seed in self.seeds]
        kept = torch.stack(masks)[:, :, self.rows].transpose(1, 2).to(x.dtype).div_(1 - self.rate)
        return x * kept.index_select(0, self.streams)

    def _random(self, seed: int) -> torch.Generator:
        return torch.Generator(self.streams.device).manual_seed(seed_for(seed, "dropout", self.step, self.place))


class Step:
    """Trains replicas that read from a few data streams: replica r reads stream `streams[r]`.

    Out of memory on a GPU, the batch is taken in twice as many parts, from then on, and the step is repeated with the same result.
    Several processes (`world`) take their rows of the batch each; a sharded model's gradients are summed on its own.
    """

    def __init__(self, model: Transformer, optimiser: Optimiser, dropout: float, world: World | None = None) -> None:
        self.model, self.optimiser, self.dropout = model, optimiser, dropout
        self.world = world or World(0, 1, model.embedding.device)
        self.sharded = is_sharded(model.embedding)
        if self.sharded:
            optimiser.count = self.world.replicated(optimiser.count)
        self.parts = 1
        self.graphed = None
        if model.embedding.is_cuda and not self.sharded:
            self.graphed = GraphedStep(model, optimiser, dropout, self.world)

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
        if target.shape[1] % self.world.size:
            source, target = (None if x is None else _with_empty_rows(x, self.world.size) for x in (source, target))
        while True:
            try:
                if self.graphed is not None:
                    return self.graphed(source, target, streams, rates, seed_for(seeds[0], "dropout", step), self.parts)
                loss, gradients = self._gradients(source, target, streams, seeds, step)
                break
            except torch.cuda.OutOfMemoryError:
                if self.parts >= target.shape[1]:
                    raise
                self.parts *= 2
                if self.graphed is not None:
                    self.graphed.clear()
        self.world.sum([loss] if self.sharded else [loss, *gradients])
        norm = self.optimiser.step(gradients, self.world.replicated(rates) if self.sharded else rates)
        return loss, whole(norm)

    def forget_graphs(self) -> None:
        """Call after the model's replicas have changed."""
        if self.graphed is not None:
            self.graphed.clear()

    def _gradients(
        self, source: np.ndarray | None, target: np.ndarray, streams: Tensor, seeds: Sequence[int], step: int
    ) -> tuple[Tensor, list[Tensor]]:
        counts = torch.from_numpy((target != 0).sum((1, 2))).to(streams.device)[streams].unsqueeze(1)
        parameters = list(self.model.parameters())
        total, gradients = torch.zeros(len(streams), device=streams.device), None
        batch, mine = target.shape[1], self.world.rows(target.shape[1])
        size = -(-(mine.stop - mine.start) // self.parts)
        for start in range(mine.start, mine.stop, size):
            rows = slice(start, min(start + size, mine.stop))
            drop = Dropout(self.dropout, seeds, step, streams, rows, batch) if self.dropout else no_dropout
            hidden, ids, real = _real_hidden(
                self.model, None if source is None else source[:, rows], target[:, rows], streams, drop
            )
            loss = linear_cross_entropy(hidden, self.model.head, ids, real / counts, self.model.operations.row_gradient)
            total += loss.detach()
            if self.sharded:  # accumulates, and divides by the number of processes
                (loss.sum() * self.world.size).backward()
                continue
            more = torch.autograd.grad(loss.sum(), parameters)
            gradients = list(more) if gradients is None else [old.add_(new) for old, new in zip(gradients, more, strict=True)]
        if self.sharded:
            gradients = [parameter.grad for parameter in self.model.parameters()]  # the sharded ones are back only now
            self.model.zero_grad(set_to_none=True)
        return total, gradients


def _with_empty_rows(ids: np.ndarray, multiple: int) -> np.ndarray:
    return np.pad(ids, ((0, 0), (0, -ids.shape[1] % multiple), (0, 0)))


def _real_hidden(model: Transformer, source: np.ndarray | None, target: np.ndarray, streams: Tensor, drop: Dropping) -> tuple:
    """Hidden states (R, N, D) at the real target positions, their ids (R, N), and 1 or 0 (R, N) for real or filled up."""
    device = streams.device
    moved = torch.from_numpy(target).to(device)
    sources = None if source is None else torch.from_numpy(source).to(device)[streams]
    hidden = model(sources, moved[streams], drop)
    flat = target.reshape(len(target), -1) != 0
    most = int(flat.sum(1).max())
    places = torch.from_numpy(np.argsort(~flat, axis=1, kind="stable")[:, :most].copy()).to(device)  # (streams, N)
    ids = moved.flatten(1).gather(1, places)
    rows = places[streams] + torch.arange(len(streams), device=device).unsqueeze(1) * flat.shape[1]
    picked = hidden.flatten(0, 2).index_select(0, rows.flatten()).view(len(streams), most, -1)
    return picked, ids[streams], (ids != 0)[streams].float()


@torch.no_grad()
def summed_losses(model: Transformer, source: np.ndarray | None, target: np.ndarray) -> Tensor:
    """Cross-entropy of one batch in every replica: nats summed over each row's real tokens, (R, B); ids (B, S) and (B, T)."""
    streams = torch.zeros(model.replicas, dtype=torch.long, device=model.embedding.device)
    source = None if source is None else source[None]
    hidden, ids, real = _real_hidden(model, source, target[None], streams, no_dropout)
    losses = token_losses(hidden, model.head, ids) * real
    owner = torch.from_numpy(np.nonzero(target)[0]).to(losses.device)  # rows of the real positions, in order
    return torch.zeros(model.replicas, len(target), device=losses.device).index_add_(1, owner, losses)
