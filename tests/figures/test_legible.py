"""What a figure shows can be read: nothing cut off at a panel's edge, no mark under another, no corner the law lacks."""

import numpy as np
import pytest

from support import simulated_study
from transferlaws.figures import style
from transferlaws.figures.alignment import alignment
from transferlaws.figures.curves import Key, curve, draw_points, limits, mixtures, note_lines
from transferlaws.figures.downstream import downstream
from transferlaws.figures.inputs import Fit, read_fits, read_table
from transferlaws.figures.overview import summary
from transferlaws.figures.settings import FigureSettings


def drawn(figure_of, csv, laws=()):
    """The figure, laid out, and its table."""
    table = read_table(csv)
    with style.styled():
        figure = figure_of(table, read_fits(laws, csv), FigureSettings(dpi=50))
        figure.canvas.draw()
    return figure, table


def whiskers(axes):
    """Ends (n, 2) of all upright intervals, data coordinates."""
    bars = [segment for bar in axes.collections if hasattr(bar, "get_segments") for segment in bar.get_segments()]
    lines = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) == 2 and line.get_xdata()[0] == line.get_xdata()[1]]
    return np.array([end[:, 1] for end in (*bars, *lines) if len(end) == 2])


@pytest.mark.parametrize("figure_of", [downstream, alignment, summary])
def test_no_interval_is_cut_off(tmp_path, figure_of):
    table = simulated_study.measurements()
    table["bleu_noise"] = 6.0  # more than all the margin there is
    figure, _ = drawn(figure_of, simulated_study.write(tmp_path, table, ())[0])
    panels = [axes for axes in figure.axes if axes.get_ylabel() in ("BLEU", "gain in BLEU") and len(whiskers(axes))]
    assert panels
    for axes in panels:
        low, high = axes.get_ylim()
        assert low < whiskers(axes).min() and whiskers(axes).max() < high


def test_mixtures_of_one_alignment_stand_side_by_side(tmp_path):
    table = simulated_study.measurements()
    table.loc[table["mixture"] == "fr", "alignment"] = 0.7  # that of en
    figure, table = drawn(alignment, simulated_study.write(tmp_path, table, ())[0])
    axes, places = figure.axes[2], {}
    for mixture, mark in mixtures(table).items():
        (line,) = (x for x in axes.lines if x.get_color() == mark.colour and x.get_marker() == mark.marker)
        centre = axes.transData.transform(line.get_xydata()[0])[0]
        places[mixture] = (
            line.get_xdata()[0],
            (line.get_transform().transform(line.get_xydata()[0])[0] - centre) * 72 / figure.dpi,
        )
    assert [data for data, _ in places.values()] == [1.0, 0.7, 0.7]  # the data stay what they are
    assert [shift for _, shift in places.values()] == pytest.approx([0, -3, 3])


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_shifts_are_symmetric_and_bounded(count):
    shifts = style.asides(count)
    assert len(set(shifts)) == count and sum(shifts) == pytest.approx(0) and max(shifts) - min(shifts) <= 8 + 1e-9


def test_points_without_known_noise_have_no_whisker_but_count(tmp_path):
    table = simulated_study.measurements()
    table["bleu_noise"] = np.nan
    table.loc[1, "bleu_noise"] = 2.0
    with style.styled():
        axes = style.Figure().add_subplot()
        values = draw_points(axes, table, "bleu", style.Mark("#000000", "o"), None, Key())
        limits(axes, values)
    assert np.isfinite(axes.get_ylim()).all()
    assert {*table["bleu"], table["bleu"][1] - 2, table["bleu"][1] + 2} <= set(values)


def test_notes_have_one_order_whatever_the_mixtures():
    states = {"rejected": ["b"], "not identified": ["a"], "bound hit": ["c"]}
    lines = note_lines(states, 3)
    assert lines == note_lines(dict(reversed(states.items())), 3)
    assert [line.split(": ")[1] for line in lines] == ["b", "c", "a"]


def test_a_law_is_drawn_without_corners():
    x = np.geomspace(4.0, 20.0, 30)
    band = {"cross_entropy": x, "estimate": 50 * np.exp(-0.7 * x), "low": 40 * np.exp(-0.7 * x), "high": [None] * 20 + [9.0] * 10}
    fit = Fit("score-from-loss", {}, "bleu", "converged", band=band)
    line, estimate, low, high = curve(fit, "cross_entropy")
    assert len(line) > 200 and np.isin(x.round(9), line.round(9)).all()
    assert estimate == pytest.approx(50 * np.exp(-0.7 * line), abs=2e-3)  # straight lines are 6e-3 off
    assert low == pytest.approx(40 * np.exp(-0.7 * line), abs=2e-3)
    assert np.isnan(high[line < x[20] * (1 - 1e-9)]).all() and (high[line > x[20]] == 9.0).all()  # no end is made up


def test_a_gain_has_its_value_beside_its_interval(tmp_path):
    table = simulated_study.measurements()
    table.loc[table["mixture"] == "fr", "bleu"] *= 0.4
    figure, table = drawn(summary, simulated_study.write(tmp_path, table, ())[0])
    axes = figure.axes[-1]
    low, high = axes.get_xlim()
    for mixture, mark in mixtures(table).items():
        (line,) = (x for x in axes.lines if x.get_color() == mark.colour and len(x.get_xdata()) == 2)
        (value,) = (text for text in axes.texts if hasattr(text, "xy") and text.xy[1] == line.get_ydata()[0])
        ends = line.get_xdata()
        assert (value.get_ha(), value.xy[0]) == (("right", min(ends)) if mixture == "fr" else ("left", max(ends)))
        box = value.get_window_extent().transformed(axes.transData.inverted())
        assert low < box.x0 and box.x1 < high and not box.x0 < 0 < box.x1
