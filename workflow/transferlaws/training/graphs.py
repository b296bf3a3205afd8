"""A training step on a GPU, captured in one CUDA graph per form of batch.

Small models are bound by the launching of kernels: a graph launches a whole step at once. Nothing is compiled ahead but the few
Triton kernels, which do not depend on sizes, so a new form or number of replicas costs a fraction of a second.
"""

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


class Captured(NamedTuple):
    """A graph with its inputs and outputs."""

    graph: "torch.cuda.CUDAGraph"
    inputs: Inputs
    loss: Tensor  # (R,)
    norm: Tensor  # (R,)


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
    """The first step of a form runs as it is, the second is captured; from then on the graph is replayed."""

    def __init__(self, model: Transformer, optimiser: Optimiser, dropout: float) -> None:
        self.model, self.optimiser = model, optimiser
        self.drop = (lambda _, x: functional.dropout(x, dropout)) if dropout else no_dropout
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()
        self.clear()

    def clear(self) -> None:
        """Forget the graphs: the replicas, or the number of parts, have changed."""
        self.graphs: dict[tuple, Captured | None] = {}
        torch.cuda.empty_cache()

    def __call__(
        self, batches: list[tuple[Form, np.ndarray]], counts: np.ndarray, streams: Tensor, rates: Tensor, seed: int
    ) -> tuple[Tensor, Tensor]:
        """One step; as `Step`. The tensors returned are overwritten by the next step of the same form."""
        forms, tables = zip(*batches, strict=True)
        if self.drop is not no_dropout:
            torch.cuda.manual_seed(seed)
        key = (forms, len(streams))
        if key not in self.graphs:
            inputs = self._inputs(tables, counts, streams, rates)
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                loss, norm = self._step(forms, inputs)
            torch.cuda.current_stream().wait_stream(self.stream)
            self.graphs[key] = None
            return loss, norm
        captured = self.graphs[key]
        if captured is None:
            captured = self.graphs[key] = self._capture(forms, self._inputs(tables, counts, streams, rates))
        for buffer, array in zip([*captured.inputs.tables, captured.inputs.counts], [*tables, counts], strict=True):
            buffer.copy_(torch.from_numpy(array).pin_memory(), non_blocking=True)
        captured.inputs.streams.copy_(streams)
        captured.inputs.rates.copy_(rates)
        captured.graph.replay()
        return captured.loss, captured.norm

    def _inputs(self, tables: tuple[np.ndarray, ...], counts: np.ndarray, streams: Tensor, rates: Tensor) -> Inputs:
        *moved, counts = (torch.from_numpy(array).pin_memory().to(streams.device, non_blocking=True) for array in (*tables, counts))
        return Inputs(moved, counts, streams.clone(), rates.clone())

    def _capture(self, forms: tuple[Form, ...], inputs: Inputs) -> Captured:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            loss, norm = self._step(forms, inputs)
        return Captured(graph, inputs, loss, norm)

    def _step(self, forms: tuple[Form, ...], inputs: Inputs) -> tuple[Tensor, Tensor]:
        loss, gradients = gradients_in_parts(self.model, forms, inputs, self.drop)
        return loss, self.optimiser.step(gradients, inputs.rates)
