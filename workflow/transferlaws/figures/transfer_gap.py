"""The transfer gap: loss against both kinds of data, and what the gap is worth (Barnett 2024)."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from transferlaws.errors import UserError
from transferlaws.figures import style
from transferlaws.figures.curves import LABELS, NOTES, mixtures
from transferlaws.figures.inputs import Fit, find, valued
from transferlaws.figures.settings import FigureSettings
from transferlaws.format import percent, short_number
from transferlaws.measurements.means import seed_mean

LAW = "transfer-gap"
SURFACE = ["model", "task", "mixture", "finetuning_unit"]
SERIES_MAXIMUM = 8  # lines in one panel; of more levels the outermost and evenly spaced ones are drawn


def transfer_gap(table: pd.DataFrame, fits: list[Fit], settings: FigureSettings) -> Figure:
    """A row a (model, task, mixture): loss against D_f at several D_p, loss against D_p at several D_f; below, the gaps compared.

    The law is `L = (A D_p^-alpha + G) D_f^-beta + E`. Raises `UserError` where no transfer-gap fit is given, or no mixture was
    measured at two D_f and two D_p.
    """
    path = table.attrs.get("path", "measurement table")
    if not any(fit.law == LAW for fit in fits):
        raise UserError(
            f"{path}: figure transfer-gap draws the law {LAW}, which was not fitted. Add `{LAW}: {{}}` to the study's laws."
        )
    rows = valued(table[table["pretraining_tokens"] > 0], "cross_entropy")
    surfaces = []
    for keys, part in rows.groupby(SURFACE, sort=False):
        if part["finetuning_size"].nunique() > 1 and part["pretraining_tokens"].nunique() > 1:
            surfaces.append((dict(zip(SURFACE, keys, strict=True)), part))
    if not surfaces:
        raise UserError(
            f"{path}: figure transfer-gap needs a mixture that was measured at two or more values of finetuning_size and of "
            "pretraining_tokens. Give a task more than one D_f."
        )
    found = [find(fits, LAW, "cross_entropy", **keys) for keys, _ in surfaces]
    gaps = [(keys, fit) for (keys, _), fit in zip(surfaces, found, strict=True) if fit is not None and gap_of(fit)]
    heights = [settings.panel_height] * len(surfaces) + ([0.75 + 0.22 * len(gaps)] if gaps else [])
    figure = Figure(figsize=(settings.width, 0.3 + sum(heights)))
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
    for index, ((keys, part), fit) in enumerate(zip(surfaces, found, strict=True)):
        title = ", ".join(style.name(keys[name]) for name in ("model", "task", "mixture"))
        notes = [NOTES.get(fit.state, fit.state)] if fit is not None and fit.state != "holds" else []
        left, right = figure.add_subplot(grid[index, 0]), figure.add_subplot(grid[index, 1])
        draw_surface(left, part, fit, x="finetuning_size", series="pretraining_tokens")
        draw_surface(right, part, fit, x="pretraining_tokens", series="finetuning_size")
        style.heading(left, title, notes, settings.width * 0.35)
        left.set_xlabel(f"fine-tuning {style.name(keys['finetuning_unit'])}")
        right.set_xlabel(LABELS["pretraining_tokens"])
    if gaps:
        draw_gaps(figure.add_subplot(grid[len(surfaces), :]), gaps, mixtures(table))
    return figure


def draw_surface(axes: Axes, rows: pd.DataFrame, fit: Fit | None, *, x: str, series: str) -> None:
    """Loss against `x`, one line a value of `series`, dark to light as it grows; the law where it may be drawn."""
    levels = np.sort(rows[series].unique())
    if len(levels) > SERIES_MAXIMUM:
        levels = levels[np.linspace(0, len(levels) - 1, SERIES_MAXIMUM).round().astype(int)]
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(levels)))
    held_out = (
        {(p["seed"], p["pretraining_tokens"], p["finetuning_size"]) for p in fit.points if p["role"] == "held-out"}
        if fit
        else set()
    )
    line = np.geomspace(rows[x].min(), rows[x].max(), 60)
    for level, colour, marker in zip(levels, colours, style.MARKERS * 2, strict=False):
        part = rows[rows[series] == level]
        hollow = [key in held_out for key in zip(part["seed"], part["pretraining_tokens"], part["finetuning_size"], strict=True)]
        for chosen, face in ((~np.array(hollow), colour), (np.array(hollow), "white")):
            axes.plot(part[x][chosen], part["cross_entropy"][chosen], marker, color=colour, markerfacecolor=face, zorder=3)
        if fit is not None and fit.has_curve:
            axes.plot(line, predict(fit, **{x: line, series: level}), color=colour, zorder=2)
        else:
            means = part.groupby(x)["cross_entropy"].agg(seed_mean)
            axes.plot(means.index, means.to_numpy(), color=colour, linestyle=":", linewidth=0.9, zorder=2)
    style.log_axis(axes, rows[x])
    axes.set_ylabel(LABELS["cross_entropy"])
    handles = [
        Line2D([], [], color=colour, marker=marker, label=short_number(level))
        for level, colour, marker in zip(levels, colours, style.MARKERS * 2, strict=False)
    ]
    names = {
        "pretraining_tokens": "pretraining\ntokens",
        "finetuning_size": f"fine-tuning\n{style.name(rows['finetuning_unit'].iloc[0])}",
    }
    title = names[series] + ("\n(hollow: held out)" if held_out else "")
    axes.legend(handles=handles, title=title, loc="center left", bbox_to_anchor=(1, 0.5), title_fontsize=style.NOTE_SIZE)


def predict(fit: Fit, *, pretraining_tokens: np.ndarray | float, finetuning_size: np.ndarray | float) -> np.ndarray:
    """Loss in nats/token by the fitted `(A D_p^-alpha + G) D_f^-beta + E`."""
    value = {name: fit.parameters[name]["estimate"] for name in ("A", "G", "E", "alpha", "beta")}
    reducible = value["A"] * pretraining_tokens ** -value["alpha"] + value["G"]
    return reducible * finetuning_size ** -value["beta"] + value["E"]


def gap_of(fit: Fit) -> dict | None:
    """`G D_f^-beta` at the fit's own reference D_f, nats/token: comparable between fits, as G, whose unit holds beta, is not."""
    gap = fit.parameters.get("G_at_reference")
    return gap if fit.has_curve and gap and gap["estimate"] is not None else None


def draw_gaps(axes: Axes, gaps: list[tuple[dict, Fit]], series: dict[str, style.Mark]) -> None:
    """One line a fit: the loss that no amount of this pretraining removes, with its interval."""
    for y, (keys, fit) in enumerate(reversed(gaps)):
        gap, mark = gap_of(fit), series[keys["mixture"]]
        low, high = gap["low"], gap["high"]
        ends = [gap["estimate"] if end is None else end for end in (low, high)]
        axes.plot(ends, [y, y], color=mark.colour, linewidth=1)
        for end, head, way in ((low, "<", -1), (high, ">", 1)):
            if end is None:  # unbounded, not exact
                axes.plot(gap["estimate"], y, linestyle="", marker=head, markersize=9, markerfacecolor="none", color=mark.colour)
                axes.annotate("?", (gap["estimate"], y), (9 * way, 0), textcoords="offset points", ha="center", va="center")
        axes.plot(gap["estimate"], y, mark.marker, color=mark.colour, markerfacecolor=mark.colour if gap["identified"] else "white")
        reference = fit.document["reference"]["finetuning_size"]
        axes.annotate(
            f"at {short_number(reference)} {style.name(keys['finetuning_unit'])}", (1, y), (3, 0), ("axes fraction", "data"),
            "offset points", va="center", fontsize=style.NOTE_SIZE,
        )  # fmt: skip
    axes.axvline(0, color=style.BASELINE, linewidth=1)
    labels = [", ".join(style.name(keys[n]) for n in ("model", "task", "mixture")) for keys, _ in reversed(gaps)]
    axes.set_yticks(range(len(gaps)), labels)
    axes.set_ylim(-0.6, len(gaps) - 0.4)
    axes.set_xlabel(r"transfer gap $G\,D_f^{-\beta}$ (nats/token)").set_parse_math(True)
    level = percent(gaps[0][1].level)
    style.heading(
        axes, "transfer gap", [f"each at the D_f beside it, with {level} intervals; hollow: not identified; ?: no end"], 6
    )
