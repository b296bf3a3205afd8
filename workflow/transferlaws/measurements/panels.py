"""The panels of a study: one per (model, task, D_f), in which mixtures are compared."""

import math
from itertools import product

import pandas as pd

PANEL = ["model", "task", "finetuning_size", "finetuning_unit"]
SCRATCH = "scratch"


def by_size(table: pd.DataFrame) -> list[str]:
    """The table's models from small to large; where sizes are unknown, in order of first appearance."""
    models = list(dict.fromkeys(table["model"]))
    if "parameters_non_embedding" not in table:
        return models
    sizes = table.groupby("model")["parameters_non_embedding"].min()
    return sorted(models, key=lambda model: sizes[model] if sizes[model] == sizes[model] else math.inf)


def panels(table: pd.DataFrame) -> list[tuple[dict, pd.DataFrame]]:
    """(keys, rows) for each (model, task, D_f), models by size, tasks in order of first appearance, D_f rising."""
    groups = [(dict(zip(PANEL, keys, strict=True)), rows) for keys, rows in table.groupby(PANEL, sort=False)]
    tasks = list(dict.fromkeys(table["task"]))
    order = {(model, task): place for place, (model, task) in enumerate(product(by_size(table), tasks))}
    return sorted(groups, key=lambda group: (order[group[0]["model"], group[0]["task"]], group[0]["finetuning_size"]))
