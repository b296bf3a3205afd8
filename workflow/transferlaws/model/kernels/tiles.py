"""Tile sizes of the attention kernels; `benchmarks/attention_tiles.py` measures them and prints this table."""

from typing import NamedTuple


class Tile(NamedTuple):
    """How one program of a kernel works."""

    rows: int  # queries of a tile, at most
    columns: int  # keys of a tile, at most
    warps: int
    stages: int  # loads under way


LONG = 128  # the width of sequences from which on the second entry holds

# kernel: (short sequences, long ones)
TILES = {
    "forward": (Tile(64, 64, 4, 2), Tile(64, 64, 4, 2)),
    "backward_queries": (Tile(64, 64, 4, 2), Tile(64, 64, 4, 2)),
    "backward_keys": (Tile(64, 64, 4, 2), Tile(64, 64, 4, 2)),
    "backward_bias": (Tile(64, 64, 4, 2), Tile(64, 64, 4, 2)),
}
