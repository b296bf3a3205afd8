"""Which mixtures to train before anything is known: corners, centre, and points that fill the simplex."""

import numpy as np

from transferlaws.errors import UserError
from transferlaws.mixtures.points import Array
from transferlaws.mixtures.simplex import Limits, project, sample
from transferlaws.seeding import generator

POOL = 4000
DIGITS = 3


def space_filling(
    count: int,
    allowed: Limits,
    *,
    seed: int,
    singles: bool = True,
    equal: bool = True,
    natural: Array | None = None,
) -> Array:
    """`count` allowed mixtures, (count, k), weights rounded to 0.001: the named ones, then each the farthest from those before.

    Distance is Hellinger's, which tells a share of 0 from one of 0.05 as well as 0.4 from 0.6. natural (k,) are the shares of the
    text that exists. Raises `UserError` where the named ones alone are more than `count`.
    """
    corpora = len(allowed.low)
    named = np.concatenate(
        [
            np.eye(corpora) if singles else np.zeros((0, corpora)),
            np.full((1, corpora), 1 / corpora) if equal else np.zeros((0, corpora)),
            np.zeros((0, corpora)) if natural is None else np.asarray(natural, dtype=float)[None] / np.sum(natural),
        ]
    )
    chosen = _unique(rounded(project(named, allowed), allowed)) if len(named) else named
    if count < max(len(chosen), 1):
        raise UserError(
            f"count: {count} mixtures, but the single corpora, equal and natural shares are {len(chosen)} already. Ask for "
            f"at least {max(len(chosen), 1)}, or leave some of them out."
        )
    pool = _unique(rounded(sample(allowed, POOL, generator(seed, "mixtures", "design")), allowed))
    if len(pool) < count:
        raise UserError(f"count: {count} mixtures, but the limits on shares leave only {len(pool)} that differ by 0.001.")
    roots = np.sqrt(pool)
    if not len(chosen):
        chosen = pool[[int(((roots - np.sqrt(1 / corpora)) ** 2).sum(1).argmin())]]
    nearest = ((roots[:, None] - np.sqrt(chosen)[None]) ** 2).sum(-1).min(1)
    while len(chosen) < count:
        farthest = int(nearest.argmax())
        chosen = np.vstack([chosen, pool[farthest]])
        nearest = np.minimum(nearest, ((roots - roots[farthest]) ** 2).sum(1))
    return chosen


def rounded(weights: Array, allowed: Limits) -> Array:
    """Weights (m, k) of whole thousandths that sum to 1: the largest remainders are rounded up, within the limits."""
    unit = 10.0**DIGITS
    scaled = np.asarray(weights) * unit
    whole = np.floor(scaled + 1e-9)
    missing = np.rint(unit - whole.sum(-1)).astype(int)
    room = whole + 1 <= np.floor(allowed.high * unit + 1e-9)
    order = np.argsort(np.where(room, whole - scaled, np.inf), axis=-1, kind="stable")
    for row, number in enumerate(missing):
        whole[row, order[row, :number]] += 1
    return whole / unit


def _unique(weights: Array) -> Array:
    """Without repetitions, in the order given."""
    _, first = np.unique(weights, axis=0, return_index=True)
    return weights[np.sort(first)]
