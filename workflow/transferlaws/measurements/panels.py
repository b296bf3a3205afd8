"""The panels of a study: one per (model, task, D_f), in which mixtures are compared."""

import pandas as pd

PANEL = ["model", "task", "finetuning_size", "finetuning_unit"]
SCRATCH = "scratch"


def panels(table: pd.DataFrame) -> list[tuple[dict, pd.DataFrame]]:
    """(keys, rows) for each (model, task, D_f), in order of first appearance, D_f rising within a task."""
    groups = [(dict(zip(PANEL, keys, strict=True)), rows) for keys, rows in table.groupby(PANEL, sort=False)]
    order = {}
    for keys, _ in groups:
        order.setdefault((keys["model"], keys["task"]), len(order))
    return sorted(groups, key=lambda group: (order[group[0]["model"], group[0]["task"]], group[0]["finetuning_size"]))
