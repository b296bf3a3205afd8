"""A training step on a GPU, captured in one CUDA graph per form of batch.

Small models are bound by the launching of kernels: a graph launches a whole step at once. Nothing is compiled ahead but the few
Triton kernels, which do not depend on sizes, so a new form or number of replicas costs a fraction of a second.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from transferlaws.model.loss import linear_cross_entropy
from transferlaws.model.operations import no_dropout
from transferlaws.model.packing import Batch, Form, unpack
from transferlaws.model.transformer import Dropout, Transformer
from transferlaws.training.optimisers import Optimiser


class Inputs(NamedTuple):
    """Device buffers that a captured step reads."""

    tables: list[Tensor]  # of each part of the batch, (streams, columns)
    counts: Tensor  # (streams,): real target tokens of the whole batch
    streams: Tensor  # (R,)
    rates: Tensor  # (R,)


class Replayed:
    """A function that reads and writes fixed buffers: run as it is the first time, captured the second, replayed from then on.

    What it returns may be overwritten by the next replay of any function that shares its pool.
    """

    def __init__(self, function: Callable[[], tuple[Tensor, ...]], stream: torch.cuda.Stream, pool: tuple[int, int]) -> None:
        self.function, self.stream, self.pool = function, stream, pool
        self.has_run = False
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> tuple[Tensor, ...]:
        """What the function returns."""
        if not self.has_run:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                result = self.function()
            torch.cuda.current_stream().wait_stream(self.stream)
            self.has_run = True
            return result
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            torch.cuda.synchronize()
            # thread_local: NCCL's own thread may ask the device for something meanwhile
            with torch.cuda.graph(self.graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
                self.result = self.function()
        self.graph.replay()
        return self.result


def batch_loss(model: Transformer, batch: Batch, counts: Tensor, drop: Dropout) -> Tensor:
    """Losses (R,), nats/token, of a batch or a part of it; `counts` (R,) are the real target tokens of all parts."""
    hidden = model(batch.source, batch.inputs, drop)
    weight = (batch.labels != 0) / counts.unsqueeze(1)
    return linear_cross_entropy(hidden, model.head, batch.labels, weight, model.operations.row_gradient)


def gradients_in_parts(model: Transformer, forms: tuple[Form, ...], inputs: Inputs, drop: Dropout) -> tuple[Tensor, list[Tensor]]:
    """Losses (R,) and the gradients of their sum, part after part."""
    parameters = list(model.parameters())
    counts = inputs.counts.index_select(0, inputs.streams)
    total, gradients = None, None
    for form, table in zip(forms, inputs.tables, strict=True):
        loss = batch_loss(model, unpack(form, table.index_select(0, inputs.streams)), counts, drop)
        more = torch.autograd.grad(loss.sum(), parameters)
        if len(forms) > 1:  # a sum of bf16 parts would lose the small ones
            more = [gradient.float() for gradient in more]
        gradients = list(more) if gradients is None else [old + new for old, new in zip(gradients, more, strict=True)]
        total = loss.detach() if total is None else total + loss.detach()
    return total, gradients


class GraphedStep:
    """A graph for each form of batch: the whole step, or, with several processes, the gradients.

    These are then left in `sums`, to be summed over the processes, and `update` is a graph of its own.
    """

    def __init__(self, model: Transformer, optimiser: Optimiser, dropout: float, *, processes: int = 1) -> None:
        self.model, self.optimiser = model, optimiser
        self.drop = (lambda _, x: functional.dropout(x, dropout)) if dropout else no_dropout
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()
        self.sums = None  # of one process's losses and gradients, behind one another: (elements,), fp32
        if processes > 1:
            parameters, device = list(model.parameters()), model.embedding.device
            self.sums = torch.zeros(model.replicas + sum(p.numel() for p in parameters), device=device)
            self.loss, *parts = self.sums.split([model.replicas, *(p.numel() for p in parameters)])
            self.gradients = [part.view_as(p) for part, p in zip(parts, parameters, strict=True)]
            self.rates = torch.zeros(model.replicas, device=device)
        self.clear()

    def clear(self) -> None:
        """Forget the graphs: the replicas, or the number of parts, have changed."""
        self.graphs: dict[tuple, tuple[Inputs, Replayed]] = {}
        self._update = self._replayed(lambda: (self.optimiser.step(self.gradients, self.rates),))
        torch.cuda.empty_cache()

    def __call__(
        self, batches: list[tuple[Form, np.ndarray]], counts: np.ndarray, streams: Tensor, rates: Tensor, seed: int
    ) -> tuple[Tensor, ...]:
        """One step, as `Step`: losses and norms, or nothing where they come of `update`."""
        forms, tables = zip(*batches, strict=True)
        if self.drop is not no_dropout:
            torch.cuda.manual_seed(seed)
        key = (forms, len(streams))
        if key not in self.graphs:
            inputs = self._inputs(tables, counts, streams, rates)
            self.graphs[key] = inputs, self._replayed(lambda: self._step(forms, inputs))
        inputs, step = self.graphs[key]
        for buffer, array in zip([*inputs.tables, inputs.counts], [*tables, counts], strict=True):
            buffer.copy_(torch.from_numpy(array).pin_memory(), non_blocking=True)
        inputs.streams.copy_(streams)
        inputs.rates.copy_(rates)
        return step()

    def update(self, rates: Tensor) -> tuple[Tensor, Tensor]:
        """Losses and gradient norms (R,), after a step with the gradients in `sums`."""
        self.rates.copy_(rates)
        (norm,) = self._update()
        return self.loss, norm

    def _replayed(self, function: Callable[[], tuple[Tensor, ...]]) -> Replayed:
        return Replayed(function, self.stream, self.pool)

    def _inputs(self, tables: tuple[np.ndarray, ...], counts: np.ndarray, streams: Tensor, rates: Tensor) -> Inputs:
        *moved, counts = (torch.from_numpy(array).to(streams.device) for array in (*tables, counts))
        return Inputs(moved, counts, streams.clone(), rates.clone())

    def _step(self, forms: tuple[Form, ...], inputs: Inputs) -> tuple[Tensor, ...]:
        loss, gradients = gradients_in_parts(self.model, forms, inputs, self.drop)
        if self.sums is None:
            return loss, self.optimiser.step(gradients, inputs.rates)
        for place, value in zip([self.loss, *self.gradients], [loss, *gradients], strict=True):
            place.copy_(value)
        return ()
