"""Tile sizes of the attention kernels; `benchmarks/attention_tiles.py` measures them and prints this table."""

from typing import NamedTuple


class Tile(NamedTuple):
    """How one program of a kernel works."""

    rows: int  # queries of a tile, at most
    columns: int  # keys of a tile, at most
    warps: int
    stages: int  # loads under way


LONG = 32  # the mean length of sequences from which on the second entry holds

# kernel: (short sequences, long ones)
TILES = {
    "forward": (Tile(16, 16, 1, 2), Tile(128, 64, 4, 3)),
    "backward_queries": (Tile(16, 16, 1, 2), Tile(128, 64, 4, 3)),
    "backward_keys": (Tile(16, 16, 1, 1), Tile(64, 64, 4, 3)),
    "backward_bias": (Tile(32, 32, 2, 2), Tile(64, 64, 4, 2)),
}
