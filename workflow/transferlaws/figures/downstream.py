"""Score and cross-entropy against pretraining tokens: what each mixture buys, with its law (Isik et al., figures 2-4)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from transferlaws.errors import UserError
from transferlaws.figures import style
from transferlaws.figures.curves import (
    LABELS,
    Key,
    draw_law,
    draw_points,
    draw_scratch,
    limits,
    mixture_handles,
    mixtures,
    note_lines,
    panel_title,
)
from transferlaws.figures.inputs import SCRATCH, Fit, find, panels, require, valued
from transferlaws.figures.settings import FigureSettings
from transferlaws.measurements.table import usable

LAWS = {"bleu": "score-log", "chrf": "score-log", "cross_entropy": "cross-entropy-power"}


def downstream(table: pd.DataFrame, fits: list[Fit], settings: FigureSettings) -> Figure:
    """Two panels a (model, task, D_f), the score over the cross-entropy; one colour a mixture.

    A metric that a (model, task, D_f) lacks (an `lm` task has no BLEU) leaves its panel out. Raises `UserError` where neither
    metric has a value, or where no row was pretrained.
    """
    require(table, (settings.score, "cross_entropy"))
    shown = usable(table)
    blocks = [(keys, rows) for keys, rows in panels(shown) if (rows["pretraining_tokens"] > 0).any()]
    metrics = [m for m in (settings.score, "cross_entropy") if any(rows[m].notna().any() for _, rows in blocks)]
    if not metrics:
        valued(table[table["pretraining_tokens"] > 0], settings.score, "cross_entropy")
        raise UserError(f"{table.attrs.get('path')}: no pretrained row has a value in {settings.score} or cross_entropy.")
    figure, places = _places(settings, len(blocks), len(metrics))
    series, key = mixtures(table), Key()
    models = table["model"].nunique()
    for index, (keys, rows) in enumerate(blocks):
        for below, metric in enumerate(metrics):
            measured = rows.dropna(subset=[metric])
            if measured.empty:
                continue
            axes = figure.add_subplot(places[index, below])
            notes = draw_panel(axes, measured, fits, metric, keys, series, key)
            style.heading(axes, panel_title(keys, models), notes, settings.width / places[0, 0].get_gridspec().ncols * 0.85)
            axes.set_xlabel(LABELS["pretraining_tokens"] if below == len(metrics) - 1 or len(blocks) == 1 else "")
            axes.set_ylabel(LABELS[metric])
    drawn = {m: mark for m, mark in series.items() if m in set(shown["mixture"])}
    style.legends(figure, mixture_handles(drawn), key.handles())
    return figure


def _places(settings: FigureSettings, blocks: int, metrics: int) -> tuple[Figure, dict[tuple[int, int], SubplotSpec]]:
    """A figure and the place of each (block, metric): metrics side by side for one block, below one another for more."""
    if blocks == 1:
        figure = Figure(figsize=(settings.width, settings.panel_height + 1.2))
        grid = figure.add_gridspec(1, max(metrics, 2))
        return figure, {(0, below): grid[0, below] for below in range(metrics)}
    columns = min(settings.columns, blocks)
    strips = -(-blocks // columns)
    figure = Figure(figsize=(settings.width, 0.9 + (settings.panel_height + 0.15) * strips * metrics))
    grid = figure.add_gridspec(strips * metrics, columns)
    return figure, {
        (index, below): grid[index // columns * metrics + below, index % columns]
        for index in range(blocks)
        for below in range(metrics)
    }


def draw_panel(
    axes: Axes, rows: pd.DataFrame, fits: list[Fit], metric: str, keys: dict, series: dict[str, style.Mark], key: Key
) -> list[str]:
    """All mixtures of one (model, task, D_f) on one metric; returns the notes on laws that do not hold."""
    values = draw_scratch(axes, rows, metric, key)
    pretrained = rows[(rows["pretraining_tokens"] > 0) & (rows["mixture"] != SCRATCH)]
    notes: dict[str, list[str]] = {}
    drawn = [mixture for mixture in series if (pretrained["mixture"] == mixture).any()]
    for mixture, aside in zip(drawn, style.asides(len(drawn)), strict=True):
        part, mark = pretrained[pretrained["mixture"] == mixture], series[mixture]
        fit = find(fits, LAWS[metric], metric, mixture=mixture, **keys)
        values += draw_points(axes, part, metric, mark, fit, key, aside)
        note = draw_law(axes, part, metric, mark, fit, key)
        if note:
            notes.setdefault(note, []).append(mixture)
    style.log_axis(axes, pretrained["pretraining_tokens"])
    limits(axes, values)
    return note_lines(notes, len(drawn))
