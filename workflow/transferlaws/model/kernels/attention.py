"""T5's attention in tiles, without storing scores: no logit scaling, a bias that depends on the distance alone, trailing padding.

Queries, keys and values are read where the projections left them, and gradients are written where those want them, so nothing is
copied or transposed. The bias is a table (R, H, T + S - 1) indexed by key - query + T - 1; its gradient sums over the batch inside
the kernel and is the same in every run. The scheme is that of FlashAttention (Dao et al. 2022).
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

TILE = 64  # most queries or keys of a tile
ROWS_A_PROGRAM = 8  # sequences whose bias gradients one program adds up


@triton.jit
def _tile_scores(q, k, table, rows, cols, length, T, S, BIASED: tl.constexpr, CAUSAL: tl.constexpr):
    """Scores of a tile (rows × cols), minus infinity where a key is hidden."""
    scores = tl.dot(q, tl.trans(k))
    inside = (rows < T)[:, None] & (cols < length)[None, :]
    if BIASED:
        scores += tl.load(table + cols[None, :] - rows[:, None] + T - 1, mask=inside, other=0.0).to(tl.float32)
    if CAUSAL:
        inside = inside & (cols[None, :] <= rows[:, None])
    return tl.where(inside, scores, float("-inf"))


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
def _forward(Q, K, V, TABLE, LENGTHS, OUT, LSE, q_seq, q_row, kv_seq, kv_row, B, H, T, S,
             BIASED: tl.constexpr, CAUSAL: tl.constexpr, WIDTH: tl.constexpr, W: tl.constexpr,
         BM: tl.constexpr, BN: tl.constexpr):  # fmt: skip
    sequence, head, replica = tl.program_id(0) // H, tl.program_id(0) % H, tl.program_id(0) // (H * B)
    rows, width = tl.program_id(1) * BM + tl.arange(0, BM), tl.arange(0, W)
    length = tl.load(LENGTHS + sequence)
    q = _load(Q + sequence.to(tl.int64) * q_seq + head * WIDTH, rows, width, q_row, T, WIDTH)
    keys, values = K + sequence.to(tl.int64) * kv_seq + head * WIDTH, V + sequence.to(tl.int64) * kv_seq + head * WIDTH
    table = TABLE + (replica * H + head) * (T + S - 1)
    top = tl.full([BM], float("-inf"), tl.float32)
    total = tl.zeros([BM], tl.float32)
    out = tl.zeros([BM, W], tl.float32)
    stop = S
    if CAUSAL:
        stop = tl.minimum(S, (tl.program_id(1) + 1) * BM)
    for start in range(0, stop, BN):
        cols = start + tl.arange(0, BN)
        scores = _tile_scores(q, _load(keys, cols, width, kv_row, S, WIDTH), table, rows, cols, length, T, S, BIASED, CAUSAL)
        higher = tl.maximum(top, tl.max(scores, 1))
        higher = tl.where(higher == float("-inf"), 0.0, higher)  # rows beyond T see nothing
        weights = tl.exp(scores - higher[:, None])
        shrink = tl.exp(top - higher)
        total = total * shrink + tl.sum(weights, 1)
        v = _load(values, cols, width, kv_row, S, WIDTH)
        out = out * shrink[:, None] + tl.dot(weights.to(v.dtype), v)
        top = higher
    total = tl.where(total == 0.0, 1.0, total)
    _store(OUT + sequence.to(tl.int64) * T * H * WIDTH + head * WIDTH, out / total[:, None], rows, width, H * WIDTH, T, WIDTH)
    tl.store(LSE + (sequence * H + head).to(tl.int64) * T + rows, top + tl.log(total), mask=rows < T)


@triton.jit
def _score_gradient(q, k, v, d_out, lse, delta, table, rows, cols, length, T, S, BIASED: tl.constexpr, CAUSAL: tl.constexpr):
    """Weights and score gradients of a tile, both (rows × cols) in fp32."""
    scores = _tile_scores(q, k, table, rows, cols, length, T, S, BIASED, CAUSAL)
    weights = tl.exp(scores - lse[:, None])
    return weights, weights * (tl.dot(d_out, tl.trans(v)) - delta[:, None])


@triton.jit
def _backward_queries(Q, K, V, TABLE, LENGTHS, OUT, LSE, D_OUT, DELTA, D_Q, q_seq, q_row, kv_seq, kv_row, B, H, T, S,
                      BIASED: tl.constexpr, CAUSAL: tl.constexpr, WIDTH: tl.constexpr, W: tl.constexpr,
         BM: tl.constexpr, BN: tl.constexpr):  # fmt: skip
    sequence, head, replica = tl.program_id(0) // H, tl.program_id(0) % H, tl.program_id(0) // (H * B)
    rows, width = tl.program_id(1) * BM + tl.arange(0, BM), tl.arange(0, W)
    length = tl.load(LENGTHS + sequence)
    out_base = sequence.to(tl.int64) * T * H * WIDTH + head * WIDTH
    line = (sequence * H + head).to(tl.int64) * T + rows
    q = _load(Q + sequence.to(tl.int64) * q_seq + head * WIDTH, rows, width, q_row, T, WIDTH)
    d_out = _load(D_OUT + out_base, rows, width, H * WIDTH, T, WIDTH)
    out = _load(OUT + out_base, rows, width, H * WIDTH, T, WIDTH)
    delta = tl.sum(d_out.to(tl.float32) * out.to(tl.float32), 1)
    tl.store(DELTA + line, delta, mask=rows < T)
    lse = tl.load(LSE + line, mask=rows < T, other=0.0)
    keys, values = K + sequence.to(tl.int64) * kv_seq + head * WIDTH, V + sequence.to(tl.int64) * kv_seq + head * WIDTH
    table = TABLE + (replica * H + head) * (T + S - 1)
    d_q = tl.zeros([BM, W], tl.float32)
    stop = S
    if CAUSAL:
        stop = tl.minimum(S, (tl.program_id(1) + 1) * BM)
    for start in range(0, stop, BN):
        cols = start + tl.arange(0, BN)
        k = _load(keys, cols, width, kv_row, S, WIDTH)
        v = _load(values, cols, width, kv_row, S, WIDTH)
        _, d_scores = _score_gradient(q, k, v, d_out, lse, delta, table, rows, cols, length, T, S, BIASED, CAUSAL)
        d_q += tl.dot(d_scores.to(k.dtype), k)
    _store(D_Q + sequence.to(tl.int64) * q_seq + head * WIDTH, d_q, rows, width, q_row, T, WIDTH)


@triton.jit
def _backward_keys(Q, K, V, TABLE, LENGTHS, LSE, D_OUT, DELTA, D_K, D_V, q_seq, q_row, kv_seq, kv_row, B, H, T, S,
                   BIASED: tl.constexpr, CAUSAL: tl.constexpr, WIDTH: tl.constexpr, W: tl.constexpr,
         BM: tl.constexpr, BN: tl.constexpr):  # fmt: skip
    sequence, head, replica = tl.program_id(0) // H, tl.program_id(0) % H, tl.program_id(0) // (H * B)
    cols, width = tl.program_id(1) * BN + tl.arange(0, BN), tl.arange(0, W)
    length = tl.load(LENGTHS + sequence)
    kv_base = sequence.to(tl.int64) * kv_seq + head * WIDTH
    k, v = _load(K + kv_base, cols, width, kv_row, S, WIDTH), _load(V + kv_base, cols, width, kv_row, S, WIDTH)
    queries = Q + sequence.to(tl.int64) * q_seq + head * WIDTH
    d_outs = D_OUT + sequence.to(tl.int64) * T * H * WIDTH + head * WIDTH
    line = (sequence * H + head).to(tl.int64) * T
    table = TABLE + (replica * H + head) * (T + S - 1)
    d_k, d_v = tl.zeros([BN, W], tl.float32), tl.zeros([BN, W], tl.float32)
    first = 0
    if CAUSAL:
        first = (tl.program_id(1) * BN) // BM * BM
    for start in range(first, T, BM):
        rows = start + tl.arange(0, BM)
        q = _load(queries, rows, width, q_row, T, WIDTH)
        d_out = _load(d_outs, rows, width, H * WIDTH, T, WIDTH)
        lse = tl.load(LSE + line + rows, mask=rows < T, other=0.0)
        delta = tl.load(DELTA + line + rows, mask=rows < T, other=0.0)
        weights, d_scores = _score_gradient(q, k, v, d_out, lse, delta, table, rows, cols, length, T, S, BIASED, CAUSAL)
        d_v += tl.dot(tl.trans(weights.to(d_out.dtype)), d_out)
        d_k += tl.dot(tl.trans(d_scores.to(q.dtype)), q)
    _store(D_K + kv_base, d_k, cols, width, kv_row, S, WIDTH)
    _store(D_V + kv_base, d_v, cols, width, kv_row, S, WIDTH)


@triton.jit
def _backward_bias(Q, K, V, TABLE, LENGTHS, LSE, D_OUT, DELTA, D_BIAS, q_seq, q_row, kv_seq, kv_row, B, H, T, S, CHUNKS,
                   BIASED: tl.constexpr, CAUSAL: tl.constexpr, WIDTH: tl.constexpr, W: tl.constexpr,
         BM: tl.constexpr, BN: tl.constexpr):  # fmt: skip
    """One tile of the bias gradient (R, H, chunks, T, S), added up over the sequences of a chunk."""
    chunk, head, replica = tl.program_id(0) % CHUNKS, tl.program_id(0) // CHUNKS % H, tl.program_id(0) // (CHUNKS * H)
    rows, cols, width = tl.program_id(1) * BM + tl.arange(0, BM), tl.program_id(2) * BN + tl.arange(0, BN), tl.arange(0, W)
    table = TABLE + (replica * H + head) * (T + S - 1)
    total = tl.zeros([BM, BN], tl.float32)
    size = tl.cdiv(B, CHUNKS)
    for number in range(chunk * size, tl.minimum((chunk + 1) * size, B)):
        sequence = replica * B + number
        length = tl.load(LENGTHS + sequence)
        kv_base = sequence.to(tl.int64) * kv_seq + head * WIDTH
        line = (sequence * H + head).to(tl.int64) * T + rows
        q = _load(Q + sequence.to(tl.int64) * q_seq + head * WIDTH, rows, width, q_row, T, WIDTH)
        d_out = _load(D_OUT + sequence.to(tl.int64) * T * H * WIDTH + head * WIDTH, rows, width, H * WIDTH, T, WIDTH)
        lse = tl.load(LSE + line, mask=rows < T, other=0.0)
        delta = tl.load(DELTA + line, mask=rows < T, other=0.0)
        k, v = _load(K + kv_base, cols, width, kv_row, S, WIDTH), _load(V + kv_base, cols, width, kv_row, S, WIDTH)
        _, d_scores = _score_gradient(q, k, v, d_out, lse, delta, table, rows, cols, length, T, S, BIASED, CAUSAL)
        total += d_scores
    place = D_BIAS + tl.program_id(0).to(tl.int64) * T * S + rows[:, None] * S + cols[None, :]
    tl.store(place, total, mask=(rows < T)[:, None] & (cols < S)[None, :])


class _Shape(NamedTuple):
    """What the kernels need to know of q (R, B, T, 1 or 3, H*K) and kv (R, B, S, 3 or 2, H*K)."""

    replicas: int
    batch: int
    heads: int
    queries: int
    keys: int
    width: int

    def arguments(self, q: Tensor, kv: Tensor) -> tuple[int, ...]:
        """Strides of a sequence and of a row, in elements, and the sizes, in the kernels' order."""
        return *(x.stride(axis) for x in (q, kv) for axis in (1, 2)), self.batch, self.heads, self.queries, self.keys

    def constants(self, biased: bool, causal: bool) -> dict[str, int | bool]:
        """Compile-time arguments."""
        tiles = {"BM": self._tile(self.queries), "BN": self._tile(self.keys)}
        padded = max(triton.next_power_of_2(self.width), 16)
        return {"BIASED": biased, "CAUSAL": causal, "WIDTH": self.width, "W": padded, **tiles, "num_warps": 4, "num_stages": 2}

    @staticmethod
    def _tile(length: int) -> int:
        return min(max(triton.next_power_of_2(length), 16), TILE)


class Attention(torch.autograd.Function):
    """Attention of packed projections; see `attention`."""

    @staticmethod
    def forward(
        context, queries: Tensor, others: Tensor | None, table: Tensor | None, lengths: Tensor, heads: int, causal: bool
    ) -> Tensor:
        """Queries (R, B, T, 1 or 3, H*K) with keys and values behind them, or in others (R, B, S, 2, H*K)."""
        q, k, v = _parts(queries, others)
        replicas, batch, count, inner = q.shape
        shape = _Shape(replicas, batch, heads, count, k.shape[2], inner // heads)
        out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
        lse = torch.empty(replicas, batch, heads, count, dtype=torch.float32, device=q.device)
        constants = shape.constants(table is not None, causal)
        grid = (replicas * batch * heads, triton.cdiv(count, constants["BM"]))
        _forward[grid](q, k, v, table if table is not None else q, lengths, out, lse, *shape.arguments(q, k), **constants)
        context.save_for_backward(queries, others, table, lengths, out, lse)
        context.shape, context.causal = shape, causal
        return out

    @staticmethod
    def backward(context, d_out: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs."""
        queries, others, table, lengths, out, lse = context.saved_tensors
        shape, biased = context.shape, table is not None
        constants = shape.constants(biased, context.causal)
        d_out = d_out.contiguous()
        d_queries, d_others = torch.empty_like(queries), None if others is None else torch.empty_like(others)
        (q, k, v), (d_q, d_k, d_v) = _parts(queries, others), _parts(d_queries, d_others)
        delta = torch.empty_like(lse)
        common = (q, k, v, table if biased else q, lengths)
        sizes = shape.arguments(q, k)
        many = shape.replicas * shape.batch * shape.heads
        row_tiles, col_tiles = triton.cdiv(shape.queries, constants["BM"]), triton.cdiv(shape.keys, constants["BN"])
        _backward_queries[(many, row_tiles)](*common, out, lse, d_out, delta, d_q, *sizes, **constants)
        _backward_keys[(many, col_tiles)](*common, lse, d_out, delta, d_k, d_v, *sizes, **constants)
        d_table = None
        if biased:
            chunks = triton.cdiv(shape.batch, ROWS_A_PROGRAM)
            parts = torch.empty(
                shape.replicas, shape.heads, chunks, shape.queries, shape.keys, dtype=torch.float32, device=q.device
            )
            grid = (shape.replicas * shape.heads * chunks, row_tiles, col_tiles)
            _backward_bias[grid](*common, lse, d_out, delta, parts, *sizes, chunks, **constants)
            d_table = diagonal_sums(parts.sum(2)).to(table.dtype)
        return d_queries, d_others, d_table, None, None, None


def _parts(queries: Tensor, others: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Views (R, B, length, H*K) of queries, keys and values."""
    if others is None:
        return queries[..., 0, :], queries[..., 1, :], queries[..., 2, :]
    return queries[..., 0, :], others[..., 0, :], others[..., 1, :]


def diagonal_sums(x: Tensor) -> Tensor:
    """(..., T, S) -> (..., T + S - 1): entry key - query + T - 1 holds the sum of that diagonal."""
    rows, columns = x.shape[-2:]
    # with T zeros behind each row, a row one place shorter than it is stored shifts each next one by a place
    padded = functional.pad(x.flip(-2), (0, rows)).flatten(-2)
    return padded[..., : rows * (rows + columns - 1)].unflatten(-1, (rows, rows + columns - 1)).sum(-2)


def attention(queries: Tensor, others: Tensor | None, table: Tensor | None, lengths: Tensor, heads: int, causal: bool) -> Tensor:
    """Attention of contiguous packed projections: queries (R, B, T, 3*H*K), or (R, B, T, H*K) with others (R, B, S, 2*H*K).

    table (R, H, T + S - 1) or None; lengths (R, B) of int32: keys that are no padding, at least 1. Returns (R, B, T, H*K).
    """
    queries = queries.unflatten(-1, (3 if others is None else 1, -1))
    return Attention.apply(queries, None if others is None else others.unflatten(-1, (2, -1)), table, lengths, heads, causal)
