"""Measures tile sizes of the attention kernels on this GPU and prints the table of model/kernels/tiles.py.

    python benchmarks/attention_tiles.py [--output FILE]

Two cases: short sentences of a lockstep run, and long sequences of one large model. Every kernel is timed with every tile.
"""

import argparse
import itertools
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import torch
from record import ROOT

sys.path.insert(0, str(ROOT / "workflow"))

from transferlaws.model.kernels import attention, tiles
from transferlaws.model.packing import pack, unpack
from transferlaws.model.positions import Positions

SHORT_TILES = [
    tiles.Tile(*sizes, warps, stages)
    for sizes in ((16, 16), (32, 32), (64, 64), (32, 64))
    for warps in (1, 2, 4)
    for stages in (1, 2)
]
LONG_TILES = [
    tiles.Tile(*sizes, warps, stages)
    for sizes in ((64, 64), (128, 64), (64, 128), (128, 128))
    for warps in (4, 8)
    for stages in (1, 2, 3)
]
PROCESSES = 14  # that compile


def case(long: bool):
    """Layout, packed queries, positions and heads."""
    random = np.random.default_rng(0)
    replicas, sequences, width, heads, head = (1, 16, 512, 16, 64) if long else (8, 64, 64, 4, 32)
    lengths = np.full(sequences, width) if long else np.clip(random.lognormal(2.3, 0.6, sequences).astype(int) + 2, 2, width)
    ids = (np.arange(width) < lengths[:, None]).astype(np.int64)[None].repeat(replicas, 0)
    form, table = pack(None, ids, few_forms=True)
    layout = unpack(form, torch.from_numpy(table).cuda()).inputs.layout
    q = (
        torch.randn(replicas, form.target.positions, 3 * heads * head, device="cuda", dtype=torch.bfloat16)
        .mul_(0.3)
        .requires_grad_()
    )
    table = torch.randn(replicas, heads, 2 * form.target.width - 1, device="cuda", dtype=torch.bfloat16).requires_grad_()
    return layout, q, Positions(table, 128), heads


def microseconds(kernel: str, long: bool, tile: tiles.Tile, made: tuple, calls: int = 20) -> float:
    """Time of one kernel with this tile; infinite if it cannot run."""
    layout, q, positions, heads = made
    short, other = tiles.TILES[kernel]
    tiles.TILES[kernel] = (short, tile) if long else (tile, other)
    try:

        def call() -> None:
            out = attention.attention(q, layout, None, None, positions, heads, False)
            if kernel != "forward":
                torch.autograd.grad(out.sum(), [q, positions.table])

        call()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as found:
            for _ in range(calls):
                call()
            torch.cuda.synchronize()
        times = [event.self_device_time_total for event in found.key_averages() if event.key == kernel]
        return sum(times) / calls if times else float("inf")
    except Exception as error:  # too much shared memory, say
        print(kernel, tile, str(error).splitlines()[0][:100], flush=True)
        return float("inf")
    finally:
        tiles.TILES[kernel] = (short, other)


def compile_some(work: list[tuple]) -> None:
    """Fill the kernels' cache."""
    made = {long: case(long) for long in (False, True)}
    for kernel, long, tile in work:
        microseconds(kernel, long, tile, made[long], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="where to write the module")
    arguments = parser.parse_args()
    work = [
        (kernel, long, tile) for kernel in tiles.TILES for long in (False, True) for tile in (LONG_TILES if long else SHORT_TILES)
    ]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        pool.map(compile_some, [work[start::PROCESSES] for start in range(PROCESSES)])
    made = {long: case(long) for long in (False, True)}
    best: dict[str, list[tiles.Tile]] = {kernel: [] for kernel in tiles.TILES}
    for (kernel, long), group in itertools.groupby(work, key=lambda item: item[:2]):
        times = sorted((microseconds(*item, made[long]), item[2]) for item in group)
        best[kernel].append(times[0][1])
        print(
            kernel, "long" if long else "short", *(f"{time:.1f} us {tuple(tile)}" for time, tile in times[:5]), sep="  ", flush=True
        )
        default = next(time for time, tile in times if tile == tiles.Tile(64, 64, 4, 2))
        print(f"    (64, 64, 4, 2): {default:.1f} us", flush=True)
    text = Path(tiles.__file__).read_text()
    rows = [f'    "{kernel}": ({", ".join(f"Tile{tuple(tile)}" for tile in pair)}),' for kernel, pair in best.items()]
    text = text[: text.index("TILES = {")] + "TILES = {\n" + "\n".join(rows) + "\n}\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
