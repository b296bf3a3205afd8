"""What a figure shows is what the fits say: held-out points hollow, rejected laws not drawn, names that cannot do harm."""

import dataclasses
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb

from support import simulated_study
from transferlaws.cli import main
from transferlaws.figures import style
from transferlaws.figures.curves import mixtures
from transferlaws.figures.downstream import downstream
from transferlaws.figures.inputs import read_fits, read_table
from transferlaws.figures.settings import FigureSettings
from transferlaws.measurements.means import seed_mean

HOSTILE = ["$x^{", "<script>alert(1)</script>", "a\u202eb\x1b[31m", "x" * 500, "\\frac & _ # %", "NA"]


def with_status(fits, mixture, **changes):
    return [dataclasses.replace(fit, **changes) if fit.group.get("mixture") == mixture else fit for fit in fits]


def lines_of(axes, colour):
    """Style and number of points of every joined line of a colour."""
    return [
        (line.get_linestyle(), len(line.get_xdata()))
        for line in axes.lines
        if line.get_color() == colour and line.get_linestyle() != "None"
    ]


def draw(curves, change=lambda fits: fits):
    csv, laws = curves
    table = read_table(csv)
    with style.styled():
        figure = downstream(table, change(read_fits(laws, csv)), FigureSettings())
    return figure, mixtures(table)


def notes_of(axes):
    return " ".join(text.get_text() for text in axes.texts)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"status": "rejected"}, "law rejected: en"),
        ({"status": "converged", "verdict": {"law_holds": False}}, "law rejected: en"),
        ({"status": "converged", "verdict": {"monotone": False}}, "law rejected: en"),
        ({"status": "too-few-points", "band": {}}, "too few points for the law: en"),
        ({"status": "not-converged"}, "did not converge: en"),
        ({"status": "bound-hit", "verdict": {"law_holds": True}}, "ended at a bound: en"),
    ],
)
def test_a_law_that_does_not_hold_is_not_drawn(curves, changes, note):
    figure, series = draw(curves, lambda fits: with_status(fits, "en", **changes))
    for axes in figure.axes:
        assert lines_of(axes, series["en"].colour) == [(":", len(simulated_study.LADDER))]  # the seed means, joined
        assert note in notes_of(axes)
        assert not [
            band
            for band in axes.collections
            if isinstance(band, PolyCollection) and np.allclose(band.get_facecolor()[:, :3], to_rgb(series["en"].colour))
        ]
        assert "-" in [line for line, _ in lines_of(axes, series["en+de"].colour)]  # the others are


def test_parameters_that_are_not_identified_are_said_so(curves):
    figure, _ = draw(
        curves, lambda fits: with_status(fits, "en", status="not-identified", verdict={"law_holds": True, "identified": False})
    )
    assert all("parameters not identified" in notes_of(axes) for axes in figure.axes)


def test_the_law_is_dashed_beyond_the_fitted_rungs_and_held_out_points_are_hollow(curves):
    figure, series = draw(curves)
    axes = figure.axes[0]
    last = simulated_study.LADDER[-1]
    colour = series["en+de"].colour
    solid, dashed = (
        next(line for line in axes.lines if line.get_color() == colour and line.get_linestyle() == kind) for kind in ("-", "--")
    )
    assert max(solid.get_xdata()) <= simulated_study.LADDER[-2] < max(dashed.get_xdata())
    points = [line for line in axes.lines if line.get_color() == colour and line.get_linestyle() == "None"]
    hollow = [x for line in points if line.get_markerfacecolor() == "white" for x in line.get_xdata()]
    assert hollow == [last] * 2
    assert sum(len(line.get_xdata()) for line in points) == 2 * len(simulated_study.LADDER)


def test_scratch_is_a_line_and_diverged_runs_are_left_out(tmp_path):
    table = simulated_study.measurements()
    scratch = table[table["mixture"] == "scratch"]
    table.loc[table.index[-1], "status"] = "diverged"
    figure, series = draw((simulated_study.write(tmp_path, table, ())[0], []))
    axes = figure.axes[0]
    assert any(
        np.allclose(line.get_ydata(), seed_mean(scratch["bleu"])) for line in axes.lines if line.get_color() == style.BASELINE
    )
    last = list(simulated_study.MIXTURES)[-1]
    assert sum(len(x.get_xdata()) for x in axes.lines if x.get_color() == series[last].colour and x.get_linestyle() == "None") == 9


def test_hostile_names_are_inert(tmp_path):
    table = simulated_study.measurements()
    table["mixture"] = table["mixture"].replace(dict(zip(simulated_study.MIXTURES, HOSTILE[:3], strict=True)))
    table["task"], table["model"], table["finetuning_unit"] = HOSTILE[3:]
    csv, laws = simulated_study.write(tmp_path, table, ("score-log",))
    for name in ("summary", "downstream", "alignment", "upstream", "score-vs-loss"):
        prefix = str(tmp_path / name)
        assert main(["figure", name, "--measurements", str(csv), "--laws", *map(str, laws), "--output-prefix", prefix]) == 0
        root = ElementTree.parse(f"{prefix}.svg").getroot()
        assert not [node for node in root.iter() if node.tag.endswith("script")]
        text = "".join(root.itertext())
        assert "$x^{" in text and "<script>" in text and "\u202e" not in text and "x" * 41 not in text


@given(st.text())
def test_a_name_is_one_printable_line_of_bounded_length(text):
    shown = style.name(text)
    assert len(shown) <= style.NAME_LENGTH and len(shown.splitlines()) <= 1
    assert all(character == "\N{REPLACEMENT CHARACTER}" or character.isprintable() or character == " " for character in shown)


def test_many_mixtures_keep_marks_of_their_own():
    marks = style.marks(str(i) for i in range(42))
    assert len(set(marks.values())) == 42
