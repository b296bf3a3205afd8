"""What was measured, law or no law: means over seeds with their noise, and the gains of one over another."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from transferlaws.measurements.columns import LOSSES
from transferlaws.measurements.table import usable
from transferlaws.seeding import generator
from transferlaws.statistics.arrays import Array, indicators_of
from transferlaws.statistics.intervals import interval, probability_above
from transferlaws.statistics.noise import draw_noise, gather
from transferlaws.statistics.tests import equal_variances

DRAWS = 4000
UNPOOLED = 0.05  # noise that differs between mixtures at this level is not pooled over them
LOCAL = 4  # degrees of freedom from which the seeds of a rung alone say how large its noise is
CORRELATION = 0.5  # of two mixtures' test-set noise where no per-sentence statistics tell: less than translation systems have
Cell = tuple[str, float, float]  # mixture, D_f, D_p


def seed_mean(values: ArrayLike) -> float:
    """The mean over seeds that the whole project goes by: the geometric mean of the positive values, as laws see them.

    Values of 0 have no logarithm and are left out; where there are only such, the mean is 0.
    """
    values = np.asarray(values, dtype=float)
    positive = values[values > 0]
    return float(np.exp(np.log(positive).mean())) if len(positive) else 0.0


@dataclass(frozen=True)
class Quantity:
    """An estimate and draws of it; no draws where seeds are too few to know its noise."""

    estimate: float
    draws: Array  # (B,) or (0,)
    fixed: Array | None = None
    """Draws (B,) of what its noise would be with seeds without end: that of the test set; None where it is not known apart."""

    def __sub__(self, other: "Quantity") -> "Quantity":
        """Difference; draws of unequal number are matched up to the shorter."""
        count = min(len(self.draws), len(other.draws))
        fixed = None if self.fixed is None or other.fixed is None else self.fixed[:count] - other.fixed[:count]
        return Quantity(self.estimate - other.estimate, self.draws[:count] - other.draws[:count], fixed)

    def times(self, sign: int) -> "Quantity":
        """The quantity or its negative."""
        return Quantity(sign * self.estimate, sign * self.draws, None if self.fixed is None else sign * self.fixed)

    def stretched(self, factor: float) -> "Quantity":
        """The same estimate with draws, so intervals, wider by a factor."""
        fixed = None if self.fixed is None else self.estimate + factor * (self.fixed - self.estimate)
        return Quantity(self.estimate, self.estimate + factor * (self.draws - self.estimate), fixed)

    def probability_above(self, threshold: float) -> float | None:
        """Probability that it is above `threshold`, of the distribution that `json` gives the interval of; None without draws."""
        return probability_above(self.draws, threshold, self.estimate) if len(self.draws) else None

    def json(self, level: float) -> dict:
        """Estimate with the ends of its interval, null where unknown."""
        if not len(self.draws):
            return {"estimate": self.estimate, "low": None, "high": None}
        low, high = interval(self.draws[:, None], level, np.array([self.estimate]))
        ends = (end if np.isfinite(end) else None for end in (float(low[0]), float(high[0])))
        return dict(zip(("estimate", "low", "high"), (self.estimate, *ends), strict=True))


def added(*parts: dict) -> dict:
    """Sum of quantities as JSON, its interval end by end: as wide as if all erred in the same direction."""
    unknown = any(part["low"] is None for part in parts)
    return {end: None if unknown and end != "estimate" else sum(part[end] for part in parts) for end in ("estimate", "low", "high")}


def cell_means(rows: pd.DataFrame, *, metric: str, seed: int) -> dict[Cell, Quantity]:
    """Geometric mean over seeds of every (mixture, D_f, D_p) of one task and model, D_p = 0 being `scratch`.

    `rows` have a positive metric. Noise between seeds is a run effect of each (mixture, seed) and a residual, pooled over mixtures
    whose variances do not differ (Bartlett's test). What the seeds of a mixture share and mixtures do not cannot
    be seen between seeds: the sentences of the test set that suit it. It is drawn from the covariance of the models' influences.
    """
    keys = ["mixture", "finetuning_size", "pretraining_tokens"]
    rows = rows.sort_values([*keys, "seed"]).reset_index(drop=True)
    cells = rows.groupby(keys, sort=True).ngroup().to_numpy()
    runs = rows.groupby(["mixture", "seed"]).ngroup().to_numpy()
    log_values = np.log(rows[metric].to_numpy(float))
    member = indicators_of(cells) / np.bincount(cells)
    means = log_values @ member
    draws, fixed = np.empty((0, len(means))), None
    residuals = log_values - means[cells]
    if gather(residuals=residuals, jacobian=indicators_of(cells), runs=runs).residual_freedom:
        stream = generator(seed, "measured", metric, rows.task.iloc[0], rows.model.iloc[0])
        test = _test_set(rows, metric, cells=cells, runs=runs, generator=stream)
        drawn = _between_seeds(rows, residuals, cells=cells, runs=runs, generator=stream)
        draws, fixed = np.exp(means + drawn @ member + test), np.exp(means + test)
    first = rows.groupby(keys, sort=True).first().index
    return {
        (cell[0], float(cell[1]), float(cell[2])): Quantity(
            float(np.exp(means[k])), draws[:, k], None if fixed is None else fixed[:, k]
        )
        for k, cell in enumerate(first)
    }


def _between_seeds(rows: pd.DataFrame, residuals: Array, *, cells: Array, runs: Array, generator: np.random.Generator) -> Array:
    """Draws (DRAWS, n) of what a seed does to each measurement.

    How much of it a whole run shares is estimated from all rungs; how large it is, from the seeds of a rung alone where they have
    degrees of freedom enough: noise that grows, shrinks or drifts along the ladder is as large as it is there.
    """
    drawn = np.zeros((DRAWS, len(rows)))
    for part in _alike(rows, residuals, cells=cells, runs=runs):
        evidence = gather(residuals=residuals[part], jacobian=indicators_of(cells[part]), runs=runs[part])
        silent = np.zeros(part.sum())
        own = draw_noise(runs=runs[part], test_noise=silent, evidence=evidence, count=DRAWS, generator=generator)
        run, residual, _ = evidence.draw(generator, DRAWS)
        share = (run**2 / (run**2 + residual**2))[:, None]
        _, index = np.unique(runs[part], return_inverse=True)
        effects = generator.standard_normal((DRAWS, index.max() + 1))[:, index]
        unit = np.sqrt(share) * effects + np.sqrt(1 - share) * generator.standard_normal(own.shape)
        rungs = rows.pretraining_tokens[part].to_numpy()
        for rung in np.unique(rungs):
            here = rungs == rung
            freedom = here.sum() - len(np.unique(cells[part][here]))
            if freedom >= LOCAL:
                squares = float((residuals[part][here] ** 2).sum())
                own[:, here] = unit[:, here] * np.sqrt(squares / generator.chisquare(freedom, DRAWS))[:, None]
        drawn[:, part] = own
    return drawn


def _alike(rows: pd.DataFrame, residuals: Array, *, cells: Array, runs: Array) -> list[Array]:
    """Masks of the rows over which noise is pooled: all, or each mixture's where their variances differ."""
    names = rows.mixture.to_numpy()
    parts = [names == name for name in dict.fromkeys(names)]
    freedom = [int(part.sum()) - len(np.unique(cells[part])) for part in parts]
    if len(parts) > 1 and all(
        gather(residuals=residuals[part], jacobian=indicators_of(cells[part]), runs=runs[part]).residual_freedom for part in parts
    ):
        squares = [float((residuals[part] ** 2).sum()) for part in parts]
        # rungs of a run err together: its seeds, not its measurements, are independent
        seeds = [len(np.unique(runs[part])) for part in parts]
        worth = [max(min(f, n - 1), 1) for f, n in zip(freedom, seeds, strict=True)]
        if equal_variances([s * w / f for s, w, f in zip(squares, worth, freedom, strict=True)], worth) < UNPOOLED:
            return parts
    return [np.ones(len(rows), dtype=bool)]


def _test_set(rows: pd.DataFrame, metric: str, *, cells: Array, runs: Array, generator: np.random.Generator) -> Array:
    """Draws (DRAWS, cells) of the log noise that seeds of a cell share.

    The covariance of two cells is that of the influences of their models, mean over pairs of different runs: what the models of a
    cell do not have in common is between its seeds already.
    """
    member, count = indicators_of(cells), cells.max() + 1
    if f"{metric}_influence" in rows.columns and rows[f"{metric}_influence"].notna().all():
        influence = np.stack(rows[f"{metric}_influence"].tolist())
        covariance = influence @ influence.T
        apart = (runs[:, None] != runs[None, :]).astype(float)
        pairs = member.T @ apart @ member
        with np.errstate(invalid="ignore"):
            mean = (member.T @ (covariance * apart) @ member) / pairs
        mean = np.where(pairs > 0, mean, (member.T @ covariance @ member) / np.outer(member.sum(axis=0), member.sum(axis=0)))
        size, vectors = np.linalg.eigh((mean + mean.T) / 2)
        return generator.standard_normal((DRAWS, count)) @ (vectors * np.sqrt(np.maximum(size, 0.0))).T
    if f"{metric}_noise" not in rows.columns:
        return np.zeros((DRAWS, count))
    deviation = ((rows[f"{metric}_noise"].fillna(0.0) / rows[metric]).to_numpy(float) @ member) / member.sum(axis=0)
    _, mixture = np.unique(rows.mixture.groupby(cells).first(), return_inverse=True)
    common, own = generator.standard_normal((DRAWS, 1)), generator.standard_normal((DRAWS, mixture.max() + 1))[:, mixture]
    return deviation * (np.sqrt(CORRELATION) * common + np.sqrt(1 - CORRELATION) * own)


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

    def seeds(self, *cells: Cell) -> int:
        """Fewest seeds that one of the cells has."""
        keys = self.rows[["mixture", "finetuning_size", "pretraining_tokens"]].apply(tuple, axis=1)
        return min(int((keys == cell).sum()) for cell in cells)

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
