"""Effective data transferred: what pretraining is worth in fine-tuning data, also below zero (Hernandez et al.)."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from transferlaws.errors import UserError
from transferlaws.figures import style
from transferlaws.figures.curves import LABELS, NOTES
from transferlaws.figures.inputs import Fit, require
from transferlaws.figures.settings import FigureSettings
from transferlaws.format import short_number
from transferlaws.laws.effective_data import fraction
from transferlaws.measurements.means import seed_mean

LAW = "effective-data"
N, D = "parameters_non_embedding", "finetuning_size"
OSSIFIED = "#D55E00"
CENSORED = "censored: better"  # the law's reason where every from-scratch run has a higher loss
DEEPEST = -0.5  # lowest share drawn; points below it stand at the edge


def effective_data(table: pd.DataFrame, fits: list[Fit], settings: FigureSettings) -> Figure:
    """A row a (task, mixture) at its largest D_p: the gap between the loss curves, the share transferred, D_E over D_F.

    After figures 1, 2 and 6 of the paper. D_T data were transferred to D_F data of fine-tuning, D_E = D_F + D_T. Raises `UserError`
    where no effective-data fit with points is given.
    """
    path = table.attrs.get("path", "measurement table")
    last: dict[tuple, Fit] = {}
    for fit in sorted((f for f in fits if f.law == LAW), key=lambda f: f.group["pretraining_tokens"]):
        if any(point["role"] == "fit" or point["reason"] for point in fit.points if point["role"] != "baseline"):
            last[fit.group["task"], fit.group["mixture"]] = fit
    if not last:
        raise UserError(
            f"{path}: figure effective-data draws the law {LAW}, and no fit of it with points was given. Add `{LAW}: {{}}` to the "
            "study's laws, and give a task several D_f, each also from scratch."
        )
    require(table, (N, "cross_entropy"))
    figure = Figure(figsize=(settings.width, 0.5 + (settings.panel_height + 0.5) * len(last)))
    places = figure.subplots(len(last), 3, squeeze=False)
    for (loss_axes, share_axes, ratio_axes), fit in zip(places, last.values(), strict=True):
        scratch = table[(table["task"] == fit.group["task"]) & (table["pretraining_tokens"] == 0)].dropna(
            subset=[N, "cross_entropy"]
        )
        points = pd.DataFrame([p for p in fit.points if p["role"] != "baseline"])
        for column in ("loss", "effective", "fraction"):
            points[column] = points[column].astype(float)
        unit = style.name(fit.group["finetuning_unit"])
        draw_losses(loss_axes, points, scratch, unit)
        draw_shares(share_axes, points, fit, unit)
        draw_ratios(ratio_axes, points, scratch, fit, unit)
        notes = [f"after {short_number(fit.group['pretraining_tokens'])} pretraining tokens"]
        notes += [NOTES.get(fit.state, fit.state)] if fit.state != "holds" else []
        style.heading(
            loss_axes, f"{style.name(fit.group['task'])}, {style.name(fit.group['mixture'])}", notes, settings.width * 0.26
        )
        style.heading(share_axes, "transferred share", ["grey: not in the fit"], settings.width * 0.26)
        censored = bool(points["reason"].str.startswith(CENSORED).any())
        style.heading(ratio_axes, "effective over actual data", ["open: at least this much"] * censored, settings.width * 0.26)
    grey = style.BASELINE
    key = [
        Line2D([], [], color=grey, linestyle=":", marker="o", markerfacecolor="white", label="from scratch"),
        Line2D([], [], color=grey, marker="o", label="pretrained, then fine-tuned"),
        Line2D([], [], color=grey, marker=">", linewidth=0.8, label="data transferred, to the effective data"),
        Line2D([], [], color=OSSIFIED, marker="<", linewidth=0.8, label="less than none transferred"),
        Patch(facecolor=OSSIFIED, alpha=0.12, label="ossification: worse than from scratch"),
    ]
    style.legends(figure, [], key)
    return figure


def colours_of(levels: np.ndarray) -> dict[float, tuple]:
    """Dark to light as a level grows."""
    return dict(zip(levels, matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(levels))), strict=True))


def side_legend(axes: Axes, colours: dict[float, tuple], title: str) -> None:
    """Levels of one panel, under it."""
    handles = [Line2D([], [], color=colour, label=short_number(level)) for level, colour in colours.items()]
    axes.legend(
        handles=handles, title=title, title_fontsize=style.NOTE_SIZE, fontsize=style.NOTE_SIZE, ncols=4, loc="upper center",
        bbox_to_anchor=(0.5, -0.24), columnspacing=0.8, handlelength=1, handletextpad=0.4,
    )  # fmt: skip


def draw_losses(axes: Axes, points: pd.DataFrame, scratch: pd.DataFrame, unit: str) -> None:
    """Loss against data, from scratch and fine-tuned, one colour a model size; an arrow from D_F to D_E where it could be found."""
    colours = colours_of(np.sort(points[N].unique()))
    for size, colour in colours.items():
        base = scratch[scratch[N] == size].groupby(D)["cross_entropy"].agg(seed_mean)
        axes.plot(base.index, base.to_numpy(), "o:", color=colour, markerfacecolor="white", linewidth=0.9, markersize=3.5)
        tuned = points[points[N] == size].groupby(D)[["loss", "effective"]].agg(seed_mean)
        axes.plot(tuned.index, tuned["loss"], "o-", color=colour, linewidth=0.9, markersize=3.5)
        for actual, row in tuned.dropna().iterrows():
            gain = row["effective"] > actual
            arrow = {"arrowstyle": "-|>,head_width=0.15,head_length=0.3", "linewidth": 0.6, "shrinkA": 2, "shrinkB": 0}
            arrow["color"] = colour if gain else OSSIFIED
            axes.annotate("", (row["effective"], row["loss"]), (actual, row["loss"]), arrowprops=arrow)
    style.log_axis(axes, [*scratch[D], *points[D]])
    style.log_axis(axes, [*scratch["cross_entropy"], *points["loss"].dropna()], "y")
    axes.set_xlabel(f"fine-tuning {unit}")
    axes.set_ylabel(LABELS["cross_entropy"])
    side_legend(axes, colours, "non-embedding parameters")


def draw_shares(axes: Axes, points: pd.DataFrame, fit: Fit, unit: str) -> None:
    """D_T / (D_F + D_T) against N, one colour a D_F; the law where it may be drawn; below 0, ossification."""
    colours = colours_of(np.sort(points[D].unique()))
    axes.axhspan(DEEPEST - 0.1, 0, color=OSSIFIED, alpha=0.12, linewidth=0)
    known = points.dropna(subset=["fraction"])
    line = np.geomspace(points[N].min(), points[N].max(), 60)
    for data, colour in colours.items():
        part = known[known[D] == data]
        if fit.has_curve and (part["role"] == "fit").any():
            axes.plot(line, fraction(**_estimates(fit), finetuning_size=data, parameters=line), color=colour, linewidth=1)
        for used, tint in ((True, colour), (False, "0.65")):
            some = part[(part["role"] == "fit") == used]
            axes.plot(some[N], some["fraction"].clip(lower=DEEPEST), "o", color=tint, markersize=3.5, zorder=3 if used else 2)
    style.log_axis(axes, points[N])
    axes.set_ylim(DEEPEST - 0.1 if (known["fraction"] < 0).any() else -0.05, 1.05)
    axes.set_xlabel("non-embedding parameters")
    axes.set_ylabel("$D_T\\,/\\,(D_F + D_T)$").set_parse_math(True)
    side_legend(axes, colours, f"fine-tuning {unit}")


def draw_ratios(axes: Axes, points: pd.DataFrame, scratch: pd.DataFrame, fit: Fit, unit: str) -> None:
    """D_E / D_F against D_F, one colour a model size; open triangles are censored, at least that high; below 1, ossification."""
    colours = colours_of(np.sort(points[N].unique()))
    ratios: list[float] = [1.0]
    line = np.geomspace(points[D].min(), points[D].max(), 60)
    for size, colour in colours.items():
        part = points[points[N] == size]
        known = part.dropna(subset=["effective"])
        better = part[part["reason"].str.startswith(CENSORED)]
        largest = scratch.loc[scratch[N] == size, D].max()
        axes.plot(known[D], known["effective"] / known[D], "o", color=colour, markersize=3.5, zorder=3)
        axes.plot(better[D], largest / better[D], "^", color=colour, markerfacecolor="white", markersize=4.5, zorder=3)
        ratios += [*(known["effective"] / known[D]), *(largest / better[D])]
        if fit.has_curve and (part["role"] == "fit").any():
            value = _estimates(fit)
            multiplier = 1 + value["k"] * line ** (value["alpha"] - 1) * size ** value["beta"]
            axes.plot(line, multiplier, color=colour, linewidth=1)
            ratios += [multiplier.max()]
    axes.axhline(1, color=style.BASELINE, linewidth=1)
    style.log_axis(axes, points[D])
    style.log_axis(axes, [min(ratios) / 1.2, max(ratios)], "y")
    axes.axhspan(axes.get_ylim()[0], 1, color=OSSIFIED, alpha=0.12, linewidth=0)
    axes.set_xlabel(f"fine-tuning {unit}")
    axes.set_ylabel("$D_E\\,/\\,D_F$").set_parse_math(True)
    side_legend(axes, colours, "non-embedding parameters")


def _estimates(fit: Fit) -> dict[str, float]:
    return {name: fit.parameters[name]["estimate"] for name in ("k", "alpha", "beta")}
