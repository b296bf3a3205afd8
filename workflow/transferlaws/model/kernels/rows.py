"""What happens to rows between the matrix products: RMSNorm, the gated GELU, the loss over the vocabulary. All in fp32 inside."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from transferlaws.model.positions import EPSILON

PROGRAMS = 2048  # that share the rows of a norm's backward pass
COLUMNS = 4096  # of the vocabulary at once


@triton.jit
def _norm(X, WEIGHT, OUT, SCALE, N, WEIGHT_ROW, D: tl.constexpr, BLOCK: tl.constexpr, EPSILON: tl.constexpr):
    row, column = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    mask = column < D
    x = tl.load(X + row * D + column, mask=mask, other=0.0).to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(x * x, 0) / D + EPSILON)
    weight = tl.load(WEIGHT + row // N * WEIGHT_ROW + column, mask=mask, other=0.0).to(tl.float32)
    tl.store(OUT + row * D + column, (x * scale * weight).to(OUT.dtype.element_ty), mask=mask)
    tl.store(SCALE + row, scale)


@triton.jit
def _norm_backward(
    X, WEIGHT, SCALE, D_OUT, D_SKIP, D_X, D_WEIGHT, N, PARTS, ROWS, WEIGHT_ROW, D: tl.constexpr, BLOCK: tl.constexpr
):
    """Rows [part * ROWS, ...) of one replica: the input's gradient, to which `D_SKIP` is added, and a part of the weight's."""
    replica, part, column = tl.program_id(0) // PARTS, tl.program_id(0) % PARTS, tl.arange(0, BLOCK)
    mask = column < D
    weight = tl.load(WEIGHT + replica * WEIGHT_ROW + column, mask=mask, other=0.0).to(tl.float32)
    d_weight = tl.zeros([BLOCK], tl.float32)
    for number in range(part * ROWS, tl.minimum((part + 1) * ROWS, N)):
        row = replica.to(tl.int64) * N + number
        place = row * D + column
        x = tl.load(X + place, mask=mask, other=0.0).to(tl.float32)
        d_out = tl.load(D_OUT + place, mask=mask, other=0.0).to(tl.float32)
        skip = tl.load(D_SKIP + place, mask=mask, other=0.0).to(tl.float32)
        scale = tl.load(SCALE + row)
        unit, d_unit = x * scale, d_out * weight
        d_weight += d_out * unit
        d_x = scale * (d_unit - unit * (tl.sum(d_unit * unit, 0) / D)) + skip
        tl.store(D_X + place, d_x.to(D_X.dtype.element_ty), mask=mask)
    tl.store(D_WEIGHT + tl.program_id(0) * D + column, d_weight, mask=mask)


class Norm(torch.autograd.Function):
    """See `norm`."""

    @staticmethod
    def forward(context, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Save what backward needs."""
        replicas, width = weight.shape
        rows = x.numel() // width
        out, scale = torch.empty_like(x), torch.empty(rows, dtype=torch.float32, device=x.device)
        _norm[(rows,)](
            x,
            weight,
            out,
            scale,
            rows // replicas,
            weight.stride(0),
            width,
            triton.next_power_of_2(width),
            EPSILON,
            num_warps=_warps(width),
        )
        context.save_for_backward(x, weight, scale)
        return x.view_as(x), out

    @staticmethod
    def backward(context, d_skip: Tensor, d_out: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of the inputs."""
        x, weight, scale = context.saved_tensors
        replicas, width = weight.shape
        rows = x.numel() // width // replicas
        parts = max(min(PROGRAMS // replicas, rows), 1)
        share = triton.cdiv(rows, parts)
        d_x = torch.empty_like(x)
        d_weight = torch.empty(replicas, parts, width, dtype=torch.float32, device=x.device)
        arguments = (x, weight, scale, d_out.contiguous(), d_skip.contiguous(), d_x, d_weight, rows, parts, share, weight.stride(0))
        _norm_backward[(replicas * parts,)](*arguments, width, triton.next_power_of_2(width), num_warps=_warps(width))
        return d_x, d_weight.sum(1).to(weight.dtype)


def norm(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Contiguous x (R, ..., D) for the residual stream, and its RMSNorm; weight (R, D). Backward adds both gradients at once."""
    return Norm.apply(x, weight)


def _warps(width: int) -> int:
    return min(max(triton.next_power_of_2(width) // 256, 1), 8)


@triton.jit
def _gated_gelu(H, OUT, F: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = column < F
    gate = tl.load(H + row * 2 * F + column, mask=mask, other=0.0).to(tl.float32)
    value = tl.load(H + row * 2 * F + F + column, mask=mask, other=0.0).to(tl.float32)
    inner = 0.7978845608028654 * (gate + 0.044715 * gate * gate * gate)  # sqrt(2 / pi)
    out = gate * tl.sigmoid(2.0 * inner) * value  # (1 + tanh u) / 2 = sigmoid(2 u)
    tl.store(OUT + row * F + column, out.to(OUT.dtype.element_ty), mask=mask)


@triton.jit
def _gated_gelu_backward(H, D_OUT, D_H, F: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = column < F
    place = row * 2 * F + column
    gate = tl.load(H + place, mask=mask, other=0.0).to(tl.float32)
    value = tl.load(H + place + F, mask=mask, other=0.0).to(tl.float32)
    d_out = tl.load(D_OUT + row * F + column, mask=mask, other=0.0).to(tl.float32)
    share = tl.sigmoid(1.5957691216057308 * (gate + 0.044715 * gate * gate * gate))
    slope = share + gate * share * (1.0 - share) * 1.5957691216057308 * (1.0 + 0.134145 * gate * gate)
    tl.store(D_H + place, (d_out * value * slope).to(D_H.dtype.element_ty), mask=mask)
    tl.store(D_H + place + F, (d_out * gate * share).to(D_H.dtype.element_ty), mask=mask)


class GatedGelu(torch.autograd.Function):
    """See `gated_gelu`."""

    @staticmethod
    def forward(context, hidden: Tensor) -> Tensor:
        """Save what backward needs."""
        width = hidden.shape[-1] // 2
        out = torch.empty(*hidden.shape[:-1], width, dtype=hidden.dtype, device=hidden.device)
        block = min(triton.next_power_of_2(width), 1024)
        _gated_gelu[(hidden.numel() // (2 * width), triton.cdiv(width, block))](hidden, out, width, block, num_warps=4)
        context.save_for_backward(hidden)
        return out

    @staticmethod
    def backward(context, d_out: Tensor) -> Tensor:
        """Gradients of the inputs."""
        (hidden,) = context.saved_tensors
        width = hidden.shape[-1] // 2
        d_hidden = torch.empty_like(hidden)
        block = min(triton.next_power_of_2(width), 1024)
        grid = (hidden.numel() // (2 * width), triton.cdiv(width, block))
        _gated_gelu_backward[grid](hidden, d_out.contiguous(), d_hidden, width, block, num_warps=4)
        return d_hidden


def gated_gelu(hidden: Tensor) -> Tensor:
    """Contiguous gate and value (..., 2 × F) -> GELU(gate) × value, tanh form."""
    return GatedGelu.apply(hidden)


@triton.jit
def _loss(LOGITS, TARGET, WEIGHT, NLL, V, COLUMNS: tl.constexpr):
    """The loss of one row, and its gradient in place of the logits."""
    row = tl.program_id(0).to(tl.int64)
    base = LOGITS + row * V
    target, weight = tl.load(TARGET + row), tl.load(WEIGHT + row)
    chosen = tl.load(base + target).to(tl.float32)
    top, total = float("-inf"), 0.0
    for start in range(0, V, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        x = tl.load(base + column, mask=column < V, other=float("-inf")).to(tl.float32)
        higher = tl.maximum(top, tl.max(x, 0))
        total = total * tl.exp(top - higher) + tl.sum(tl.exp(x - higher), 0)
        top = higher
    tl.store(NLL + row, top + tl.log(total) - chosen)
    for start in range(0, V, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        x = tl.load(base + column, mask=column < V, other=float("-inf")).to(tl.float32)
        gradient = (tl.exp(x - top) / total - tl.where(column == target, 1.0, 0.0)) * weight
        tl.store(base + column, gradient.to(LOGITS.dtype.element_ty), mask=column < V)


def row_gradient(logits: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """As `loss.row_gradient`, but the gradient takes the place of the logits (R, n, V), which must be contiguous."""
    nll = torch.empty(target.shape, dtype=torch.float32, device=logits.device)
    columns = min(triton.next_power_of_2(logits.shape[-1]), COLUMNS)
    arguments = (logits, target.contiguous(), weight.float().contiguous(), nll, logits.shape[-1], columns)
    _loss[(target.numel(),)](*arguments, num_warps=8)
    return nll, logits
