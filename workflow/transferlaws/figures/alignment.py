"""Every mixture against pretraining tokens, and its gain against its alignment with the task (Isik et al., figure 4)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    panel_title,
)
from transferlaws.figures.inputs import LEVEL, SCRATCH, Fit, panels, valued
from transferlaws.figures.settings import FigureSettings
from transferlaws.format import percent
from transferlaws.measurements.means import Means, TableMeans
from transferlaws.measurements.significance import Gain, gain_of


def alignment(table: pd.DataFrame, fits: list[Fit], settings: FigureSettings) -> Figure:
    """A row a (model, task, D_f): score and cross-entropy of every mixture, and its gain over scratch against its alignment score.

    The alignment score is `P_src P_dest + 0.7 P_src + 0.8 P_dest`, P a language's share of the mixture (Isik et al. 2024, eq. 2).
    Raises `UserError` where no row has one, or nothing was trained from scratch to compare with.
    """
    pretrained = valued(table, "alignment", settings.score, "cross_entropy")
    pretrained = pretrained[pretrained["pretraining_tokens"] > 0]
    if pretrained.empty:
        raise UserError(
            f"{table.attrs.get('path')}: no pretrained row has an alignment score; it is defined for translation tasks."
        )
    tasks = set(pretrained["task"])
    blocks = [(keys, rows) for keys, rows in panels(valued(table, settings.score, "cross_entropy")) if keys["task"] in tasks]
    figure = Figure(figsize=(settings.width, 0.8 + 0.9 * settings.panel_height * len(blocks)))
    places = figure.subplots(len(blocks), 3, squeeze=False)
    series, key, models, means = mixtures(table), Key(), table["model"].nunique(), TableMeans(table)
    for (score_axes, loss_axes, gain_axes), (keys, rows) in zip(places, blocks, strict=True):
        for axes, metric in ((score_axes, settings.score), (loss_axes, "cross_entropy")):
            values = draw_scratch(axes, rows, metric, key)
            for (mixture, mark), aside in zip(series.items(), style.asides(len(series)), strict=True):
                part = rows[(rows["mixture"] == mixture) & (rows["pretraining_tokens"] > 0)]
                if not part.empty:
                    values += draw_points(axes, part, metric, mark, None, key, aside)
                    draw_law(axes, part, metric, mark, None, key)
            style.log_axis(axes, rows.loc[rows["pretraining_tokens"] > 0, "pretraining_tokens"])
            limits(axes, values)
            axes.set_xlabel(LABELS["pretraining_tokens"])
            axes.set_ylabel(LABELS[metric].replace(" (", "\n("))  # the panel is not as high as the label is long
        style.heading(score_axes, panel_title(keys, models))
        draw_gains(gain_axes, rows, series, means.of(task=keys["task"], model=keys["model"], metric=settings.score), table)
    style.legends(figure, mixture_handles(series), key.handles(joined="seed means joined"))
    return figure


def draw_gains(axes: Axes, rows: pd.DataFrame, series: dict[str, style.Mark], means: Means, table: pd.DataFrame) -> None:
    """Gain over scratch at each mixture's last rung against its alignment score, with intervals; equal scores side by side."""
    axes.axhline(0, color=style.BASELINE, linewidth=1, zorder=0.6)
    size = float(rows["finetuning_size"].iloc[0])
    if means.scratch(size) is None:
        raise UserError(
            f"{table.attrs.get('path')}: no from-scratch row (mixture {SCRATCH}, pretraining_tokens 0) to compare with."
        )
    together: dict[float, list[tuple[style.Mark, Gain]]] = {}
    for mixture, mark in series.items():
        found = gain_of(means.gain(means.last(mixture, size), means.scratch(size)), LEVEL)
        score = rows.loc[rows["mixture"] == mixture, "alignment"].dropna()
        if found and not score.empty:
            together.setdefault(round(float(score.iloc[0]), 2), []).append((mark, found))
    values = [0.0]
    for score, gains in together.items():
        for (mark, found), aside in zip(gains, style.asides(len(gains), step=6.0, widest=24.0), strict=True):
            place = style.beside(axes, aside)
            axes.plot(score, found.estimate, color=mark.colour, marker=mark.marker, transform=place)
            ends = [end for end in (found.low, found.high) if end is not None]
            axes.plot([score] * len(ends), ends, color=mark.colour, linewidth=0.9, transform=place)
            values += [found.estimate, *ends]
    limits(axes, values)
    axes.set_xlim(-0.1, 1.1)
    axes.set_xlabel("alignment score of the mixture")
    axes.set_ylabel(f"gain in {LABELS[means.metric]}")
    style.heading(axes, "gain over scratch", [f"at the last rung, with {percent(LEVEL)} intervals"])
