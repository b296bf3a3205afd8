"""A config's `mixtures: {design: ...}`."""

import json

import jsonschema
import pytest
import yaml

from transferlaws.config import load_study
from transferlaws.errors import UserError
from transferlaws.fingerprint import ROOT
from transferlaws.layout import Layout

CONFIG = """
study: small
corpora:
  en: {{source: files, language: en, paths: [en.txt]}}
  de: {{source: files, language: de, paths: [de.txt]}}
  fr: {{source: files, language: fr, paths: [fr.txt]}}
bitexts:
  talks: {{source: files, languages: [en, de], paths: [talks.tsv], pairs: 5000}}
mixtures:
  mine: {{en: 0.5, de: 0.5}}
  design: {design}
models:
  mini: {{size: mini}}
pretraining: {{ladder: [64k, 0.25M, 1M], seeds: [1]}}
tasks:
  en-de: {{kind: translation, bitext: talks, pairs: [1000]}}
laws: {{cross-entropy-power: {{}}}}
figures: {{downstream: {{}}}}
"""


def config(design):
    return yaml.safe_load(CONFIG.format(design=design))


def test_a_design_stands_for_named_mixtures_and_grows_without_moving_them():
    study = load_study(config("{corpora: [en, de, fr], count: 7, natural: {en: 6, de: 3, fr: 1}}"))
    assert list(study.mixtures) == ["mine", *(f"design_0{i}" for i in range(1, 8))]
    assert study.mixtures["design_02"] == {"de": 1.0}
    assert study.mixtures["design_05"] == {"en": 0.6, "de": 0.3, "fr": 0.1}
    assert len({trajectory.mixture for trajectory in Layout(study).trajectories} - {"scratch"}) == 8
    larger = load_study(config("{corpora: [en, de, fr], count: 10, natural: {en: 6, de: 3, fr: 1}}"))
    assert {name: larger.mixtures[name] for name in study.mixtures} == study.mixtures


def test_the_schema_holds_a_design():
    schema = json.loads((ROOT.parent / "schemas" / "config.schema.json").read_text())
    jsonschema.validate(config("{corpora: [en, de], count: 7, maximum_share: {en: 0.9}, singles: false}"), schema)
    with pytest.raises(jsonschema.ValidationError, match="number"):
        jsonschema.validate(config("{corpora: [en, de], number: 7, count: 3}"), schema)


@pytest.mark.parametrize(
    ("design", "said"),
    [
        ("{corpora: [en, de], count: 2}", "Ask for at least 3"),
        ("{corpora: [en, de], count: 5, shares: 1}", "design.shares: Extra inputs"),
        ("{corpora: [en, en], count: 5}", "names a corpus twice"),
        ("{corpora: [en, de], count: 5, natural: {en: 1}}", "natural must give a size"),
        ("{corpora: [en, de], count: 5, minimum_share: {en: 0.7, de: 0.7}}", "No mixture keeps these shares"),
        ("{corpora: [en, es], count: 5}", "unknown name `es`"),
    ],
)
def test_what_is_wrong_with_a_design_is_said(design, said):
    with pytest.raises(UserError, match=said):
        load_study(config(design))
