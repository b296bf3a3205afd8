"""What every answer and comparison of one task and model shares: the means, the metric that decides, the aims."""

import math
from dataclasses import dataclass

import pandas as pd

from transferlaws.advice.settings import AdviceSettings
from transferlaws.errors import UserError
from transferlaws.format import some
from transferlaws.measurements.columns import LOSSES, SCORES
from transferlaws.measurements.means import Means
from transferlaws.measurements.table import usable

FURTHER = 4.0  # how far beyond the largest rung to look where no largest affordable D_p is given


@dataclass(frozen=True)
class Context:
    """The means and aims that every answer of a task and model shares."""

    means: Means
    settings: AdviceSettings
    max_epochs: float | None = None
    """Most passes over any corpus; None where text may repeat without end."""

    def text_end(self, mixture: str) -> float:
        """The D_p up to which a mixture has text: passes grow with D_p. Infinite where no limit, or no pass, is known."""
        if self.max_epochs is None:
            return math.inf
        rows = self.means.rows
        rows = rows[(rows.mixture == mixture) & (rows.pretraining_epochs > 0)]
        last = rows.pretraining_tokens.max()
        passes = rows.pretraining_epochs[rows.pretraining_tokens == last].max()
        return max(last, last * self.max_epochs / passes) if len(rows) else math.inf

    def target(self, last: float) -> float:
        """Largest D_p to consider; never less than what was measured."""
        return max(last, self.settings.target_pretraining_tokens or FURTHER * last)


def deciding_metric(table: pd.DataFrame, settings: AdviceSettings) -> tuple[str, list[str]]:
    """The metric that decides for a task's rows, and what must be said about the choice.

    Without a metric in the settings it is the first score of the table that is positive in every row, because a score of 0 has no
    logarithm and a mean without the zeros would flatter.
    """
    task = table.task.iloc[0]
    table = usable(table)
    present = [m for m in (*SCORES, "cross_entropy") if m in table.columns and table[m].notna().any()]
    # without pretraining a score of 0 is normal: such a row decides nothing
    zeros = {m: table.row[(table[m] <= 0) & (table.pretraining_tokens > 0)].tolist() for m in present}
    metric = settings.metric or next((m for m in present if not zeros[m]), next(iter(present), None))
    if metric is None or metric not in table.columns or not table[metric].notna().any():
        wanted = metric or " or ".join((*SCORES, "cross_entropy"))
        raise UserError(f"metric: task {task} has no value of {wanted} to decide by. Set the advice's metric.")
    if metric not in SCORES and metric not in LOSSES:
        raise UserError(f"metric: {metric!r} is neither a score ({', '.join(SCORES)}) nor a loss ({', '.join(LOSSES)}).")
    notes = [f"{task}: {m} is 0 in row {some(zeros[m])}, so {metric} decides" for m in present[: present.index(metric)] if zeros[m]]
    if zeros.get(metric):
        notes.append(f"{task}: {metric} is 0 in row {some(zeros[metric])}; means leave these rows out and flatter")
    return metric, notes


def with_worthwhile(settings: AdviceSettings, metric: str, values: pd.Series) -> AdviceSettings:
    """The settings with the default of `worthwhile` for a metric; raises `UserError` where its values are off its scale."""
    top = {"0-100": 100.0, "0-1": 1.0}.get(SCORES.get(metric))
    if top and values.max() > top:
        raise UserError(f"{metric}: {values.max():g} is above {top:g}, the top of its scale {SCORES[metric]}. Scale the column.")
    if settings.worthwhile is not None:
        return settings
    if top == 100 and values.max() <= 1:
        raise UserError(
            f"{metric}: no value is above 1, but its scale is 0-100. Multiply it by 100, or set `worthwhile` if it is right."
        )
    return settings.model_copy(update={"worthwhile": {100.0: 1.0, 1.0: 0.01}.get(top, 0.02)})
