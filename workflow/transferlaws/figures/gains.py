"""What pretraining is worth: the difference to training from scratch, with an interval."""

import math
from dataclasses import dataclass

import pandas as pd
from scipy.special import ndtri, stdtrit

LOSSES = ("cross_entropy", "cross_entropy_per_character", "dev_cross_entropy", "upstream_cross_entropy")


@dataclass(frozen=True)
class Gain:
    """An improvement (score up, loss down) of one cell of runs over another, in the metric's unit."""

    estimate: float
    low: float
    high: float
    level: float
    seeds: tuple[int, int]
    freedom: int
    """Degrees of freedom of the seed noise; 0: one seed everywhere, the interval holds the test set's noise alone."""

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def gain(rows: pd.DataFrame, metric: str, better: tuple[str, float], than: tuple[str, float], level: float = 0.9) -> Gain | None:
    """Improvement of one (mixture, pretraining tokens) over another within one (model, task, D_f); None where either is missing.

    Seed noise is pooled over all cells of `rows` (two seeds alone would know next to nothing of it), Student's t with the pooled
    degrees of freedom. The test set's noise (`<metric>_noise`, one standard deviation) of both is added as if independent; they
    share their test set, so the interval errs on the wide side.
    """
    cells = rows.dropna(subset=[metric]).groupby(["mixture", "pretraining_tokens"])
    values = {key: cell for key, cell in cells}
    if better not in values or than not in values:
        return None
    squares = sum(((cell[metric] - cell[metric].mean()) ** 2).sum() for cell in values.values())
    freedom = sum(len(cell) - 1 for cell in values.values())
    first, second = values[better], values[than]
    tail = 0.5 + level / 2
    half = 0.0
    if freedom:
        half += stdtrit(freedom, tail) ** 2 * squares / freedom * (1 / len(first) + 1 / len(second))
    noise = f"{metric}_noise"
    if noise in rows:
        half += ndtri(tail) ** 2 * sum(cell[noise].fillna(0).mean() ** 2 for cell in (first, second))
    estimate = (first[metric].mean() - second[metric].mean()) * (-1 if metric in LOSSES else 1)
    return Gain(estimate, estimate - math.sqrt(half), estimate + math.sqrt(half), level, (len(first), len(second)), freedom)


def last_rung(rows: pd.DataFrame, mixture: str, metric: str) -> tuple[str, float] | None:
    """The (mixture, largest pretraining tokens) at which `metric` was measured."""
    part = rows[(rows["mixture"] == mixture) & (rows["pretraining_tokens"] > 0)].dropna(subset=[metric])
    return None if part.empty else (mixture, part["pretraining_tokens"].max())
