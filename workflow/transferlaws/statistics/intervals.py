"""Intervals and probabilities from draws of an estimate.

Intervals are bias-corrected percentiles of the refitted quantity, which respect any change of parameters. Where a coefficient may
be at its natural boundary (an asymptote or gap of 0), they also hold the interval of the simpler law at that boundary.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from transferlaws.statistics.arrays import Array


def interval(
    draws: Array, level: float, estimate: Array | None = None, edges: NDArray[np.bool_] | None = None
) -> tuple[Array, Array]:
    """Central percentiles over axis 0 of draws (B, k), NaN without draws; infinite draws count as beyond any bound.

    With the estimate (k,) the percentiles are bias-corrected (Efron 1981): shifted by how far the estimate is from the median of
    its refits.

    With `edges` (B, P), which refits ended at the natural boundary of which parameter (`Form.edges`), the interval is the union
    with that of the law at each boundary the bootstrap cannot exclude. The bootstrap is not consistent at a boundary (Andrews
    2000): where the truth is E = 0 and the estimate above it, a share p of the refits ends at 0, and the 5 % tail of all refits is
    the tail of 5 % / p of these. These refits are the bootstrap of the law without E, whose estimate does not depend, to first
    order, on how far above 0 that of E is. The union misses where 0 is wrongly excluded or the law without E misses, each half of
    1 - level: it keeps the level at the boundary, and changes nothing where 0 is excluded.
    """
    if not len(draws):
        return np.full(draws.shape[1:], np.nan), np.full(draws.shape[1:], np.nan)
    ordered, last = np.sort(draws, axis=0), len(draws) - 1
    shift = np.zeros(draws.shape[1])
    if estimate is not None:
        shift = _bias(draws, estimate)
    reach = ndtri((1 + level) / 2)
    low, high = (np.rint(last * ndtr(2 * shift + side)).astype(int) for side in (-reach, reach))
    columns = np.arange(draws.shape[1])
    low, high = ordered[low, columns], ordered[high, columns]
    for edge in () if edges is None else edges.T:
        if edge.mean() >= (1 - level) / 2:
            nested = interval(draws[edge], level)
            low, high = np.minimum(low, nested[0]), np.maximum(high, nested[1])
    return low, high


def probability_above(draws: Array, threshold: float, estimate: float) -> float:
    """Probability above a threshold, of draws (B,), bias-corrected as `interval` is: at its low end (1 + level) / 2."""
    return float(ndtr(2 * _bias(draws, estimate) - ndtri((draws <= threshold).mean())))


def _bias(draws: Array, estimate: Array | float) -> Array:
    """By how many standard normal deviations the estimate is above the median of its draws."""
    below = (draws < estimate).mean(axis=0) + 0.5 * (draws == estimate).mean(axis=0)
    return ndtri(np.clip(below, 0.02, 0.98))
