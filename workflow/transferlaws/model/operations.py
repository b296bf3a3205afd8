"""What a layer does besides matrix products, in two forms: plain PyTorch, and Triton kernels for training on a GPU."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from transferlaws.model.settings import ModelSettings

if TYPE_CHECKING:
    from transferlaws.model.transformer import Stack

EPSILON = 1e-6  # of RMSNorm, as in T5
Dropping = Callable[[Tensor], Tensor]


class Operations(NamedTuple):
    """One form of the layers' operations. Positions and padding pass from their makers to `attention` unseen."""

    norm: Callable  # x (R, ..., D), weight (R, D) -> x for the residual stream, and its RMSNorm
    gated_gelu: Callable  # gate and value (..., 2F) -> (..., F)
    # (R, B, T, 3HK), None | (R, B, T, HK), (R, B, S, 2HK); positions | None; padding | None; H; causal -> (R, B, T, HK)
    attention: Callable
    positions: Callable  # stack, length, type -> positions
    padding: Callable  # ids (R, B, S), type -> padding
    row_gradient: Callable | None  # see loss.py; None: what suits the device


def no_dropout(x: Tensor) -> Tensor:
    """Dropout of rate 0."""
    return x


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """(R, ..., in) times (R, in, ...out) -> (R, ..., prod(out))."""
    return torch.bmm(x.flatten(1, -2), weight.flatten(2)).unflatten(1, x.shape[1:-1])


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """T5's layer norm: no mean, no bias, statistics in fp32; x (R, ..., D), weight (R, D)."""
    scaled = x.float()
    scaled = scaled * torch.rsqrt(scaled.square().mean(-1, keepdim=True) + EPSILON)
    return scaled.to(x.dtype) * weight.view(weight.shape[0], *[1] * (x.dim() - 2), -1)


def gated_gelu(hidden: Tensor) -> Tensor:
    """GELU(gate) × value in the tanh form, as T5 v1.1."""
    gate, value = hidden.chunk(2, dim=-1)
    return functional.gelu(gate, approximate="tanh") * value


def split_heads(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """(R, B, T, parts*H*K) -> `parts` tensors (R, B, H, T, K)."""
    return x.unflatten(-1, (parts, heads, -1)).permute(3, 0, 1, 4, 2, 5).unbind(0)


def attend(q: Tensor, k: Tensor, v: Tensor, *biases: Tensor) -> Tensor:
    """Attention without logit scaling; q (R, B, H, T, K), k and v (R, B, H, S, K), biases broadcastable to (R, B, H, T, S).

    Returns (R, B, T, H*K). Matrix products and a softmax: no fused kernel of PyTorch takes a learned bias without materialising
    its gradient, and the default one has returned NaN gradients where a mask is passed (pytorch issue 196678).
    """
    scores = torch.matmul(q, k.transpose(-1, -2))
    for bias in biases:
        scores = scores + bias
    weights = torch.softmax(scores.float(), dim=-1).to(v.dtype)
    return torch.matmul(weights, v).transpose(2, 3).flatten(-2)


def relative_buckets(offset: Tensor, settings: ModelSettings, *, bidirectional: bool) -> Tensor:
    """T5's bucket of each offset (key - query): half exact, half logarithmic up to the largest distance; int64."""
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


def _norm(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return x, rms_norm(x, weight)


def _attention(
    queries: Tensor, others: Tensor | None, positions: Tensor | None, padding: Tensor | None, heads: int, causal: bool
) -> Tensor:
    if others is None:
        q, k, v = split_heads(queries, 3, heads)
    else:
        (q,), (k, v) = split_heads(queries, 1, heads), split_heads(others, 2, heads)
    return attend(q, k, v, *(bias for bias in (positions, padding) if bias is not None))


def _positions(stack: "Stack", length: int, dtype: torch.dtype) -> Tensor:
    """(R, 1, H, length, length), minus infinity above the diagonal of a decoder."""
    place = torch.arange(length, device=stack.relative_bias.device)
    offsets = place[None, :] - place[:, None]
    bias = stack.positions(offsets, dtype)
    return (bias.masked_fill(offsets > 0, float("-inf")) if stack.causal else bias).unsqueeze(1)


def _padding(source: Tensor, dtype: torch.dtype) -> Tensor:
    """(R, B, 1, 1, S): minus infinity at padding, except in a row of nothing else, whose weights would all be NaN."""
    hidden = (source == 0) & (source != 0).any(-1, keepdim=True)
    return torch.zeros(source.shape, dtype=dtype, device=source.device).masked_fill(hidden, float("-inf"))[:, :, None, None, :]


PLAIN = Operations(_norm, gated_gelu, _attention, _positions, _padding, None)


def fused() -> Operations:
    """The Triton forms. Positions are a table by offset (R, H, 2 × length - 1), padding is the sources' lengths."""
    from transferlaws.model.kernels import attention, rows

    def attend_fused(
        queries: Tensor, others: Tensor | None, positions: Tensor | None, padding: Tensor | None, heads: int, causal: bool
    ) -> Tensor:
        if padding is None:
            padding = torch.full(queries.shape[:2], queries.shape[2], dtype=torch.int32, device=queries.device)
        return attention.attention(queries, others, positions, padding, heads, causal)

    def table(stack: "Stack", length: int, dtype: torch.dtype) -> Tensor:
        return stack.positions(torch.arange(1 - length, length, device=stack.relative_bias.device), dtype).contiguous()

    def lengths(source: Tensor, _: torch.dtype) -> Tensor:
        return (source != 0).sum(-1, dtype=torch.int32).clamp(min=1)

    return Operations(rows.norm, rows.gated_gelu, attend_fused, table, lengths, rows.row_gradient)
