"""The one style of every figure: colours, marks, fonts, number formats, and files whose bytes depend on nothing but the input."""

import math
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation, Transform

from transferlaws.files import atomic
from transferlaws.format import printable, short_number

# Okabe and Ito's palette without yellow, which is too light on white, and without black, which is the from-scratch baseline.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Seven marks to six colours: no two of the first 42 series share both.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
BASELINE = "#444444"
BAND_ALPHA = 0.12
BAND_EDGE_ALPHA = 0.5  # where bands lie on one another only their edges tell them apart
POINT = 4.2  # points
NOTE_SIZE = 6.5  # points
NAME_LENGTH = 40  # characters of a name before it is cut

RC = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.4,
    "axes.titlelocation": "left",
    "axes.formatter.useoffset": False,
    "lines.linewidth": 1.2,
    "lines.markersize": POINT,
    "figure.constrained_layout.use": True,
    # names come from configs and tables: a dollar sign in one is a dollar sign
    "text.parse_math": False,
    "text.usetex": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "transferlaws",
}


@dataclass(frozen=True)
class Mark:
    """Colour and marker of one series."""

    colour: str
    marker: str


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this style, whatever the user's matplotlibrc says."""
    with matplotlib.style.context(RC, after_reset=True):
        yield


def marks(names: Iterable[str]) -> dict[str, Mark]:
    """A mark for each distinct name, in order of first appearance."""
    distinct = dict.fromkeys(names)
    return {name: Mark(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(distinct)}


def name(text: object) -> str:
    """A name from a table as it may stand in a figure: printable, on one line, of bounded length."""
    clean = " ".join(printable(str(text)).split())
    return clean if len(clean) <= NAME_LENGTH else clean[: NAME_LENGTH - 1] + "…"


def asides(count: int, step: float = 2.4, widest: float = 8.0) -> list[float]:
    """Shifts in points that set `count` marks of one x side by side, symmetric about it, at most `widest` from first to last."""
    step = min(step, widest / max(count - 1, 1))
    return [step * (index - (count - 1) / 2) for index in range(count)]


def beside(axes: Axes, points: float) -> Transform:
    """Data coordinates shifted to the right on paper: marks stand side by side while their data stay what they are."""
    return axes.transData + ScaledTranslation(points / 72, 0, axes.figure.dpi_scale_trans)


def log_axis(axis: Axes, values: Iterable[float], which: str = "x") -> None:
    """A log axis in short numbers around positive `values`; labels at decades, or at 1, 2 and 5 over less than two decades."""
    low, high = min(values), max(values)
    scale = {"x": axis.set_xscale, "y": axis.set_yscale}[which]
    limits = {"x": axis.set_xlim, "y": axis.set_ylim}[which]
    ticks = {"x": axis.xaxis, "y": axis.yaxis}[which]
    scale("log")
    margin = max((high / low) ** 0.06, 1.05)
    limits(low / margin, high * margin)
    span = math.log10(high / low)
    if high == low:  # its neighbourhood has no decade, and without one the axis is bare
        ticks.set_major_locator(FixedLocator([low]))
        ticks.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
        ticks.set_minor_locator(NullLocator())
        return
    subs = (1.0,) if span >= 2 else (1.0, 2.0, 5.0) if span >= 0.6 else tuple(range(1, 10))
    ticks.set_major_locator(LogLocator(base=10, subs=subs, numticks=20))
    ticks.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
    ticks.set_minor_locator(LogLocator(base=10, subs=tuple(range(2, 10)), numticks=50))
    ticks.set_minor_formatter(NullFormatter())


def legends(figure: Figure, series: list[Line2D | Patch], key: list[Line2D | Patch]) -> None:
    """The series above all panels, what the marks mean below them; as many columns as the widest label leaves room for."""
    for handles, place in ((series, "outside upper left"), (key, "outside lower left")):
        if not handles:
            continue
        widths = [0.56 * RC["legend.fontsize"] * len(handle.get_label()) + 34 for handle in handles]  # points
        room = figure.get_figwidth() * 72
        columns = len(handles) if sum(widths) <= room else max(1, int(room // max(widths)))
        figure.legend(handles=handles, loc=place, ncols=columns, columnspacing=1.4, handlelength=2.2, borderaxespad=0.2)


def heading(axes: Axes, title: str, notes: Iterable[str] = (), inches: float = 2.3) -> None:
    """A panel's title, and under it, smaller, what does not hold in the panel; `inches` is the panel's width."""
    lines = [line for note in notes for line in _wrapped(note, NOTE_SIZE, inches)]
    axes.set_title("\n".join(_wrapped(title, RC["axes.titlesize"], inches)), pad=4 + NOTE_SIZE * 1.25 * len(lines))
    if lines:
        note = axes.annotate("\n".join(lines), (0, 1), (0, 3), "axes fraction", "offset points", va="bottom")
        note.set(fontsize=NOTE_SIZE, color=BASELINE, in_layout=False)  # its room is the title's pad


def _wrapped(text: str, size: float, inches: float) -> list[str]:
    return textwrap.wrap(text, max(12, int(inches * 72 / (0.53 * size))))


def save(figure: Figure, prefix: str | Path, *, title: str, description: str, dpi: int) -> list[Path]:
    """Write `<prefix>.svg` and `<prefix>.png`; no date, no random identifiers, text as text."""
    metadata = {
        "svg": {"Title": title, "Description": description, "Date": None, "Creator": None},
        "png": {"Title": title, "Description": description, "Software": None},
    }
    paths = []
    for kind in ("svg", "png"):
        path = Path(f"{prefix}.{kind}")
        with atomic(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=dpi, metadata=metadata[kind])
        paths.append(path)
    return paths
