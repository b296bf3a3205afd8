"""One Transformer with a leading replica axis: T5 v1.1 exactly, encoder optional.

R replicas of one shape are trained at once. Every parameter has the shape (R, ...), layers of a stack are stacked behind it
(R, layers, ...), and every linear layer is a batched matrix product over R. R = 1 is the ordinary model.

Shapes in this room: R replicas, B sequences, N positions (those of all sequences of a side, see packing.py), T target and S source
positions of a padded sequence, H heads, K head width, V vocabulary, D model width.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from transferlaws.model.operations import PLAIN, Dropping, Operations, linear, no_dropout, relative_buckets
from transferlaws.model.packing import Layout, Packed
from transferlaws.model.positions import Positions
from transferlaws.model.settings import ModelSettings
from transferlaws.seeding import seed_for

Dropout = Callable[[Layout, Tensor], Tensor]  # drops entries of (R, N, width), whose positions a layout describes


class Layer(NamedTuple):
    """Weights of one layer, each (R, ...); linear layers multiply from the right. `cross_*` are None in an encoder."""

    self_norm: Tensor  # (R, D)
    self_qkv: Tensor  # (R, D, 3, H*K)
    self_out: Tensor  # (R, H*K, D)
    ff_norm: Tensor  # (R, D)
    ff_in: Tensor  # (R, D, 2 or 1, F): gate (through the activation) and value
    ff_out: Tensor  # (R, F, D)
    cross_norm: Tensor | None = None  # (R, D)
    cross_q: Tensor | None = None  # (R, D, 1, H*K)
    cross_kv: Tensor | None = None  # (R, D, 2, H*K)
    cross_out: Tensor | None = None  # (R, H*K, D)


def encoder_layer(
    x: Tensor, layer: Layer, bias: Tensor | Positions, layout: Layout, do: Operations, heads: int, dropout: Dropping
) -> Tensor:
    """One layer on x (R, N, D); the bias as `do` made it."""
    x, normed = do.norm(x, layer.self_norm)
    mixed = do.attention(linear(normed, layer.self_qkv), layout, None, None, bias, heads, False)
    x = add_linear(x, mixed, layer.self_out, dropout)
    return feed_forward(x, layer, do, dropout)


def decoder_layer(
    x: Tensor,
    layer: Layer,
    bias: Tensor | Positions,
    layout: Layout,
    encoded: Tensor | None,
    source: Layout | None,
    do: Operations,
    heads: int,
    dropout: Dropping,
) -> Tensor:
    """One layer on x (R, N, D); encoded (R, M, D) and its layout, None without an encoder."""
    x, normed = do.norm(x, layer.self_norm)
    mixed = do.attention(linear(normed, layer.self_qkv), layout, None, None, bias, heads, True)
    x = add_linear(x, mixed, layer.self_out, dropout)
    if encoded is not None:
        x, normed = do.norm(x, layer.cross_norm)
        queries, others = linear(normed, layer.cross_q), linear(encoded, layer.cross_kv)
        x = add_linear(x, do.attention(queries, layout, others, source, None, heads, False), layer.cross_out, dropout)
    return feed_forward(x, layer, do, dropout)


def feed_forward(x: Tensor, layer: Layer, do: Operations, dropout: Dropping) -> Tensor:
    """Gated GELU where `ff_in` has two parts (T5 v1.1), ReLU where it has one (v1.0); added to x."""
    x, normed = do.norm(x, layer.ff_norm)
    hidden = linear(normed, layer.ff_in)
    hidden = do.gated_gelu(hidden) if layer.ff_in.shape[2] == 2 else functional.relu(hidden)
    return add_linear(x, dropout(hidden), layer.ff_out, dropout)


def add_linear(x: Tensor, y: Tensor, weight: Tensor, dropout: Dropping) -> Tensor:
    """The residual stream x plus dropout(y times weight)."""
    if dropout is no_dropout:
        return torch.baddbmm(x.flatten(1, -2), y.flatten(1, -2), weight).view_as(x)
    return x + dropout(linear(y, weight))


class Stack(nn.Module):
    """The layers of an encoder or a decoder, each parameter (R, layers, ...)."""

    def __init__(self, settings: ModelSettings, replicas: int, layers: int, *, causal: bool, cross: bool) -> None:
        super().__init__()
        self.settings, self.layers, self.causal = settings, layers, causal
        d, inner, r = settings.d_model, settings.inner, replicas
        gates = 2 if settings.activation == "gated-gelu" else 1
        shapes = {
            "self_norm": (d,),
            "self_qkv": (d, 3, inner),
            "self_out": (inner, d),
            "ff_norm": (d,),
            "ff_in": (d, gates, settings.d_ff),
            "ff_out": (settings.d_ff, d),
        }
        if cross:
            shapes |= {"cross_norm": (d,), "cross_q": (d, 1, inner), "cross_kv": (d, 2, inner), "cross_out": (inner, d)}
        for name, shape in shapes.items():
            setattr(self, name, nn.Parameter(torch.ones(r, layers, *shape)))
        self.final_norm = nn.Parameter(torch.ones(r, d))
        self.relative_bias = nn.Parameter(torch.zeros(r, settings.relative_buckets, settings.heads))
        self.names = list(shapes)
        self.buckets: dict[tuple, Tensor] = {}  # one-hot rows of the offsets met

    def unstacked(self, dtype: torch.dtype) -> Iterator[Layer]:
        """One `Layer` after another, cast to the type of computation; the gradient of all layers is gathered in one piece."""
        columns = [getattr(self, name).to(dtype).unbind(1) for name in self.names]
        for weights in zip(*columns, strict=True):
            yield Layer(**dict(zip(self.names, weights, strict=True)))

    def positions(self, length: int, dtype: torch.dtype) -> Positions:
        """The learned bias between queries and keys of sequences of up to `length`.

        A product with the buckets as one-hot rows: its gradient is one too, where that of an indexing would be a crowded scatter.
        """
        place = (length, dtype, self.relative_bias.device)
        if place not in self.buckets:
            offsets = torch.arange(1 - length, length, device=self.relative_bias.device)
            bucket = relative_buckets(offsets, self.settings, bidirectional=not self.causal)
            self.buckets[place] = (bucket[:, None] == torch.arange(self.settings.relative_buckets, device=offsets.device)).to(dtype)
        table = torch.matmul(self.relative_bias.to(dtype).transpose(1, 2), self.buckets[place].t())
        return Positions(table, self.settings.relative_distance)


class Transformer(nn.Module):
    """R models of one shape. `dtype` is the type of computation; parameters of another type are cast to it at each use."""

    def __init__(self, settings: ModelSettings, vocabulary_size: int, replicas: int = 1) -> None:
        super().__init__()
        self.settings, self.vocabulary_size = settings, vocabulary_size
        self.dtype = torch.float32
        self.embedding = nn.Parameter(torch.zeros(replicas, vocabulary_size, settings.d_model))
        self.head = nn.Parameter(torch.zeros(replicas, vocabulary_size, settings.d_model))
        self.encoder = None
        if settings.encoder_layers:
            self.encoder = Stack(settings, replicas, settings.encoder_layers, causal=False, cross=False)
        self.decoder = Stack(settings, replicas, settings.decoder_layers, causal=True, cross=bool(settings.encoder_layers))
        self.operations: Operations = PLAIN  # fused ones where a GPU trains

    @property
    def replicas(self) -> int:
        """R."""
        return self.embedding.shape[0]

    def initialise(self, replica: int, seed: int) -> None:
        """Draw one replica's weights from the stream of `seed`: T5's scales, but the output layer at 1/sqrt(D).

        T5 draws the untied output layer at standard deviation 1, which starts the loss tens of nats above the uniform one and
        makes a share of the logits' gradients denormal.
        """
        d, inner, width = self.settings.d_model, self.settings.inner, self.settings.d_kv
        scales = {
            "embedding": 1.0,
            "head": d**-0.5,
            "self_out": inner**-0.5,
            "cross_out": inner**-0.5,
            "cross_q": (d * width) ** -0.5,
            "cross_kv": d**-0.5,
            "ff_in": d**-0.5,
            "ff_out": self.settings.d_ff**-0.5,
            "relative_bias": d**-0.5,
        }
        for name, parameter in self.named_parameters():
            leaf = name.rpartition(".")[2]
            weight = parameter.data[replica]
            if leaf.endswith("norm"):
                weight.fill_(1.0)
                continue
            random = torch.Generator().manual_seed(seed_for(seed, "initialisation", name))
            draw = torch.randn(weight.shape, generator=random)
            if leaf == "self_qkv":  # queries carry the 1/sqrt(K) that the logits lack
                draw *= torch.tensor([(d * width) ** -0.5, d**-0.5, d**-0.5]).view(1, 1, 3, 1)
            else:
                draw *= scales[leaf]
            weight.copy_(draw)

    def select(self, kept: Tensor) -> None:
        """Keep the replicas with these indices, in this order."""
        for parameter in self.parameters():
            parameter.data = parameter.data[kept].contiguous()
            parameter.grad = None

    def embed(self, tokens: Tensor) -> Tensor:
        """(R, N) ids -> (R, N, D)."""
        rows = tokens + torch.arange(len(tokens), device=tokens.device).unsqueeze(1) * self.vocabulary_size
        return functional.embedding(rows, self.embedding.flatten(0, 1)).to(self.dtype)

    def encode(self, source: Packed, dropout: Dropout = no_dropout) -> Tensor:
        """Source ids -> (R, N, D)."""
        do, (ids, layout) = self.operations, source
        drop = _for_layout(dropout, layout)
        bias = do.bias(self.encoder.positions(layout.side.width, self.dtype), False)
        x = drop(self.embed(ids))
        for layer in self.encoder.unstacked(self.dtype):
            x = encoder_layer(x, layer, bias, layout, do, self.settings.heads, drop)
        return drop(do.norm(x, self.encoder.final_norm.to(self.dtype))[1])

    def decode(
        self, inputs: Packed, encoded: Tensor | None = None, source: Layout | None = None, dropout: Dropout = no_dropout
    ) -> Tensor:
        """Decoder inputs -> hidden states (R, N, D) after the last norm."""
        do, (ids, layout) = self.operations, inputs
        drop = _for_layout(dropout, layout)
        bias = do.bias(self.decoder.positions(layout.side.width, self.dtype), True)
        x = drop(self.embed(ids))
        for layer in self.decoder.unstacked(self.dtype):
            x = decoder_layer(x, layer, bias, layout, encoded, source, do, self.settings.heads, drop)
        return drop(do.norm(x, self.decoder.final_norm.to(self.dtype))[1])

    def logits(self, hidden: Tensor) -> Tensor:
        """(R, ..., D) -> (R, ..., V)."""
        r = hidden.shape[0]
        flat = torch.bmm(hidden.reshape(r, -1, hidden.shape[-1]), self.head.to(self.dtype).transpose(1, 2))
        return flat.view(*hidden.shape[:-1], -1)

    def forward(self, source: Packed | None, inputs: Packed, dropout: Dropout = no_dropout) -> Tensor:
        """Hidden states (R, N, D) after the decoder `inputs`; `source` is None without an encoder."""
        if self.encoder is None:
            return self.decode(inputs, dropout=dropout)
        return self.decode(inputs, self.encode(source, dropout), source.layout, dropout)


def _for_layout(dropout: Dropout, layout: Layout) -> Dropping:
    return no_dropout if dropout is no_dropout else partial(dropout, layout)
