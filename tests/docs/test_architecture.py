"""What the architecture page says of the stages is what they are."""

import argparse
import importlib
import re
from pathlib import Path

import pytest

from transferlaws.cli import STAGES
from transferlaws.fingerprint import ROOT, imported_modules

PAGE = (ROOT.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")


def options(stage: str) -> set[str]:
    parser = argparse.ArgumentParser()
    importlib.import_module(STAGES[stage][0]).add_arguments(parser)
    return {option for action in parser._actions for option in action.option_strings}


def test_the_stages_that_read_sentences_beside_the_table_are_named():
    said = re.search(r"rests on this table; (.*?) also\s+read `sentences.parquet`", PAGE)[1]
    readers = {stage for stage in ("fit", "advise", "coverage", "figure", "summary") if "--sentences" in options(stage)}
    assert set(re.findall(r"`(\w+)`", said)) == readers


def test_the_stages_that_know_the_study_are_named():
    said = re.findall(r"`(\w+)`", re.search(r"of the stages by (.*?) alone", PAGE)[1])
    assert [s for s in STAGES if imported_modules(STAGES[s][0]) & {"transferlaws.layout", "transferlaws.config"}] == said


@pytest.mark.parametrize("stage", ["fit", "advise", "figure", "summary"])
def test_every_stage_after_the_table_takes_it_by_the_same_option(stage):
    assert {"--measurements", "--log"} & options(stage) == {"--measurements"}


def test_a_limit_of_the_engine_is_set_in_one_place():
    texts = [path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py")]
    assert sum(len(re.findall(r"^CPU_GROUP = ", text, re.MULTILINE)) for text in texts) == 1


@pytest.mark.parametrize("name", ["promised_reduction", "trajectory_manifests"])
def test_what_nothing_uses_is_gone(name):
    sources = [*ROOT.rglob("*.py"), *Path(ROOT.parent, "rules").glob("*.smk")]
    assert sum(len(re.findall(rf"\b{name}\b", path.read_text(encoding="utf-8"))) for path in sources) != 1


def test_the_page_on_the_config_says_of_null_what_the_schema_does():
    text = (ROOT.parents[1] / "docs" / "config.md").read_text(encoding="utf-8")
    assert "taken away" not in text and "(`null`) is a mistake" in text
