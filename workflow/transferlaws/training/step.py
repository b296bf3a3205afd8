"""One training step of R replicas: forward, backward, clip, update; and the loss of R replicas without gradients."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from transferlaws.model.loss import linear_cross_entropy, token_losses
from transferlaws.model.transformer import NO_DROPOUT, Transformer
from transferlaws.seeding import seed_for
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


class Dropout:
    """Masks that depend on (seed of a data stream, step) alone: the same in any company, after a resume, in any part of a batch."""

    def __init__(self, rate: float, seeds: Sequence[int], step: int, streams: Tensor, rows: slice, batch: int) -> None:
        self.rate, self.streams, self.rows, self.batch = rate, streams, rows, batch
        self.randoms = [torch.Generator(streams.device).manual_seed(seed_for(seed, "dropout", step)) for seed in seeds]

    def __call__(self, x: Tensor) -> Tensor:
        """X (R, B, ...) with entries dropped, the others divided by 1 - rate."""
        shape = (self.batch, *x.shape[2:])
        keep = 1 - self.rate
        masks = [torch.empty(shape, dtype=x.dtype, device=x.device).bernoulli_(keep, generator=g)[self.rows] for g in self.randoms]
        return x * torch.stack(masks).div_(keep).index_select(0, self.streams)


class Step:
    """Trains replicas that read from a few data streams: replica r reads stream `streams[r]`.

    Out of memory on a GPU, the batch is taken in twice as many parts, from then on, and the step is repeated with the same result.
    """

    def __init__(self, model: Transformer, optimiser: Optimiser, dropout: float) -> None:
        self.model, self.optimiser, self.dropout = model, optimiser, dropout
        self.parts = 1

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
        while True:
            try:
                loss = self._gradients(source, target, streams, seeds, step)
                break
            except torch.cuda.OutOfMemoryError:
                if self.parts >= target.shape[1]:
                    raise
                self.parts *= 2
                self.model.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
        return loss, self.optimiser.step(rates)

    def _gradients(self, source: np.ndarray | None, target: np.ndarray, streams: Tensor, seeds: Sequence[int], step: int) -> Tensor:
        counts = (target != 0).sum((1, 2))  # (streams,)
        total = torch.zeros(len(streams), device=streams.device)
        batch = target.shape[1]
        size = -(-batch // self.parts)
        for start in range(0, batch, size):
            rows = slice(start, min(start + size, batch))
            drop = Dropout(self.dropout, seeds, step, streams, rows, batch) if self.dropout else NO_DROPOUT
            hidden, ids, real = _real_hidden(
                self.model, None if source is None else source[:, rows], target[:, rows], streams, drop
            )
            weight = real / torch.from_numpy(counts).to(real)[streams].unsqueeze(1)
            loss = linear_cross_entropy(hidden, self.model.head, ids, weight)
            loss.sum().backward()
            total += loss.detach()
        return total


def _real_hidden(model: Transformer, source: np.ndarray | None, target: np.ndarray, streams: Tensor, drop) -> tuple:
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
    hidden, ids, real = _real_hidden(model, source, target[None], streams, NO_DROPOUT)
    losses = token_losses(hidden, model.head, ids) * real
    owner = torch.from_numpy(np.nonzero(target)[0]).to(losses.device)  # rows of the real positions, in order
    return torch.zeros(model.replicas, len(target), device=losses.device).index_add_(1, owner, losses)
