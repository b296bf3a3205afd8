"""Marks that several figures share: measured curves against pretraining tokens, their law, and the from-scratch line."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.interpolate import PchipInterpolator

from transferlaws.figures import style
from transferlaws.figures.inputs import SCRATCH, Fit
from transferlaws.format import count, percent
from transferlaws.measurements.means import seed_mean

LABELS = {
    "bleu": "BLEU",
    "chrf": "chrF",
    "cross_entropy": "cross-entropy (nats/token)",
    "pretraining_tokens": "pretraining tokens",
    "upstream_cross_entropy": "upstream loss (nats/token)",
}
HELD_OUT = "held out from the fit"
JOINED = "seed means joined: no law drawn"
NOTES = {  # in the order in which panels give them
    "rejected": "law rejected",
    "not converged": "the law's fit did not converge",
    "bound hit": "the law's fit ended at a bound",
    "too few points": "too few points for the law",
    "not identified": "parameters not identified",
    "untested": "no repeated runs to test the law",
}
STEPS = 8  # points drawn from one point of a fit's band to the next


@dataclass
class Key:
    """Which kinds of marks a figure has drawn, so that its legend explains these and no others."""

    scratch: bool = False
    held_out: bool = False
    levels: set[float] = field(default_factory=set)
    extrapolated: bool = False
    unidentified: bool = False
    joined: bool = False
    noise: bool = False

    def handles(self, joined: str = JOINED) -> list[Line2D | Patch]:
        """Legend entries for the marks drawn, in grey; `joined` says why points are joined by dots."""
        grey = style.BASELINE
        entries: list[Line2D | Patch] = []
        if self.scratch:
            entries.append(
                Patch(facecolor=(*_rgb(grey), 0.15), edgecolor=grey, linewidth=1, label="from scratch: mean, range of seeds")
            )
        if self.held_out:
            entries.append(Line2D([], [], color=grey, marker="o", markerfacecolor="white", linestyle="", label=HELD_OUT))
        if self.noise:
            entries.append(
                Line2D([], [], color=grey, marker="|", markersize=8, linestyle="", label="± 1 sd over resampled test sets")
            )
        if self.levels:
            levels = " and ".join(map(percent, sorted(self.levels)))
            entries.append(Patch(facecolor=grey, alpha=style.BAND_ALPHA + 0.1, label=f"{levels} interval of the law"))
        if self.extrapolated:
            entries.append(Line2D([], [], color=grey, linestyle="--", label="law beyond the fitted rungs"))
        if self.unidentified:
            entries.append(Line2D([], [], color=grey, linestyle="-", linewidth=0.8, label="law, its parameters not identified"))
        if self.joined:
            entries.append(Line2D([], [], color=grey, linestyle=":", label=joined))
        return entries


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def draw_scratch(axes: Axes, rows: pd.DataFrame, column: str, key: Key) -> list[float]:
    """The from-scratch mean as a line with the range of its seeds; returns the values drawn."""
    values = rows.loc[rows["pretraining_tokens"] == 0, column].dropna()
    if values.empty:
        return []
    key.scratch = True
    if len(values) > 1:
        axes.axhspan(values.min(), values.max(), color=style.BASELINE, alpha=0.15, linewidth=0, zorder=0.5)
    axes.axhline(seed_mean(values), color=style.BASELINE, linewidth=1, zorder=0.6)
    return values.tolist()


def draw_points(
    axes: Axes, rows: pd.DataFrame, column: str, mark: style.Mark, fit: Fit | None, key: Key, aside: float = 0.0
) -> list[float]:
    """One point a seed and rung; hollow where the fit held the rung out, with a whisker of the test set's noise.

    All are drawn `aside` points to the right of their rung; returns the values drawn, ends of whiskers included.
    """
    place = style.beside(axes, aside)
    values = rows[column].tolist()
    held_out = {(p["seed"], p["pretraining_tokens"]) for p in (fit.points if fit else ()) if p.get("role") == "held-out"}
    hollow = np.array(
        [(seed, tokens) in held_out for seed, tokens in zip(rows["seed"], rows["pretraining_tokens"], strict=True)], bool
    )
    noise = f"{column}_noise"
    if noise in rows and rows[noise].notna().any():
        key.noise = True
        known = rows[noise].fillna(0)
        values += [*(rows[column] - known), *(rows[column] + known)]
        axes.errorbar(
            rows["pretraining_tokens"],
            rows[column],
            yerr=rows[noise],
            fmt="none",
            ecolor=mark.colour,
            elinewidth=0.6,
            alpha=0.6,
            zorder=2,
            transform=place,
        )
    for chosen, face in ((~hollow, mark.colour), (hollow, "white")):
        part = rows[chosen]
        axes.plot(
            part["pretraining_tokens"],
            part[column],
            linestyle="",
            marker=mark.marker,
            color=mark.colour,
            markerfacecolor=face,
            markeredgewidth=0.9,
            zorder=3,
            transform=place,
        )
    key.held_out |= bool(hollow.any())
    return values


def draw_law(axes: Axes, rows: pd.DataFrame, column: str, mark: style.Mark, fit: Fit | None, key: Key) -> str | None:
    """The fitted law with its band, dashed beyond the fitted rungs; where no law holds, the dotted join of the seed means.

    Returns the note that the panel must show, or None where the law holds.
    """
    if fit is None or not fit.has_curve or "pretraining_tokens" not in fit.band:
        means = rows.groupby("pretraining_tokens")[column].agg(seed_mean)
        axes.plot(means.index, means.to_numpy(), color=mark.colour, linestyle=":", linewidth=0.9, zorder=1.5)
        key.joined |= len(means) > 1
        return None if fit is None else "law fitted on another x" if fit.has_curve else fit.state
    x, estimate, low, high = curve(fit, "pretraining_tokens")
    # where no interval is known the curve is not worth drawing either
    shown = np.isfinite(low) | np.isfinite(high) | (x <= fit.fitted_to)
    x, estimate, low, high = x[shown], estimate[shown], low[shown], high[shown]
    identified = fit.state != "not identified"
    width = 1.3 if identified else 0.8
    draw_band(axes, x, low, high, mark.colour)
    key.levels |= {fit.level} if np.isfinite(fit.level) else set()
    inside = x <= fit.fitted_to * (1 + 1e-9) if np.isfinite(fit.fitted_to) else np.ones(len(x), bool)
    last = int(inside.sum())
    axes.plot(x[:last], estimate[:last], color=mark.colour, linewidth=width, zorder=2.5)
    if last < len(x):
        key.extrapolated = True
        axes.plot(
            x[max(last - 1, 0) :], estimate[max(last - 1, 0) :], color=mark.colour, linewidth=width, linestyle="--", zorder=2.5
        )
    key.unidentified |= not identified
    return None if fit.state == "holds" else fit.state


def curve(fit: Fit, column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, estimate, low and high of a fit's band along `column`, each (m,), with points between those of the fit.

    Monotone cubics in the logarithm of x fill in, so that no corner is drawn that the law does not have; beside an end that is not
    finite they say nothing (NaN).
    """
    log = np.log(np.asarray(fit.band[column], dtype=float))
    line = np.interp(np.linspace(0, len(log) - 1, STEPS * (len(log) - 1) + 1), np.arange(len(log)), log)
    found = [np.exp(line)]
    for part in ("estimate", "low", "high"):
        values = np.asarray(fit.band[part], dtype=float)
        known = np.isfinite(values)
        filled = np.full(len(line), np.nan)
        if known.sum() > 1:
            inside = np.interp(line, log, known.astype(float)) == 1
            filled[inside] = PchipInterpolator(log[known], values[known])(line[inside])
        found.append(filled)
    return tuple(found)


def draw_band(axes: Axes, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> None:
    """An interval as a band; an end that is not finite is an interval without that end, drawn to the panel's edge and beyond."""
    known = np.isfinite(low) | np.isfinite(high)
    if not known.any():
        return
    ends = np.concatenate([low[np.isfinite(low)], high[np.isfinite(high)]])
    far = 1e3 * (np.abs(ends).max() + 1)
    low, high = np.where(np.isfinite(low), low, -far), np.where(np.isfinite(high), high, far)
    face, edge = (to_rgba(colour, alpha) for alpha in (style.BAND_ALPHA, style.BAND_EDGE_ALPHA))
    axes.fill_between(x, low, high, where=known, facecolor=face, edgecolor=edge, linewidth=0.4, zorder=1)


def limits(axes: Axes, values: list[float], which: str = "y") -> None:
    """Limits around the measured values and their whiskers, so that a law's wide band does not flatten them."""
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    axes.set(**{f"{which}lim": (low - margin, high + margin)})


def mixtures(table: pd.DataFrame) -> dict[str, style.Mark]:
    """A mark for each mixture of the whole table, the same in every figure and panel."""
    return style.marks(m for m in table["mixture"] if m != SCRATCH)


def mixture_handles(series: dict[str, style.Mark], names: dict[str, str] | None = None) -> list[Line2D]:
    """Legend entries of the mixtures."""
    return [
        Line2D([], [], color=mark.colour, marker=mark.marker, label=(names or {}).get(mixture, style.name(mixture)))
        for mixture, mark in series.items()
    ]


def note_lines(notes: dict[str, list[str]], mixtures_drawn: int) -> list[str]:
    """State -> mixtures as lines of a panel's heading, in the order of `NOTES`; 'all' where every mixture drawn has the state."""
    lines = []
    known = list(NOTES)
    for note, names in sorted(notes.items(), key=lambda item: known.index(item[0]) if item[0] in known else len(known)):
        who = "all" if len(names) == mixtures_drawn > 1 else ", ".join(map(style.name, names))
        lines.append(f"{NOTES.get(note, note)}: {who}")
    return lines


def panel_title(keys: dict, models: int) -> str:
    """Task and D_f of a panel, with the model where there are several."""
    parts = [style.name(keys["task"]), f"{count(keys['finetuning_size'])} {style.name(keys['finetuning_unit'])}"]
    return ", ".join([style.name(keys["model"])] * (models > 1) + parts)
