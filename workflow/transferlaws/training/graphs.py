"""A training step on a GPU, captured in one CUDA graph per batch shape.

Small models are bound by the launching of kernels: a graph launches a whole step at once. Nothing is compiled ahead but the few
Triton kernels, which do not depend on the shapes, so a new shape or number of replicas costs a fraction of a second.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from transferlaws.model.loss import linear_cross_entropy
from transferlaws.model.operations import Dropping, no_dropout
from transferlaws.model.transformer import Transformer
from transferlaws.training.distributed import World
from transferlaws.training.optimisers import Optimiser


class Inputs(NamedTuple):
    """Device buffers that a captured step reads."""

    source: Tensor | None  # (streams, B, S)
    target: Tensor  # (streams, B, T)
    counts: Tensor  # (streams,): real target tokens of the whole batch, over all processes
    streams: Tensor  # (R,)
    rates: Tensor  # (R,)


class Captured(NamedTuple):
    """A graph with its inputs and outputs."""

    graph: "torch.cuda.CUDAGraph"
    inputs: Inputs
    loss: Tensor  # (R,)
    norm: Tensor  # (R,)


def static_loss(
    model: Transformer, source: Tensor | None, target: Tensor, streams: Tensor, counts: Tensor, drop: Dropping
) -> Tensor:
    """Losses (R,) over all positions, padding at weight 0: no shape depends on values, so it can be captured.

    `counts` (streams,): real target tokens of the whole batch, of which `target` may be a part.
    """
    chosen = target.index_select(0, streams)
    hidden = model(None if source is None else source.index_select(0, streams), chosen, drop)
    weight = (chosen != 0).flatten(1) / counts.index_select(0, streams).unsqueeze(1)
    return linear_cross_entropy(hidden.flatten(1, 2), model.head, chosen.flatten(1), weight, model.operations.row_gradient)


def gradients_in_parts(model: Transformer, inputs: Inputs, parts: int, drop: Callable) -> tuple[Tensor, list[Tensor]]:
    """Losses (R,) and the gradients of their sum, the batch taken in `parts`."""
    parameters = list(model.parameters())
    total, gradients = None, None
    pieces = inputs.target.chunk(parts, dim=1)
    sources = [None] * len(pieces) if inputs.source is None else inputs.source.chunk(parts, dim=1)
    for source, target in zip(sources, pieces, strict=True):
        loss = static_loss(model, source, target, inputs.streams, inputs.counts, drop)
        more = torch.autograd.grad(loss.sum(), parameters)
        if parts > 1:  # a sum of bf16 parts would lose the small ones
            more = [gradient.float() for gradient in more]
        gradients = list(more) if gradients is None else [old + new for old, new in zip(gradients, more, strict=True)]
        total = loss.detach() if total is None else total + loss.detach()
    return total, gradients


class GraphedStep:
    """The first step of a shape runs as it is, the second is captured; from then on the graph is replayed."""

    def __init__(self, model: Transformer, optimiser: Optimiser, dropout: float, world: World) -> None:
        self.model, self.optimiser, self.world = model, optimiser, world
        self.drop = partial(functional.dropout, p=dropout) if dropout else no_dropout
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()
        self.clear()

    def clear(self) -> None:
        """Forget the graphs: the replicas, or the number of parts, have changed."""
        self.graphs: dict[tuple, Captured | None] = {}
        torch.cuda.empty_cache()

    def __call__(
        self, source: np.ndarray | None, target: np.ndarray, streams: Tensor, rates: Tensor, seed: int, parts: int
    ) -> tuple[Tensor, Tensor]:
        """One step; as `Step`. The tensors returned are overwritten by the next step of the same shape."""
        key = (target.shape, None if source is None else source.shape, len(streams), parts)
        if self.drop is not no_dropout:
            torch.cuda.manual_seed(seed)
        host = self._host(source, target)
        if self.world.size > 1:  # bound by arithmetic, and the sums between processes stay out of graphs
            return self._step(self._inputs(host, streams, rates), parts)
        if key not in self.graphs:
            inputs = self._inputs(host, streams, rates)
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                loss, norm = self._step(inputs, parts)
            torch.cuda.current_stream().wait_stream(self.stream)
            self.graphs[key] = None
            return loss, norm
        captured = self.graphs[key]
        if captured is None:
            captured = self.graphs[key] = self._capture(self._inputs(host, streams, rates), parts)
        for buffer, array in zip(captured.inputs, host, strict=False):
            if array is not None:
                buffer.copy_(torch.from_numpy(array).pin_memory(), non_blocking=True)
        captured.inputs.streams.copy_(streams)
        captured.inputs.rates.copy_(rates)
        captured.graph.replay()
        return captured.loss, captured.norm

    def _host(self, source: np.ndarray | None, target: np.ndarray) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
        """The rows of this process, and the counts of the whole batch."""
        rows = self.world.rows(target.shape[1])
        return None if source is None else source[:, rows], target[:, rows], (target != 0).sum((1, 2))

    def _inputs(self, host: tuple, streams: Tensor, rates: Tensor) -> Inputs:
        moved = (None if array is None else torch.from_numpy(array).pin_memory().to("cuda", non_blocking=True) for array in host)
        return Inputs(*moved, streams.clone(), rates.clone())

    def _capture(self, inputs: Inputs, parts: int) -> Captured:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            loss, norm = self._step(inputs, parts)
        return Captured(graph, inputs, loss, norm)

    def _step(self, inputs: Inputs, parts: int) -> tuple[Tensor, Tensor]:
        loss, gradients = gradients_in_parts(self.model, inputs, parts, self.drop)
        self.world.sum([loss, *gradients])
        return loss, self.optimiser.step(gradients, inputs.rates)
