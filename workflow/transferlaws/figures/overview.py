"""The figure of a study: what each mixture buys as pretraining grows, and what it has bought at the last rung."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transferlaws.errors import UserError
from transferlaws.figures import style
from transferlaws.figures.curves import LABELS, Key, mixture_handles, mixtures, panel_title
from transferlaws.figures.downstream import draw_panel
from transferlaws.figures.inputs import LEVEL, SCRATCH, Fit, panels, require
from transferlaws.figures.settings import FigureSettings
from transferlaws.format import percent
from transferlaws.measurements.means import TableMeans
from transferlaws.measurements.significance import Gain, gain_of
from transferlaws.measurements.table import usable

ROW = 0.2  # inches of one line of the gains


def summary(table: pd.DataFrame, fits: list[Fit], settings: FigureSettings) -> Figure:
    """A panel a (model, task, D_f) with the score (cross-entropy where a task has none), and the gains over scratch in one list.

    Raises `UserError` where the table has no pretrained row, or none from scratch to compare it with.
    """
    require(table, ("cross_entropy",))
    shown = usable(table)
    blocks = []
    for keys, rows in panels(shown):
        metric = settings.score if settings.score in rows and rows[settings.score].notna().any() else "cross_entropy"
        rows = rows.dropna(subset=[metric])
        if (rows["pretraining_tokens"] > 0).any():
            blocks.append((keys, rows, metric))
    series, models, table_means = mixtures(table), table["model"].nunique(), TableMeans(table)
    lines: dict[str, list[tuple[str, str, Gain]]] = {}
    for keys, _, metric in blocks:
        means, size = table_means.of(task=keys["task"], model=keys["model"], metric=metric), float(keys["finetuning_size"])
        for mixture in series:
            found = gain_of(means.gain(means.last(mixture, size), means.scratch(size)), LEVEL)
            if found:
                lines.setdefault(metric, []).append((panel_title(keys, models), mixture, found))
    if not lines:
        path = table.attrs.get("path")
        raise UserError(
            f"{path}: needs pretrained rows and from-scratch rows (mixture {SCRATCH}, pretraining_tokens 0) of the same task."
        )
    figure, curve_places, gain_places = _places(settings, len(blocks), [len(found) for found in lines.values()])
    key = Key()
    for place, (keys, rows, metric) in zip(curve_places, blocks, strict=True):
        axes = figure.add_subplot(place)
        notes = draw_panel(axes, rows, fits, metric, keys, series, key)
        style.heading(
            axes,
            panel_title(keys, models),
            notes,
            settings.width * (0.5 if len(blocks) == 1 else 0.8 / min(settings.columns, len(blocks))),
        )
        axes.set_xlabel(LABELS["pretraining_tokens"])
        axes.set_ylabel(LABELS[metric])
    for place, (metric, found) in zip(gain_places, lines.items(), strict=True):
        draw_gains(figure.add_subplot(place), found, metric, series, by_mixture=len(blocks) == 1)
    style.legends(figure, mixture_handles({m: mark for m, mark in series.items() if m in set(shown["mixture"])}), key.handles())
    return figure


def _places(settings: FigureSettings, blocks: int, lists: list[int]) -> tuple[Figure, list, list]:
    if blocks == 1:
        figure = Figure(figsize=(settings.width, settings.panel_height + 1.3))
        grid = figure.add_gridspec(1, 2, width_ratios=(3, 2))
        return figure, [grid[0, 0]], [grid[0, 1]]
    columns = min(settings.columns, blocks)
    strips = -(-blocks // columns)
    heights = [settings.panel_height + 0.3] * strips + [0.5 + ROW * count for count in lists]
    figure = Figure(figsize=(settings.width, 0.9 + sum(heights)))
    # two grids, so that the long names of the list do not push the panels aside
    above, below = figure.add_gridspec(2, 1, height_ratios=(sum(heights[:strips]), sum(heights[strips:])))
    panels_grid = above.subgridspec(strips, columns)
    list_grid = below.subgridspec(len(lists), 1, height_ratios=heights[strips:])
    return figure, [panels_grid[i // columns, i % columns] for i in range(blocks)], [list_grid[i, 0] for i in range(len(lists))]


def below(gain: Gain) -> bool:
    """Whether a gain lies below zero with all its interval: its value then stands left of it, not across the line of zero."""
    return (gain.estimate if gain.high is None else gain.high) < 0


def draw_gains(
    axes: Axes, lines: list[tuple[str, str, Gain]], metric: str, series: dict[str, style.Mark], *, by_mixture: bool
) -> None:
    """One line a (panel, mixture): the gain over scratch at the last rung with its interval and its value."""
    axes.axvline(0, color=style.BASELINE, linewidth=1, zorder=0.6)
    positions, y, before = [], 0.0, None
    digits = 2 if metric == "cross_entropy" else 1
    for title, mixture, found in lines:
        y -= 1.0 if title == before or before is None else 1.6
        before = title
        positions.append(y)
        mark = series[mixture]
        axes.plot(found.estimate, y, color=mark.colour, marker=mark.marker, zorder=3)
        if found.low is not None:
            axes.plot([found.low, found.high], [y, y], color=mark.colour, linewidth=1, zorder=3)
        left = below(found)
        low, high = (found.estimate if end is None else end for end in (found.low, found.high))
        text = f"{found.estimate:+.{digits}f}".replace("-", "−")
        axes.annotate(
            text, (low if left else high, y), (-5 if left else 5, 0), textcoords="offset points", va="center",
            ha="right" if left else "left", fontsize=style.NOTE_SIZE,
        )  # fmt: skip
    ends = [0.0, *(end for *_, g in lines for end in (g.estimate, g.low, g.high) if end is not None)]
    low, high = min(ends), max(ends)
    room = 0.3 if by_mixture else 0.1  # of the span, for a value beside its interval
    lowest = any(below(g) and g.low in (low, None) for *_, g in lines)
    axes.set_xlim(low - (room if lowest else 0.05) * (high - low), high + room * (high - low))
    axes.set_ylim(positions[-1] - 0.8, positions[0] + 0.8)
    if by_mixture:
        axes.set_yticks(positions, [style.name(mixture) for _, mixture, _ in lines])
    else:
        groups = {title: [p for p, line in zip(positions, lines, strict=True) if line[0] == title] for title, *_ in lines}
        axes.set_yticks([sum(group) / len(group) for group in groups.values()], list(groups))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel({"cross_entropy": "reduction of cross-entropy (nats/token)"}.get(metric, f"gain in {LABELS[metric]}"))
    style.heading(axes, "gain over scratch at the last rung", [f"with {percent(LEVEL)} intervals"])
