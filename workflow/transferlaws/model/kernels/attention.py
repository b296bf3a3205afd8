"""T5's attention in tiles, without storing scores: no logit scaling, a learned bias, sequences behind one another without padding.

Queries, keys and values are read where the projections left them, and gradients are written where those want them, so nothing is
copied, padded or transposed. The bias is a table by offset (key - query); a tile whose offsets all share one entry reads one number
and adds up one. Its gradient is summed over sequences inside the kernel, in a fixed order: every run gives the same. The scheme is
that of FlashAttention (Dao et al. 2022).
"""

import math
from typing import NamedTuple

import torch
import triton
from torch import Tensor
from torch.nn import functional

from transferlaws.model.kernels import tiled
from transferlaws.model.kernels.tiles import LONG, TILES, Tile
from transferlaws.model.packing import Layout
from transferlaws.model.positions import Positions, diagonal_sums

MARGIN = 128  # most rows or columns of a tile
PROGRAMS = 2048  # that share the sequences whose bias gradients are added up
LOG2E = math.log2(math.e)
SUMMING = ("backward_queries", "backward_bias")  # which share the sums of the bias's gradient: beyond its reach, and within


class _Shape(NamedTuple):
    """What the kernels need to know beside their tensors."""

    queries: Layout
    keys: Layout
    heads: int
    width: int  # of a head
    reach: int | None  # beyond which offsets share a bias; None without a bias
    causal: bool

    def tables(self) -> tuple[Tensor, ...]:
        """Where sequences lie."""
        return self.queries.starts, self.queries.lengths, self.keys.starts, self.keys.lengths

    def sizes(self, q: Tensor, k: Tensor, table: Tensor | None) -> tuple[int, ...]:
        """Strides of a replica and of a row, in elements, those of the tables, and sizes, in the order of the kernels."""
        strides = (*q.stride()[:2], *k.stride()[:2], self.queries.starts.stride(0), self.keys.starts.stride(0))
        return *strides, 0 if table is None else table.shape[-1], self.reach or 0, q.shape[1], self.sequences, self.heads

    @property
    def sequences(self) -> int:
        """B."""
        return self.queries.starts.shape[1]

    @property
    def far(self) -> bool:
        """Whether offsets beyond the bias's reach can occur."""
        return self.reach is not None and self.queries.side.width > self.reach

    def plan(self, kernel: str) -> tuple[int, int, dict[str, int | float | bool]]:
        """Tiles of the longest sequence along queries and along keys, and the compile-time arguments of a kernel."""
        (rows, columns), tile = self._sizes(kernel), self._tile(kernel)
        named = {"LOG2E": LOG2E, "BIASED": self.reach is not None, "FAR": self.far, "CAUSAL": self.causal, "WIDTH": self.width}
        padded = max(triton.next_power_of_2(self.width), 16)
        tiles = {"W": padded, "BM": rows, "BN": columns, "num_warps": tile.warps, "num_stages": tile.stages}
        if kernel in SUMMING:  # what is far to the one must be far to the other: the largest tile decides for both
            sizes = [self._sizes(name) for name in SUMMING]
            tiles |= {"FAR_ROWS": max(size[0] for size in sizes), "FAR_COLUMNS": max(size[1] for size in sizes)}
        widths = self.queries.side.width, self.keys.side.width
        return triton.cdiv(widths[0], rows), triton.cdiv(widths[1], columns), named | tiles

    def _tile(self, kernel: str) -> Tile:
        mean = (self.queries.side.positions + self.keys.side.positions) / (2 * self.sequences)
        return TILES[kernel][mean >= LONG]

    def _sizes(self, kernel: str) -> tuple[int, int]:
        """Rows and columns of a kernel's tile, no larger than the longest sequence asks for."""
        tile, widths = self._tile(kernel), (self.queries.side.width, self.keys.side.width)
        return tuple(
            min(max(triton.next_power_of_2(width), 16), most) for width, most in zip(widths, (tile.rows, tile.columns), strict=True)
        )


class Attention(torch.autograd.Function):
    """Attention of packed projections; see `attention`."""

    @staticmethod
    def forward(context, queries: Tensor, others: Tensor | None, table: Tensor | None, shape: _Shape) -> Tensor:
        """Queries (R, N, 1 or 3, H*K), keys and values behind them or in others (R, M, 2, H*K); table (R, H, 2 × width - 1)."""
        q, k, v = _parts(queries, others)
        out = _empty(shape.queries, q.shape, q)
        lse = torch.empty(len(q), shape.heads, q.shape[1], dtype=torch.float32, device=q.device)
        wide = None if table is None else functional.pad(table.float() * LOG2E, (MARGIN, MARGIN))  # tiles reach beyond the longest
        row_tiles, _, constants = shape.plan("forward")
        inputs = (q, k, v, q if wide is None else wide, *shape.tables())
        tiled.forward[(len(q) * shape.sequences * shape.heads, row_tiles)](*inputs, out, lse, *shape.sizes(q, k, wide), **constants)
        context.save_for_backward(queries, others, wide, out, lse)
        context.shape = shape
        return out

    @staticmethod
    def backward(context, d_out: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs."""
        queries, others, wide, out, lse = context.saved_tensors
        shape = context.shape
        d_out = d_out.contiguous()
        d_queries = _empty(shape.queries, queries.shape, queries)
        d_others = None if others is None else _empty(shape.keys, others.shape, others)
        (q, k, v), (d_q, d_k, d_v) = _parts(queries, others), _parts(d_queries, d_others)
        delta = torch.empty_like(lse)
        inputs = (q, k, v, q if wide is None else wide, *shape.tables())
        sizes, many = shape.sizes(q, k, wide), len(q) * shape.sequences * shape.heads
        row_tiles, _, constants = shape.plan("backward_queries")
        far = torch.empty(len(q), shape.sequences, shape.heads, row_tiles, 2, device=q.device) if shape.far else delta
        tiled.backward_queries[(many, row_tiles)](*inputs, out, lse, d_out, delta, d_q, far, *sizes, **constants)
        _, column_tiles, constants = shape.plan("backward_keys")
        tiled.backward_keys[(many, column_tiles)](*inputs, lse, d_out, delta, d_k, d_v, *sizes, **constants)
        d_table = None
        if wide is not None:
            row_tiles, column_tiles, constants = shape.plan("backward_bias")
            tables, longest = len(q) * shape.heads, shape.queries.side.width
            chunks = max(min(PROGRAMS // (tables * row_tiles * column_tiles), shape.sequences), 1)
            parts = torch.empty(len(q), shape.heads, chunks, longest, longest, device=q.device)
            grid = (tables * chunks, row_tiles, column_tiles)
            tiled.backward_bias[grid](*inputs, lse, d_out, delta, parts, *sizes, chunks, longest, **constants)
            d_table = diagonal_sums(parts.sum(2))
            if shape.far:
                before, behind = far.sum((1, 3)).unbind(-1)
                d_table[..., 0] += before
                d_table[..., -1] += behind
            d_table = d_table.to(queries.dtype)
        return d_queries, d_others, d_table, None


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
    positions: Positions | None,
    heads: int,
    causal: bool,
) -> Tensor:
    """Attention of contiguous packed projections: queries (R, N, 3*H*K), or (R, N, H*K) with others (R, M, 2*H*K).

    The positions' width is that of the queries' layout. Returns (R, N, H*K).
    """
    queries = queries.unflatten(-1, (3 if others is None else 1, -1))
    others = None if others is None else others.unflatten(-1, (2, -1))
    table, reach = (None, None) if positions is None else positions
    shape = _Shape(layout, other or layout, heads, queries.shape[-1] // heads, reach, causal)
    return Attention.apply(queries, others, table, shape)
