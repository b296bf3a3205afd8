"""What a layer does besides matrix products, and its plain form; `kernels` has the one for training on a GPU."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from transferlaws.model.loss import RowGradient
from transferlaws.model.packing import Layout
from transferlaws.model.positions import EPSILON, Positions, diagonal_sums
from transferlaws.model.settings import ModelSettings

Dropping = Callable[[Tensor], Tensor]


class Operations(Protocol):
    """One form of the layers' operations."""

    pads: bool
    """Whether attention wants padded groups in its layouts."""

    def norm(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """`x` (R, ..., D), weight (R, D) -> `x` for the residual stream, and its RMSNorm."""
        ...

    def gated_gelu(self, hidden: Tensor) -> Tensor:
        """Gate and value (..., 2F) -> (..., F)."""
        ...

    def bias(self, positions: Positions, causal: bool) -> Any:
        """What `attention` takes, the same in all layers."""
        ...

    def attention(
        self, queries: Tensor, layout: Layout, others: Tensor | None, other: Layout | None, bias: Any, heads: int, causal: bool
    ) -> Tensor:
        """Self-attention of `queries` (R, N, 3HK), or attention of `queries` (R, N, HK) to `others` (R, M, 2HK) -> (R, N, HK).

        Args:
            queries: with their keys and values where `others` is None.
            layout: theirs.
            others: keys and values of other sequences.
            other: their layout.
            bias: what `bias` made, or None.
            heads: their number, H.
            causal: whether a position sees none after it.
        """
        ...

    @property
    def row_gradient(self) -> RowGradient | None:
        """See `loss.py`; None: what suits the device."""
        ...


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


class Diagonals(torch.autograd.Function):
    """See `diagonals`."""

    @staticmethod
    def forward(context, table: Tensor) -> Tensor:
        """A copy of shifted windows."""
        return table.unfold(-1, (table.shape[-1] + 1) // 2, 1).flip(-2).contiguous()

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        """Sums in fp32."""
        return diagonal_sums(gradient.float()).to(gradient.dtype)


def diagonals(table: Tensor) -> Tensor:
    """Values by offset (..., 2 × n - 1) -> (..., n, n): entry (t, s) is that of offset s - t."""
    return Diagonals.apply(table)


def bias_matrix(positions: Positions, causal: bool) -> Tensor:
    """(R, H, width, width): rows are queries; minus infinity above the diagonal if `causal`."""
    matrix = diagonals(positions.table)
    if not causal:
        return matrix
    return matrix.masked_fill(torch.ones(matrix.shape[-2:], dtype=torch.bool, device=matrix.device).triu(1), float("-inf"))


def _attention(
    queries: Tensor, layout: Layout, others: Tensor | None, other: Layout | None, matrix: Tensor | None, heads: int, causal: bool
) -> Tensor:
    """One padded group after another."""
    keys = other or layout
    parts = layout.groups(queries)
    other_parts = [None] * len(parts) if others is None else keys.groups(others)
    results, row = [], 0
    for part, other_part in zip(parts, other_parts, strict=True):
        if other_part is None:
            q, k, v = split_heads(part, 3, heads)
        else:
            (q,), (k, v) = split_heads(part, 1, heads), split_heads(other_part, 2, heads)
        biases = [] if matrix is None else [matrix[:, :, : q.shape[3], : k.shape[3]].unsqueeze(1)]
        if not causal:  # where padding comes after everything that is seen
            biases.append(padding_bias(keys.lengths[:, row : row + part.shape[1]], k.shape[3], q.dtype))
        results.append(attend(q, k, v, *biases).flatten(1, 2))
        row += part.shape[1]
    return layout.gather(torch.cat(results, 1))


def padding_bias(lengths: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """(R, B, 1, 1, width): minus infinity beyond each length (R, B), but never everywhere: all weights would be NaN."""
    hidden = torch.arange(width, device=lengths.device) >= lengths.clamp(min=1).unsqueeze(-1)
    return torch.zeros(hidden.shape, dtype=dtype, device=lengths.device).masked_fill(hidden, float("-inf"))[:, :, None, None, :]


class Plain:
    """Plain PyTorch."""

    pads = True
    row_gradient = None

    def norm(self, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """See `Operations`."""
        return x, rms_norm(x, weight)

    gated_gelu = staticmethod(gated_gelu)
    bias = staticmethod(bias_matrix)
    attention = staticmethod(_attention)


PLAIN = Plain()
