"""Score against cross-entropy, and upstream loss against tokens."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from transferlaws.errors import UserError
from transferlaws.figures import style
from transferlaws.figures.curves import LABELS, NOTES, curve, draw_band, limits, mixture_handles, mixtures, panel_title
from transferlaws.figures.inputs import SCRATCH, Fit, by_size, find, panels, valued
from transferlaws.figures.settings import FigureSettings
from transferlaws.format import percent

GORDON = "score-from-loss"


def score_vs_loss(table: pd.DataFrame, fits: list[Fit], settings: FigureSettings) -> Figure:
    """Score against test cross-entropy, one panel a (model, task, D_f): whether loss stands for the score (Isik et al., figure 5).

    Points of one mixture and seed are joined in the order of pretraining tokens. Where Gordon's `C exp(-k L)` was fitted and
    holds it is drawn with its band.
    """
    rows = valued(table, settings.score, "cross_entropy")
    valued(rows[rows["pretraining_tokens"] > 0], settings.score)
    blocks = panels(rows)
    figure, axes_of = _grid(settings, len(blocks))
    series, models = mixtures(table), table["model"].nunique()
    levels: set[float] = set()
    for axes, (keys, block) in zip(axes_of, blocks, strict=True):
        scratch = block[block["pretraining_tokens"] == 0]
        axes.plot(
            scratch["cross_entropy"],
            scratch[settings.score],
            linestyle="",
            marker="*",
            color=style.BASELINE,
            markersize=7,
            zorder=3,
        )
        for mixture, mark in series.items():
            part = block[(block["mixture"] == mixture) & (block["pretraining_tokens"] > 0)].sort_values("pretraining_tokens")
            for _, run in part.groupby("seed"):
                axes.plot(run["cross_entropy"], run[settings.score], color=mark.colour, linewidth=0.6, alpha=0.6, zorder=2)
            axes.plot(part["cross_entropy"], part[settings.score], linestyle="", marker=mark.marker, color=mark.colour, zorder=3)
        fit = find(fits, GORDON, settings.score, **keys)
        notes = []
        if fit is not None and fit.has_curve and "cross_entropy" in fit.band:
            x, estimate, low, high = curve(fit, "cross_entropy")
            draw_band(axes, x, low, high, style.BASELINE)
            axes.plot(x, estimate, color=style.BASELINE, linewidth=1, linestyle="--")
            levels |= {fit.level}
        if fit is not None and fit.state != "holds":
            notes.append(f"C·exp(−kL): {NOTES[fit.state]}")
        style.heading(axes, panel_title(keys, models), notes)
        axes.set_xlabel(LABELS["cross_entropy"])
        axes.set_ylabel(LABELS[settings.score])
        limits(axes, block[settings.score].tolist())
        limits(axes, block["cross_entropy"].tolist(), "x")
    scratch_key = Line2D([], [], linestyle="", marker="*", markersize=7, color=style.BASELINE, label="from scratch")
    key = [Line2D([], [], color=style.BASELINE, linewidth=0.6, label="one seed, in the order of pretraining tokens")]
    if levels:
        interval = " and ".join(map(percent, sorted(levels)))
        label = f"C·exp(−kL) fitted to all points of the task, with {interval} interval"
        key.append(Line2D([], [], linestyle="--", color=style.BASELINE, label=label))
    style.legends(figure, [*mixture_handles(series), scratch_key], key)
    return figure


def upstream(table: pd.DataFrame, fits: list[Fit], settings: FigureSettings) -> Figure:
    """Validation loss of the pretraining objective against tokens seen, one panel a model, one line a (mixture, seed).

    Raises `UserError` where one checkpoint appears with two different losses.
    """
    rows = valued(table, "upstream_cross_entropy")
    keys = ["model", "mixture", "seed", "pretraining_tokens"]
    rows = rows[(rows["pretraining_tokens"] > 0) & (rows["mixture"] != SCRATCH)].drop_duplicates([*keys, "upstream_cross_entropy"])
    if rows.empty:
        raise UserError(f"{table.attrs.get('path')}: no pretrained row has a value in upstream_cross_entropy.")
    twice = rows[rows.duplicated(keys, keep=False)]
    if not twice.empty:
        values = sorted(twice["upstream_cross_entropy"].head(2))
        raise UserError(
            f"{table.attrs.get('path')}: {dict(twice.iloc[0][keys])} has two values of upstream_cross_entropy, "
            f"{values[0]} and {values[1]}; a checkpoint has one. The table mixes two studies."
        )
    series = mixtures(table)
    models = by_size(rows)
    figure, axes_of = _grid(settings, len(models))
    for axes, model in zip(axes_of, models, strict=True):
        part = rows[rows["model"] == model]
        for mixture, mark in series.items():
            for _, run in part[part["mixture"] == mixture].sort_values("pretraining_tokens").groupby("seed"):
                axes.plot(
                    run["pretraining_tokens"], run["upstream_cross_entropy"], color=mark.colour, marker=mark.marker, linewidth=0.9
                )
        axes.set_title(f"model {style.name(model)}")
        style.log_axis(axes, part["pretraining_tokens"])
        axes.set_xlabel(LABELS["pretraining_tokens"])
        axes.set_ylabel(LABELS["upstream_cross_entropy"])
    key = [Line2D([], [], color=style.BASELINE, linewidth=0.9, label="one seed; loss on held-out text of the mixture")]
    style.legends(figure, mixture_handles({m: s for m, s in series.items() if m in set(rows["mixture"])}), key)
    return figure


def _grid(settings: FigureSettings, count: int) -> tuple[Figure, list]:
    columns = min(settings.columns, max(count, 2))
    strips = -(-count // columns)
    # one panel alone keeps the proportions it would have beside another
    width = settings.width * (count if count < columns else columns) / columns if count == 1 else settings.width
    figure = Figure(figsize=(max(width, 3.5), 0.6 + (settings.panel_height + 0.3) * strips))
    grid = figure.add_gridspec(strips, 1 if count == 1 else columns)
    return figure, [figure.add_subplot(grid[i // columns, i % columns]) for i in range(count)]
