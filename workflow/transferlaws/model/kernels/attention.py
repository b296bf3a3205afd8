"""T5's attention in tiles, without storing scores: no logit scaling, a learned bias, sequences behind one another without padding.

Queries, keys and values are read where the projections left them, and gradients are written where those want them, so nothing is
copied, padded or transposed. The gradient of the bias sums over sequences inside the kernel, in a fixed order: every run gives the
same. The scheme is that of FlashAttention (Dao et al. 2022).
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from transferlaws.model.kernels.tiles import LONG, TILES
from transferlaws.model.packing import Layout

WIDE = 64  # the widest heads that long sequences have larger tiles for
PROGRAMS = 2048  # that share the sequences whose bias gradients are added up


@triton.jit
def _load(base, rows, width, row_stride, count, WIDTH: tl.constexpr):
    """A tile (rows × width) of a matrix, zeros outside."""
    mask = (rows < count)[:, None] & (width < WIDTH)[None, :]
    return tl.load(base + rows[:, None] * row_stride + width[None, :], mask=mask, other=0.0)


@triton.jit
def _store(base, values, rows, width, row_stride, count, WIDTH: tl.constexpr):
    mask = (rows < count)[:, None] & (width < WIDTH)[None, :]
    tl.store(base + rows[:, None] * row_stride + width[None, :], values.to(base.dtype.element_ty), mask=mask)


@triton.jit
def _place(STARTS, LENGTHS, replica, sequence, stride):
    """First position and length of a sequence."""
    at = replica * stride + sequence
    return tl.load(STARTS + at), tl.load(LENGTHS + at).to(tl.int32)


@triton.jit
def _base(POINTER, replica, position, head, replica_stride, row_stride, WIDTH: tl.constexpr):
    """Where one head of one position lies."""
    return POINTER + replica.to(tl.int64) * replica_stride + position.to(tl.int64) * row_stride + head * WIDTH


@triton.jit
def _tile_scores(q, k, bias, rows, cols, T, S, bias_row, BIASED: tl.constexpr, CAUSAL: tl.constexpr):
    """Scores of a tile (rows × cols), minus infinity outside and where a key is hidden."""
    scores = tl.dot(q, tl.trans(k))
    inside = (rows < T)[:, None] & (cols < S)[None, :]
    if BIASED:
        scores += tl.load(bias + rows[:, None] * bias_row + cols[None, :], mask=inside, other=0.0).to(tl.float32)
    if CAUSAL:
        inside = inside & (cols[None, :] <= rows[:, None])
    return tl.where(inside, scores, float("-inf"))


@triton.jit
def _forward(Q, K, V, BIAS, Q_STARTS, Q_LENGTHS, K_STARTS, K_LENGTHS, OUT, LSE,
             q_replica, q_row, k_replica, k_row, q_table, k_table, bias_row, N, B, H,
             BIASED: tl.constexpr, CAUSAL: tl.constexpr, WIDTH: tl.constexpr, W: tl.constexpr,
             BM: tl.constexpr, BN: tl.constexpr):  # fmt: skip
    sequence, head, replica = tl.program_id(0) // H % B, tl.program_id(0) % H, tl.program_id(0) // (H * B)
    q_start, T = _place(Q_STARTS, Q_LENGTHS, replica, sequence, q_table)
    if tl.program_id(1) * BM >= T:
        return
    k_start, S = _place(K_STARTS, K_LENGTHS, replica, sequence, k_table)
    rows, width = tl.program_id(1) * BM + tl.arange(0, BM), tl.arange(0, W)
    q = _load(_base(Q, replica, q_start, head, q_replica, q_row, WIDTH), rows, width, q_row, T, WIDTH)
    keys = _base(K, replica, k_start, head, k_replica, k_row, WIDTH)
    values = _base(V, replica, k_start, head, k_replica, k_row, WIDTH)
    bias = BIAS + (replica * H + head).to(tl.int64) * bias_row * bias_row
    top = tl.full([BM], float("-inf"), tl.float32)
    total = tl.zeros([BM], tl.float32)
    out = tl.zeros([BM, W], tl.float32)
    stop = S
    if CAUSAL:
        stop = tl.minimum(S, (tl.program_id(1) + 1) * BM)
    for start in range(0, stop, BN):
        cols = start + tl.arange(0, BN)
        scores = _tile_scores(q, _load(keys, cols, width, k_row, S, WIDTH), bias, rows, cols, T, S, bias_row, BIASED, CAUSAL)
        higher = tl.maximum(top, tl.max(scores, 1))
        higher = tl.where(higher == float("-inf"), 0.0, higher)  # rows beyond T see nothing
        weights = tl.exp(scores - higher[:, None])
        shrink = tl.exp(top - higher)
        total = total * shrink + tl.sum(weights, 1)
        v = _load(values, cols, width, k_row, S, WIDTH)
        out = out * shrink[:, None] + tl.dot(weights.to(v.dtype), v)
        top = higher
    total = tl.where(total == 0.0, 1.0, total)
    out_row = H * WIDTH
    _store(_base(OUT, replica, q_start, head, N * out_row, out_row, WIDTH), out / total[:, None], rows, width, out_row, T, WIDTH)
    line = LSE + (replica * H + head).to(tl.int64) * N + q_start
    tl.store(line + rows, top + tl.log(total), mask=rows < T)


@triton.jit
def _score_gradient(q, k, v, d_out, lse, delta, bias, rows, cols, T, S, bias_row, BIASED: tl.constexpr, CAUSAL: tl.constexpr):
    """Weights and score gradients of a tile, both (rows × cols) in fp32."""
    scores = _tile_scores(q, k, bias, rows, cols, T, S, bias_row, BIASED, CAUSAL)
    weights = tl.exp(scores - lse[:, None])
    return weights, weights * (tl.dot(d_out, tl.trans(v)) - delta[:, None])


@triton.jit
def _backward_queries(Q, K, V, BIAS, Q_STARTS, Q_LENGTHS, K_STARTS, K_LENGTHS, OUT, LSE, D_OUT, DELTA, D_Q,
                      q_replica, q_row, k_replica, k_row, q_table, k_table, bias_row, N, B, H,
                      BIASED: tl.constexpr, CAUSAL: tl.constexpr, WIDTH: tl.constexpr, W: tl.constexpr,
                      BM: tl.constexpr, BN: tl.constexpr):  # fmt: skip
    sequence, head, replica = tl.program_id(0) // H % B, tl.program_id(0) % H, tl.program_id(0) // (H * B)
    q_start, T = _place(Q_STARTS, Q_LENGTHS, replica, sequence, q_table)
    if tl.program_id(1) * BM >= T:
        return
    k_start, S = _place(K_STARTS, K_LENGTHS, replica, sequence, k_table)
    rows, width = tl.program_id(1) * BM + tl.arange(0, BM), tl.arange(0, W)
    out_row = H * WIDTH
    line = (replica * H + head).to(tl.int64) * N + q_start + rows
    q = _load(_base(Q, replica, q_start, head, q_replica, q_row, WIDTH), rows, width, q_row, T, WIDTH)
    d_out = _load(_base(D_OUT, replica, q_start, head, N * out_row, out_row, WIDTH), rows, width, out_row, T, WIDTH)
    out = _load(_base(OUT, replica, q_start, head, N * out_row, out_row, WIDTH), rows, width, out_row, T, WIDTH)
    delta = tl.sum(d_out.to(tl.float32) * out.to(tl.float32), 1)
    tl.store(DELTA + line, delta, mask=rows < T)
    lse = tl.load(LSE + line, mask=rows < T, other=0.0)
    keys = _base(K, replica, k_start, head, k_replica, k_row, WIDTH)
    values = _base(V, replica, k_start, head, k_replica, k_row, WIDTH)
    bias = BIAS + (replica * H + head).to(tl.int64) * bias_row * bias_row
    d_q = tl.zeros([BM, W], tl.float32)
    stop = S
    if CAUSAL:
        stop = tl.minimum(S, (tl.program_id(1) + 1) * BM)
    for start in range(0, stop, BN):
        cols = start + tl.arange(0, BN)
        k = _load(keys, cols, width, k_row, S, WIDTH)
        v = _load(values, cols, width, k_row, S, WIDTH)
        _, d_scores = _score_gradient(q, k, v, d_out, lse, delta, bias, rows, cols, T, S, bias_row, BIASED, CAUSAL)
        d_q += tl.dot(d_scores.to(k.dtype), k)
    _store(_base(D_Q, replica, q_start, head, q_replica, q_row, WIDTH), d_q, rows, width, q_row, T, WIDTH)


@triton.jit
def _backward_keys(Q, K, V, BIAS, Q_STARTS, Q_LENGTHS, K_STARTS, K_LENGTHS, LSE, D_OUT, DELTA, D_K, D_V,
                   q_replica, q_row, k_replica, k_row, q_table, k_table, bias_row, N, B, H,
                   BIASED: tl.constexpr, CAUSAL: tl.constexpr, WIDTH: tl.constexpr, W: tl.constexpr,
                   BM: tl.constexpr, BN: tl.constexpr):  # fmt: skip
    sequence, head, replica = tl.program_id(0) // H % B, tl.program_id(0) % H, tl.program_id(0) // (H * B)
    k_start, S = _place(K_STARTS, K_LENGTHS, replica, sequence, k_table)
    if tl.program_id(1) * BN >= S:
        return
    q_start, T = _place(Q_STARTS, Q_LENGTHS, replica, sequence, q_table)
    cols, width = tl.program_id(1) * BN + tl.arange(0, BN), tl.arange(0, W)
    k = _load(_base(K, replica, k_start, head, k_replica, k_row, WIDTH), cols, width, k_row, S, WIDTH)
    v = _load(_base(V, replica, k_start, head, k_replica, k_row, WIDTH), cols, width, k_row, S, WIDTH)
    out_row = H * WIDTH
    queries = _base(Q, replica, q_start, head, q_replica, q_row, WIDTH)
    d_outs = _base(D_OUT, replica, q_start, head, N * out_row, out_row, WIDTH)
    line = (replica * H + head).to(tl.int64) * N + q_start
    bias = BIAS + (replica * H + head).to(tl.int64) * bias_row * bias_row
    d_k, d_v = tl.zeros([BN, W], tl.float32), tl.zeros([BN, W], tl.float32)
    first = 0
    if CAUSAL:
        first = (tl.program_id(1) * BN) // BM * BM
    for start in range(first, T, BM):
        rows = start + tl.arange(0, BM)
        q = _load(queries, rows, width, q_row, T, WIDTH)
        d_out = _load(d_outs, rows, width, out_row, T, WIDTH)
        lse = tl.load(LSE + line + rows, mask=rows < T, other=0.0)
        delta = tl.load(DELTA + line + rows, mask=rows < T, other=0.0)
        weights, d_scores = _score_gradient(q, k, v, d_out, lse, delta, bias, rows, cols, T, S, bias_row, BIASED, CAUSAL)
        d_v += tl.dot(tl.trans(weights.to(d_out.dtype)), d_out)
        d_k += tl.dot(tl.trans(d_scores.to(q.dtype)), q)
    _store(_base(D_K, replica, k_start, head, k_replica, k_row, WIDTH), d_k, cols, width, k_row, S, WIDTH)
    _store(_base(D_V, replica, k_start, head, k_replica, k_row, WIDTH), d_v, cols, width, k_row, S, WIDTH)


@triton.jit
def _backward_bias(Q, K, V, BIAS, Q_STARTS, Q_LENGTHS, K_STARTS, K_LENGTHS, LSE, D_OUT, DELTA, D_BIAS,
                   q_replica, q_row, k_replica, k_row, q_table, k_table, bias_row, N, B, H, CHUNKS,
                   BIASED: tl.constexpr, CAUSAL: tl.constexpr, WIDTH: tl.constexpr, W: tl.constexpr,
                   BM: tl.constexpr, BN: tl.constexpr):  # fmt: skip
    """One tile of the bias gradient (R, H, chunks, width, width), added up over the sequences of a chunk: every CHUNKS-th."""
    chunk, head, replica = tl.program_id(0) % CHUNKS, tl.program_id(0) // CHUNKS % H, tl.program_id(0) // (CHUNKS * H)
    rows, cols, width = tl.program_id(1) * BM + tl.arange(0, BM), tl.program_id(2) * BN + tl.arange(0, BN), tl.arange(0, W)
    out_row = H * WIDTH
    bias = BIAS + (replica * H + head).to(tl.int64) * bias_row * bias_row
    total = tl.zeros([BM, BN], tl.float32)
    for sequence in range(chunk, B, CHUNKS):
        q_start, T = _place(Q_STARTS, Q_LENGTHS, replica, sequence, q_table)
        k_start, S = _place(K_STARTS, K_LENGTHS, replica, sequence, k_table)
        if (tl.program_id(1) * BM < T) & (tl.program_id(2) * BN < S):
            line = (replica * H + head).to(tl.int64) * N + q_start + rows
            q = _load(_base(Q, replica, q_start, head, q_replica, q_row, WIDTH), rows, width, q_row, T, WIDTH)
            d_out = _load(_base(D_OUT, replica, q_start, head, N * out_row, out_row, WIDTH), rows, width, out_row, T, WIDTH)
            lse = tl.load(LSE + line, mask=rows < T, other=0.0)
            delta = tl.load(DELTA + line, mask=rows < T, other=0.0)
            k = _load(_base(K, replica, k_start, head, k_replica, k_row, WIDTH), cols, width, k_row, S, WIDTH)
            v = _load(_base(V, replica, k_start, head, k_replica, k_row, WIDTH), cols, width, k_row, S, WIDTH)
            _, d_scores = _score_gradient(q, k, v, d_out, lse, delta, bias, rows, cols, T, S, bias_row, BIASED, CAUSAL)
            total += d_scores
    place = D_BIAS + tl.program_id(0).to(tl.int64) * bias_row * bias_row + rows[:, None] * bias_row + cols[None, :]
    tl.store(place, total, mask=(rows < bias_row)[:, None] & (cols < bias_row)[None, :])


class _Shape(NamedTuple):
    """What the kernels need to know beside their tensors."""

    queries: Layout
    keys: Layout
    heads: int
    width: int  # of a head
    biased: bool
    causal: bool

    def tables(self) -> tuple[Tensor, ...]:
        """Where sequences lie."""
        return self.queries.starts, self.queries.lengths, self.keys.starts, self.keys.lengths

    def sizes(self, q: Tensor, k: Tensor) -> tuple[int, ...]:
        """Strides of a replica and of a row, in elements, those of the tables, and sizes, in the order of the kernels."""
        strides = (*q.stride()[:2], *k.stride()[:2], self.queries.starts.stride(0), self.keys.starts.stride(0))
        return *strides, self.queries.side.width, q.shape[1], self.sequences, self.heads

    @property
    def sequences(self) -> int:
        """B."""
        return self.queries.starts.shape[1]

    def plan(self, kernel: str) -> tuple[int, int, dict[str, int | bool]]:
        """Tiles of the longest sequence along queries and along keys, and the compile-time arguments of a kernel."""
        widths = self.queries.side.width, self.keys.side.width
        # wider heads would not fit beside one another in the tiles of long sequences
        most = TILES[kernel][max(widths) >= LONG and self.width <= WIDE]
        sizes = [min(max(triton.next_power_of_2(width), 16), size) for width, size in zip(widths, most[:2], strict=True)]
        padded = max(triton.next_power_of_2(self.width), 16)
        named = {"BIASED": self.biased, "CAUSAL": self.causal, "WIDTH": self.width, "W": padded, "BM": sizes[0], "BN": sizes[1]}
        constants = {**named, "num_warps": most.warps, "num_stages": most.stages}
        return triton.cdiv(widths[0], sizes[0]), triton.cdiv(widths[1], sizes[1]), constants


class Attention(torch.autograd.Function):
    """Attention of packed projections; see `attention`."""

    @staticmethod
    def forward(context, queries: Tensor, others: Tensor | None, bias: Tensor | None, shape: _Shape) -> Tensor:
        """Queries (R, N, 1 or 3, H*K) with keys and values behind them, or in others (R, M, 2, H*K)."""
        q, k, v = _parts(queries, others)
        out = _empty(shape.queries, q.shape, q)
        lse = torch.empty(len(q), shape.heads, q.shape[1], dtype=torch.float32, device=q.device)
        row_tiles, _, constants = shape.plan("forward")
        inputs = (q, k, v, q if bias is None else bias, *shape.tables())
        _forward[(len(q) * shape.sequences * shape.heads, row_tiles)](*inputs, out, lse, *shape.sizes(q, k), **constants)
        context.save_for_backward(queries, others, bias, out, lse)
        context.shape = shape
        return out

    @staticmethod
    def backward(context, d_out: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs."""
        queries, others, bias, out, lse = context.saved_tensors
        shape = context.shape
        d_out = d_out.contiguous()
        d_queries = _empty(shape.queries, queries.shape, queries)
        d_others = None if others is None else _empty(shape.keys, others.shape, others)
        (q, k, v), (d_q, d_k, d_v) = _parts(queries, others), _parts(d_queries, d_others)
        delta = torch.empty_like(lse)
        inputs = (q, k, v, q if bias is None else bias, *shape.tables())
        sizes, many = shape.sizes(q, k), len(q) * shape.sequences * shape.heads
        row_tiles, _, constants = shape.plan("backward_queries")
        _backward_queries[(many, row_tiles)](*inputs, out, lse, d_out, delta, d_q, *sizes, **constants)
        _, column_tiles, constants = shape.plan("backward_keys")
        _backward_keys[(many, column_tiles)](*inputs, lse, d_out, delta, d_k, d_v, *sizes, **constants)
        d_bias = None
        if bias is not None:
            row_tiles, column_tiles, constants = shape.plan("backward_bias")
            tables = len(q) * shape.heads
            chunks = max(min(PROGRAMS // (tables * row_tiles * column_tiles), shape.sequences), 1)
            parts = torch.empty(len(q), shape.heads, chunks, *bias.shape[2:], dtype=torch.float32, device=q.device)
            grid = (tables * chunks, row_tiles, column_tiles)
            _backward_bias[grid](*inputs, lse, d_out, delta, parts, *sizes, chunks, **constants)
            d_bias = parts.sum(2).to(bias.dtype)
        return d_queries, d_others, d_bias, None


def _empty(layout: Layout, shape: torch.Size, like: Tensor) -> Tensor:
    """Room for values at every position of a layout; zeros if no sequence may reach some of them."""
    return (torch.empty if layout.side.full else torch.zeros)(shape, dtype=like.dtype, device=like.device)


def _parts(queries: Tensor, others: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Views (R, N, H*K) of queries, keys and values."""
    if others is None:
        return queries[..., 0, :], queries[..., 1, :], queries[..., 2, :]
    return queries[..., 0, :], others[..., 0, :], others[..., 1, :]


def attention(
    queries: Tensor,
    layout: Layout,
    others: Tensor | None,
    other: Layout | None,
    bias: Tensor | None,
    heads: int,
    causal: bool,
) -> Tensor:
    """Attention of contiguous packed projections: queries (R, N, 3*H*K), or (R, N, H*K) with others (R, M, 2*H*K).

    bias (R, H, width, width) or None, with the width of the queries' layout. Returns (R, N, H*K).
    """
    queries = queries.unflatten(-1, (3 if others is None else 1, -1))
    others = None if others is None else others.unflatten(-1, (2, -1))
    width = queries.shape[-1] // heads
    return Attention.apply(queries, others, bias, _Shape(layout, other or layout, heads, width, bias is not None, causal))
