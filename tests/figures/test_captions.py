"""Captions as `snakemake --report` renders them: valid for any study, naming what was measured, how often, at which version."""

from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
import yaml
from docutils.core import publish_parts

from transferlaws.figures.settings import FIGURES

ROOT = Path(__file__).resolve().parents[2]
CAPTIONS = sorted((ROOT / "workflow" / "report").glob("*.rst"))
OTHER = yaml.safe_load("""
study: code
mixtures: {text_: {novels: 1}, left-out: {novels: 1}}
models: {n1: {size: mini}, n2: {size: mini}}
pretraining: {ladder: [1M]}
tasks: {python: {kind: lm, corpus: wheels, tokens: [100k, 1M]}}
curves: {mixtures: [text_]}
laws: {effective-data: {}}
figures: {upstream: {}, summary: {score: chrf}}
""")
STUDIES = {"default": yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")), "other": OTHER}


def render(path, config, figure="summary"):
    """The caption's text, by Snakemake's own way of rendering; docutils' warnings are errors."""
    snakemake = SimpleNamespace(
        config=config,
        wildcards=SimpleNamespace(figure=figure, law="score-log"),
        params=SimpleNamespace(code="0123456789abcdef", settings="{}"),
        input=SimpleNamespace(table="results/measurements.csv"),
    )
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    text = environment.from_string(path.read_text(encoding="utf-8")).render(snakemake=snakemake, categories=[], files=[])
    return publish_parts(text, writer="html", settings_overrides={"halt_level": 2, "report_level": 2})["body"]


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("path", CAPTIONS, ids=lambda path: path.stem)
def test_every_caption_is_valid_for_any_study(path, study):
    assert STUDIES[study]["study"] in render(path, STUDIES[study])


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_says_what_how_often_and_which_version(figure):
    path = ROOT / "workflow" / "report" / "figure.rst"
    text = render(path, OTHER, figure)
    for said in ("python", "100k, 1M tokens", "text_", "n1", "n2", "seeds 1", "0123456789abcdef"):
        assert said in text, said
    assert "left-out" not in text and "gone" not in text and ">old<" not in text
    texts = {render(path, OTHER, other).split("</strong>")[0] for other in FIGURES}
    assert len(texts) == len(FIGURES)  # each has a title of its own


def test_captions_expect_no_entry_that_the_schema_refuses():
    for path in CAPTIONS:
        assert "not none" not in path.read_text(encoding="utf-8"), f"{path.name}: an entry set to null is an error of the config"
