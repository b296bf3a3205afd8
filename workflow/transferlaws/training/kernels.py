"""AdamW on a GPU in one pass over memory: master weights, both moments, and the weights that the model computes with."""

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024


@triton.jit
def _adamw(MASTER, GRADIENT, M, V, WEIGHT, RATE, FACTOR, CORRECTION, SIZE, PARTS, COLUMNS, LAYERS, DECAY,
           BETA1: tl.constexpr, BETA2: tl.constexpr, EPSILON: tl.constexpr, SHADOW: tl.constexpr, BLOCK: tl.constexpr):  # fmt: skip
    """Program (matrix group, block): `SIZE` elements of a layer of a replica, rows of `PARTS` × `COLUMNS`, one rate a part."""
    group, offset = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = offset < SIZE
    place = group.to(tl.int64) * SIZE + offset
    factor = tl.load(FACTOR + group // LAYERS)
    rate = tl.load(RATE + group * PARTS + offset // COLUMNS % PARTS, mask=mask, other=0.0)
    g = tl.load(GRADIENT + place, mask=mask, other=0.0).to(tl.float32) * factor
    m = BETA1 * tl.load(M + place, mask=mask, other=0.0) + (1.0 - BETA1) * g
    v = BETA2 * tl.load(V + place, mask=mask, other=0.0) + (1.0 - BETA2) * g * g
    tl.store(M + place, m, mask=mask)
    tl.store(V + place, v, mask=mask)
    step = m / tl.load(CORRECTION) / (tl.sqrt(v) / tl.load(CORRECTION + 1) + EPSILON)
    p = tl.load(MASTER + place, mask=mask, other=0.0)
    p = p * (1.0 - rate * DECAY) - rate * step
    tl.store(MASTER + place, p, mask=mask)
    if SHADOW:
        tl.store(WEIGHT + place, p.to(WEIGHT.dtype.element_ty), mask=mask)


def adamw(
    master: Tensor,
    gradient: Tensor,
    state: dict[str, Tensor],
    weight: Tensor,
    rate: Tensor,
    factor: Tensor,
    correction: Tensor,
    axes: tuple[int, ...],
    settings: object,
) -> None:
    """As `optimisers.adamw`, with clipping by factor (R,) and the copy to `weight` included.

    rate: one entry a matrix, the matrices' axes kept at size 1; correction (2,): 1 - beta1^t, sqrt(1 - beta2^t).
    """
    shape, first = master.shape, axes[0]
    groups = 1
    for size in shape[:first]:
        groups *= size
    columns = shape[-1]
    parts = shape[axes[0] + 1] if len(axes) == 2 and axes[1] == axes[0] + 2 else 1
    inner = master.numel() // groups
    grid = (groups, triton.cdiv(inner, BLOCK))
    tensors = (master, gradient.contiguous(), state["m"], state["v"], weight, rate.contiguous(), factor, correction)
    sizes = (inner, parts, columns, groups // shape[0], settings.weight_decay)
    constants = (settings.beta1, settings.beta2, settings.epsilon, weight is not master, BLOCK)
    _adamw[grid](*tensors, *sizes, *constants, num_warps=4)
