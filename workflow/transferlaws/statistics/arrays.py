"""Arrays, and the designs of linear models: indicators of groups, spans, distinct points."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def indicators_of(index: Array) -> Array:
    """One column of zeros and ones for each distinct value of index (n,)."""
    return (index[:, None] == np.unique(index)[None, :]).astype(float)


def runs_of(runs: Array) -> Array:
    """Indicators of runs (n,); no column where all are -1: measurements that are independent of one another."""
    return np.zeros((len(runs), 0)) if (runs < 0).all() else indicators_of(runs)


def basis_of(columns: Array) -> Array:
    """Orthonormal basis of the span of columns (n, p), of its numerical rank."""
    norms = np.linalg.norm(columns, axis=0)
    kept = columns[:, norms > 0] / norms[norms > 0]
    if kept.shape[1] == 0:
        return np.zeros((len(columns), 0))
    u, s, _ = np.linalg.svd(kept, full_matrices=False)
    return u[:, s > 1e-9 * s[0]]


def cells_of(x: Array) -> Array:
    """Index of the distinct x of each point; x (n, d) -> (n,)."""
    return np.unique(x, axis=0, return_inverse=True)[1].ravel()
