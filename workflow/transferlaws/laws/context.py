"""What every answer and comparison of one task and model shares: its rows, their means, the metric that decides, the aims."""

import math
from dataclasses import dataclass

import pandas as pd

from transferlaws.laws.measured import Cell, Quantity, cell_means
from transferlaws.laws.settings import AdviceSettings
from transferlaws.measurements.table import usable

FURTHER = 4.0  # how far beyond the largest rung to look where no largest affordable D_p is given


@dataclass(frozen=True)
class Context:
    """The table, means and aims that every answer of a task and model shares."""

    rows: pd.DataFrame
    means: dict[Cell, Quantity]
    metric: str
    direction: int
    """+1 where more of the metric is better, -1 for losses."""
    settings: AdviceSettings
    max_epochs: float | None = None
    """Most passes over any corpus; None where text may repeat without end."""

    def rungs(self, mixture: str, size: float) -> list[float]:
        """Measured D_p > 0, increasing."""
        return sorted(tokens for m, f, tokens in self.means if m == mixture and f == size and tokens > 0)

    def scratch(self, size: float) -> Quantity | None:
        """Mean without pretraining."""
        return next((mean for (_, f, tokens), mean in self.means.items() if f == size and tokens == 0), None)

    def better(self, one: Quantity, other: Quantity) -> Quantity:
        """By how much the first is better."""
        return (one - other).times(self.direction)

    def text_end(self, mixture: str) -> float:
        """The D_p up to which a mixture has text: passes grow with D_p. Infinite where no limit, or no pass, is known."""
        if self.max_epochs is None:
            return math.inf
        rows = self.rows[(self.rows.mixture == mixture) & (self.rows.pretraining_epochs > 0)]
        last = rows.pretraining_tokens.max()
        passes = rows.pretraining_epochs[rows.pretraining_tokens == last].max()
        return max(last, last * self.max_epochs / passes) if len(rows) else math.inf

    def target(self, last: float) -> float:
        """Largest D_p to consider; never less than what was measured."""
        return max(last, self.settings.target_pretraining_tokens or FURTHER * last)


def context_of(
    table: pd.DataFrame,
    *,
    task: str,
    model: str,
    metric: str,
    direction: int,
    settings: AdviceSettings,
    max_epochs: float | None = None,
) -> Context:
    """Means of one task and model."""
    rows = usable(table[(table.task == task) & (table.model == model) & (table[metric] > 0)])
    return Context(rows, cell_means(rows, metric=metric, seed=0), metric, direction, settings, max_epochs)
