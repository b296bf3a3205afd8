"""What was measured, law or no law: means over seeds with their noise, and the gains of one over another."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from transferlaws.measurements.columns import LOSSES
from transferlaws.measurements.table import usable
from transferlaws.seeding import generator
from transferlaws.statistics.arrays import Array, indicators_of
from transferlaws.statistics.intervals import interval, probability_above
from transferlaws.statistics.noise import draw_noise, gather

DRAWS = 4000
Cell = tuple[str, float, float]  # mixture, D_f, D_p


@dataclass(frozen=True)
class Quantity:
    """An estimate and draws of it; no draws where seeds are too few to know its noise."""

    estimate: float
    draws: Array  # (B,) or (0,)

    def __sub__(self, other: "Quantity") -> "Quantity":
        """Difference; draws of unequal number are matched up to the shorter."""
        count = min(len(self.draws), len(other.draws))
        return Quantity(self.estimate - other.estimate, self.draws[:count] - other.draws[:count])

    def times(self, sign: int) -> "Quantity":
        """The quantity or its negative."""
        return Quantity(sign * self.estimate, sign * self.draws)

    def probability_above(self, threshold: float) -> float | None:
        """Probability that it is above `threshold`, of the distribution that `json` gives the interval of; None without draws."""
        return probability_above(self.draws, threshold, self.estimate) if len(self.draws) else None

    def json(self, level: float) -> dict:
        """Estimate with the ends of its interval, null where unknown."""
        if not len(self.draws):
            return {"estimate": self.estimate, "low": None, "high": None}
        low, high = interval(self.draws[:, None], level, np.array([self.estimate]))
        return {"estimate": self.estimate, "low": float(low[0]), "high": float(high[0])}


def added(*parts: dict) -> dict:
    """Sum of quantities as JSON, its interval end by end: as wide as if all erred in the same direction."""
    unknown = any(part["low"] is None for part in parts)
    return {end: None if unknown and end != "estimate" else sum(part[end] for part in parts) for end in ("estimate", "low", "high")}


def cell_means(rows: pd.DataFrame, *, metric: str, seed: int) -> dict[Cell, Quantity]:
    """Geometric mean over seeds of every (mixture, D_f, D_p) of one task and model, D_p = 0 being `scratch`.

    `rows` have a positive metric. Noise is pooled over all cells: a run effect of each (mixture, seed), a residual, and the
    test-set noise that all share, which nearly cancels in differences.
    """
    keys = ["mixture", "finetuning_size", "pretraining_tokens"]
    rows = rows.sort_values([*keys, "seed"]).reset_index(drop=True)
    cells = rows.groupby(keys, sort=True).ngroup().to_numpy()
    runs = rows.groupby(["mixture", "seed"]).ngroup().to_numpy()
    log_values = np.log(rows[metric].to_numpy(float))
    member = indicators_of(cells) / np.bincount(cells)
    means = log_values @ member
    evidence = gather(residuals=log_values - means[cells], jacobian=indicators_of(cells), runs=runs)
    draws = np.empty((0, len(means)))
    if evidence.residual_freedom:
        noise = f"{metric}_noise"
        test = (rows[noise].fillna(0.0) / rows[metric]).to_numpy(float) if noise in rows.columns else np.zeros(len(rows))
        stream = generator(seed, "measured", metric, rows.task.iloc[0], rows.model.iloc[0])
        drawn = draw_noise(runs=runs, test_noise=test, evidence=evidence, count=DRAWS, generator=stream)
        draws = np.exp(means + drawn @ member)
    first = rows.groupby(keys, sort=True).first().index
    return {
        (cell[0], float(cell[1]), float(cell[2])): Quantity(float(np.exp(means[k])), draws[:, k]) for k, cell in enumerate(first)
    }


@dataclass(frozen=True)
class Means:
    """Means of one metric of one task and model, for every (mixture, D_f, D_p)."""

    rows: pd.DataFrame
    """The usable rows that they are means of; values that are not positive have no logarithm and are left out."""
    metric: str
    cells: dict[Cell, Quantity]

    @property
    def direction(self) -> int:
        """+1 where more of the metric is better, -1 for losses."""
        return -1 if self.metric in LOSSES else 1

    def rungs(self, mixture: str, size: float) -> list[float]:
        """Measured D_p > 0, increasing."""
        return sorted(tokens for m, f, tokens in self.cells if m == mixture and f == size and tokens > 0)

    def last(self, mixture: str, size: float) -> Cell | None:
        """The cell with the most pretraining tokens of a mixture."""
        rungs = self.rungs(mixture, size)
        return (mixture, size, rungs[-1]) if rungs else None

    def scratch(self, size: float) -> Cell | None:
        """The cell without pretraining."""
        return next((cell for cell in self.cells if cell[1] == size and cell[2] == 0), None)

    def better(self, one: Quantity, other: Quantity) -> Quantity:
        """By how much the first is better: score up, loss down."""
        return (one - other).times(self.direction)

    def gain(self, cell: Cell | None, than: Cell | None) -> Quantity | None:
        """Improvement of one cell over another; None where either was not measured."""
        return None if cell is None or than is None else self.better(self.cells[cell], self.cells[than])


class TableMeans:
    """The means of a whole table, computed once for each (task, model, metric)."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = usable(table)
        self._known: dict[tuple[str, str, str], Means] = {}

    def of(self, *, task: str, model: str, metric: str) -> Means:
        """Means of a metric of one task and model; without cells where no row has a positive value."""
        key = (task, model, metric)
        if key not in self._known:
            rows = self.table[(self.table.task == task) & (self.table.model == model) & (self.table[metric] > 0)]
            self._known[key] = Means(rows, metric, cell_means(rows, metric=metric, seed=0) if len(rows) else {})
        return self._known[key]
