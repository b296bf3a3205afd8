"""One Transformer with a leading replica axis: T5 v1.1 exactly, encoder optional.

R replicas of one shape are trained at once. Every parameter has the shape (R, ...), layers of a stack are stacked behind it
(R, layers, ...), and every linear layer is a batched matrix product over R. R = 1 is the ordinary model.

Shapes in this room: R replicas, B sequences, T target and S source positions, H heads, K head width, V vocabulary, D model width.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from transferlaws.model.settings import ModelSettings
from transferlaws.seeding import seed_for

EPSILON = 1e-6  # of RMSNorm, as in T5
FUSED_FROM = 256  # keys from which a GPU takes a fused attention kernel
Dropping = Callable[[Tensor], Tensor]


def no_dropout(x: Tensor) -> Tensor:
    """Dropout of rate 0."""
    return x


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


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """(R, ..., in) times (R, in, ...out) -> (R, ..., prod(out))."""
    weight = weight.flatten(2)
    return torch.bmm(x.flatten(1, -2), weight).unflatten(1, x.shape[1:-1])


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """T5's layer norm: no mean, no bias, statistics in fp32; x (R, ..., D), weight (R, D)."""
    scaled = x.float()
    scaled = scaled * torch.rsqrt(scaled.square().mean(-1, keepdim=True) + EPSILON)
    return scaled.to(x.dtype) * weight.view(weight.shape[0], *[1] * (x.dim() - 2), -1)


def split_heads(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """(R, B, T, parts*H*K) -> `parts` tensors (R, B, H, T, K)."""
    return x.unflatten(-1, (parts, heads, -1)).permute(3, 0, 1, 4, 2, 5).unbind(0)


def attend(q: Tensor, k: Tensor, v: Tensor, *biases: Tensor) -> Tensor:
    """Attention without logit scaling; q (R, B, H, T, K), k and v (R, B, H, S, K), biases broadcastable to (R, B, H, T, S).

    Returns (R, B, T, H*K). Plain matrix products for short sequences: fused kernels materialise the gradient of a learned bias
    once more. From `FUSED_FROM` keys on, a GPU takes the memory-efficient kernel: the default one can return NaN gradients where
    a mask is passed (pytorch issue 196678).
    """
    if q.is_cuda and k.shape[3] >= FUSED_FROM and q.shape[3] > 1:
        shape = (*q.shape[:4], k.shape[3])
        mask = sum(biases[1:], start=biases[0]).expand(shape).flatten(0, 1)
        with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
            parts = (x.flatten(0, 1) for x in (q, k, v))
            found = functional.scaled_dot_product_attention(*parts, attn_mask=mask, scale=1.0)
        return found.unflatten(0, shape[:2]).transpose(2, 3).flatten(-2)
    scores = torch.matmul(q, k.transpose(-1, -2))
    for bias in biases:
        scores = scores + bias
    weights = torch.softmax(scores.float(), dim=-1).to(v.dtype)
    return torch.matmul(weights, v).transpose(2, 3).flatten(-2)


def feed_forward(x: Tensor, layer: Layer, dropout: Dropping = no_dropout) -> Tensor:
    """Gated GELU (tanh form, as T5 v1.1) where `ff_in` has two parts, ReLU where it has one."""
    hidden = linear(rms_norm(x, layer.ff_norm), layer.ff_in)
    if layer.ff_in.shape[2] == 2:
        gate, value = hidden.chunk(2, dim=-1)
        hidden = functional.gelu(gate, approximate="tanh") * value
    else:
        hidden = functional.relu(hidden)
    return linear(dropout(hidden), layer.ff_out)


def encoder_layer(x: Tensor, bias: Tensor, hidden: Tensor, layer: Layer, heads: int, dropout: Dropping) -> Tensor:
    """One layer on x (R, B, S, D); bias (R, 1, H, S, S) of positions, hidden (R, B, 1, 1, S) of padding."""
    q, k, v = split_heads(linear(rms_norm(x, layer.self_norm), layer.self_qkv), 3, heads)
    x = x + dropout(linear(attend(q, k, v, bias, hidden), layer.self_out))
    return x + dropout(feed_forward(x, layer, dropout))


def decoder_layer(
    x: Tensor,
    bias: Tensor,
    encoded: Tensor | None,
    source_bias: Tensor | None,
    layer: Layer,
    heads: int,
    dropout: Dropping,
) -> Tensor:
    """X (R, B, T, D) -> the same shape; encoded (R, B, S, D), source_bias (R or 1, B, 1, 1, S)."""
    q, k, v = split_heads(linear(rms_norm(x, layer.self_norm), layer.self_qkv), 3, heads)
    x = x + dropout(linear(attend(q, k, v, bias), layer.self_out))
    if encoded is not None:
        (q,) = split_heads(linear(rms_norm(x, layer.cross_norm), layer.cross_q), 1, heads)
        k, v = split_heads(linear(encoded, layer.cross_kv), 2, heads)
        x = x + dropout(linear(attend(q, k, v, source_bias), layer.cross_out))
    return x + dropout(feed_forward(x, layer, dropout))


def relative_buckets(queries: int, keys: int, settings: ModelSettings, *, bidirectional: bool, device: torch.device) -> Tensor:
    """T5's bucket of each (query, key) offset: (queries, keys) of int64. Half exact, half logarithmic up to the largest distance.

    The queries are the last `queries` of `keys` positions.
    """
    offset = torch.arange(keys, device=device)[None, :] - torch.arange(keys - queries, keys, device=device)[:, None]
    buckets = settings.relative_buckets
    bucket = torch.zeros_like(offset)
    if bidirectional:
        buckets //= 2
        bucket = (offset > 0) * buckets
        distance = offset.abs()
    else:
        distance = (-offset).clamp(min=0)
    exact = buckets // 2
    scale = math.log(settings.relative_distance / exact)
    far = exact + (torch.log(distance.clamp(min=1).float() / exact) / scale * (buckets - exact)).long()
    return bucket + torch.where(distance < exact, distance, far.clamp(max=buckets - 1))


class Layers(NamedTuple):
    """The two layer functions; training on a GPU replaces them by compiled forms."""

    encoder: Callable = encoder_layer
    decoder: Callable = decoder_layer


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
        self.buckets: dict[tuple, tuple[Tensor, Tensor | None]] = {}  # one-hot buckets and causal mask of each shape met

    def unstacked(self, dtype: torch.dtype) -> Iterator[Layer]:
        """One `Layer` after another, cast to the type of computation; the gradient of all layers is gathered in one piece."""
        columns = [getattr(self, name).to(dtype).unbind(1) for name in self.names]
        for weights in zip(*columns, strict=True):
            yield Layer(**dict(zip(self.names, weights, strict=True)))

    def position_bias(self, queries: int, keys: int, dtype: torch.dtype) -> Tensor:
        """(R, 1, H, queries, keys): learned, and minus infinity above the diagonal of a decoder.

        A product with the buckets as one-hot rows: its gradient is one too, where that of an indexing would be a crowded scatter.
        """
        device = self.relative_bias.device
        place = (queries, keys, dtype, device)
        if place not in self.buckets:
            buckets = relative_buckets(queries, keys, self.settings, bidirectional=not self.causal, device=device)
            rows = buckets.flatten()[:, None] == torch.arange(self.settings.relative_buckets, device=device)
            mask = torch.ones(queries, keys, dtype=torch.bool, device=device).triu(keys - queries + 1) if self.causal else None
            self.buckets[place] = rows.to(dtype), mask
        rows, mask = self.buckets[place]
        bias = torch.matmul(self.relative_bias.to(dtype).transpose(1, 2), rows.t()).unflatten(-1, (queries, keys))
        return (bias if mask is None else bias.masked_fill(mask, float("-inf"))).unsqueeze(1)


class Transformer(nn.Module):
    """R models of one shape. `dtype` is the type of computation; the parameters stay in fp32."""

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
        self.layers = Layers()

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
        """(R, B, T) ids -> (R, B, T, D)."""
        r, b, t = tokens.shape
        rows = tokens + torch.arange(r, device=tokens.device).view(r, 1, 1) * self.vocabulary_size
        return functional.embedding(rows.view(-1), self.embedding.flatten(0, 1)).view(r, b, t, -1).to(self.dtype)

    def encode(self, source: Tensor, dropout: Dropping = no_dropout) -> tuple[Tensor, Tensor]:
        """Source ids (R, B, S), pad 0 -> (R, B, S, D) and the bias (R, B, 1, 1, S) that hides padding."""
        hidden = torch.zeros(source.shape, dtype=self.dtype, device=source.device).masked_fill(source == 0, float("-inf"))
        hidden = hidden[:, :, None, None, :]
        # a row of nothing but padding would make every weight NaN
        hidden = hidden.masked_fill((source == 0).all(-1)[:, :, None, None, None], 0.0)
        length = source.shape[-1]
        bias = self.encoder.position_bias(length, length, self.dtype)
        x = dropout(self.embed(source))
        for layer in self.encoder.unstacked(self.dtype):
            x = self.layers.encoder(x, bias, hidden, layer, self.settings.heads, dropout)
        return dropout(rms_norm(x, self.encoder.final_norm.to(self.dtype))), hidden

    def decode(
        self,
        inputs: Tensor,
        encoded: Tensor | None = None,
        source_bias: Tensor | None = None,
        dropout: Dropping = no_dropout,
    ) -> Tensor:
        """Decoder inputs (R, B, T) -> hidden states (R, B, T, D) after the last norm."""
        length = inputs.shape[-1]
        bias = self.decoder.position_bias(length, length, self.dtype)
        x = dropout(self.embed(inputs))
        for layer in self.decoder.unstacked(self.dtype):
            x = self.layers.decoder(x, bias, encoded, source_bias, layer, self.settings.heads, dropout)
        return dropout(rms_norm(x, self.decoder.final_norm.to(self.dtype)))

    def logits(self, hidden: Tensor) -> Tensor:
        """(R, ..., D) -> (R, ..., V)."""
        r = hidden.shape[0]
        flat = torch.bmm(hidden.reshape(r, -1, hidden.shape[-1]), self.head.to(self.dtype).transpose(1, 2))
        return flat.view(*hidden.shape[:-1], -1)

    def forward(self, source: Tensor | None, target: Tensor, dropout: Dropping = no_dropout) -> Tensor:
        """Hidden states (R, B, T, D) that predict `target` (R, B, T); `source` (R, B, S), None without an encoder."""
        encoded = self.encode(source, dropout) if self.encoder is not None else (None, None)
        return self.decode(shift_right(target), *encoded, dropout)


def shift_right(target: Tensor) -> Tensor:
    """Decoder inputs of a target: pad (0) starts a sequence, as in T5."""
    return functional.pad(target[..., :-1], (1, 0))
