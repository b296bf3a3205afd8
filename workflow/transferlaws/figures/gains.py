"""What pretraining is worth: differences between measured means, as the advice computes them."""

from dataclasses import dataclass

import pandas as pd

from transferlaws.laws.measured import Cell, Quantity, cell_means
from transferlaws.laws.sureness import Sureness, sureness
from transferlaws.measurements.columns import LOSSES
from transferlaws.measurements.table import usable

LEVEL = 0.9  # of intervals of measured means and their differences


@dataclass(frozen=True)
class Gain:
    """An improvement (score up, loss down) of one mean over another in the metric's unit; no interval with one seed a cell."""

    estimate: float
    low: float | None
    high: float | None
    probability: float | None
    """That it is an improvement at all."""
    sureness: Sureness
    """That it has the sign of its estimate."""


@dataclass(frozen=True)
class Measured:
    """Means over seeds of one metric of one (model, task), for every (mixture, D_f, D_p)."""

    metric: str
    means: dict[Cell, Quantity]
    level: float = LEVEL

    def last(self, mixture: str, size: float) -> Cell | None:
        """The cell with the largest pretraining tokens of a mixture."""
        return max((cell for cell in self.means if cell[:2] == (mixture, size) and cell[2] > 0), key=lambda c: c[2], default=None)

    def scratch(self, size: float) -> Cell | None:
        """The cell without pretraining."""
        return next((cell for cell in self.means if cell[1] == size and cell[2] == 0), None)

    def gain(self, cell: Cell | None, than: Cell | None) -> Gain | None:
        """Improvement of one cell over another; None where either was not measured."""
        if cell is None or than is None:
            return None
        difference = (self.means[cell] - self.means[than]).times(-1 if self.metric in LOSSES else 1)
        more = {"probability": difference.probability_above(0.0), "sureness": sureness(difference, self.level)}
        return Gain(**difference.json(self.level), **more)


class Means:
    """The means of a whole table, computed once for each (model, task) and metric."""

    def __init__(self, table: pd.DataFrame, level: float = LEVEL) -> None:
        self.level = level
        self.table = usable(table)
        self._known: dict[tuple[str, str, str], Measured] = {}

    def of(self, keys: dict, metric: str) -> Measured:
        """Means of the model and task of `keys`; values that are not positive have no logarithm and are left out."""
        key = (keys["model"], keys["task"], metric)
        if key not in self._known:
            rows = self.table[(self.table["model"] == key[0]) & (self.table["task"] == key[1]) & (self.table[metric] > 0)]
            means = cell_means(rows, metric=metric, seed=0) if len(rows) else {}
            self._known[key] = Measured(metric, means, self.level)
        return self._known[key]
