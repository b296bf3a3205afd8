"""Every mistake in a config is one line: the key, the value, what is allowed, the nearest valid spelling."""

import copy
import re

import pytest
import yaml

from transferlaws.config import load_study, overlay
from transferlaws.errors import UserError
from transferlaws.layout import Curve, Layout, Trajectory

BASE = yaml.safe_load("""
study: small
corpora:
  novels-en: {source: files, language: en, paths: [en.txt]}
  novels-de: {source: files, language: de, paths: [de.txt]}
  sides-de: {source: bitext, language: de, bitext: talks}
bitexts:
  talks: {source: files, languages: [en, de], paths: [talks.tsv], pairs: 5000, monolingual: 0.2}
mixtures:
  en+de: {novels-en: 0.5, novels-de: 0.5}
  de: {sides-de: 1}
models:
  mini: {size: mini}
pretraining: {ladder: [64k, 0.25M, 1M], seeds: [1, 2]}
tasks:
  en-de: {kind: translation, bitext: talks, pairs: [1000, 4k]}
laws: {cross-entropy-power: {}}
figures: {downstream: {}}
""")


def changed(path: str, value: object) -> dict:
    config = copy.deepcopy(BASE)
    *folders, key = path.split("/")
    section = config
    for folder in folders:
        section = section.setdefault(folder, {})
    if value is KeyError:
        del section[key]
    else:
        section[key] = value
    return config


def test_units_and_enumeration():
    layout = Layout(BASE)
    assert layout.study.pretraining.ladder == [64_000, 250_000, 1_000_000]
    assert layout.trajectories == [Trajectory("mini", mixture, seed) for mixture in ("de", "en+de") for seed in (1, 2)]
    assert layout.curves[:3] == [
        Curve("mini", "scratch", "en-de", 1000),
        Curve("mini", "en+de", "en-de", 1000),
        Curve("mini", "de", "en-de", 1000),
    ]
    assert len(layout.curves) == 6


@pytest.mark.parametrize("entry", ["mixtures/en+de", "laws/cross-entropy-power", "figures/downstream"])
def test_an_entry_without_a_value_is_a_mistake(entry):
    with pytest.raises(UserError, match=re.escape(entry.replace("/", "."))):
        load_study(changed(entry, None))


def test_left_out_crossings():
    config = changed("curves", {"leave_out": [{"mixture": "de"}]})
    assert {curve.mixture for curve in Layout(config).curves} == {"scratch", "en+de"}


def test_a_study_file_replaces_what_is_compared_and_merges_the_rest():
    study = {
        "study": "mine",
        "mixtures": {"en+de": {"mine": 1}},
        "corpora": {"mine": {"source": "files", "language": "en", "paths": ["a.txt"]}},
    }
    merged = overlay(BASE, {**study, "pretraining": {"optimiser": {"name": "adafactor"}, "seeds": [3]}})
    assert merged["mixtures"] == {"en+de": {"mine": 1}}
    assert set(merged["corpora"]) == {"novels-en", "novels-de", "sides-de", "mine"}
    assert merged["pretraining"]["ladder"] == BASE["pretraining"]["ladder"] and merged["pretraining"]["seeds"] == [3]
    assert overlay(BASE, merged) == merged
    assert list(load_study(merged).mixtures) == ["en+de"]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("modles", {}, ["unknown key `modles`", "Did you mean `models`"]),
        ("pretraining/objektive", "infilling", ["pretraining", "`objektive`", "Did you mean `objective`"]),
        ("pretraining/objective", "infiling", ["pretraining.objective", "infiling", "Did you mean `infilling`", "span-corruption"]),
        ("pretraining/ladder", ["1M", "64k"], ["pretraining.ladder", "increase", "64000"]),
        ("pretraining/ladder", ["64q"], ["pretraining.ladder.0", "64q", "whole number"]),
        ("pretraining/ladder", ["0.5"], ["pretraining.ladder.0", "whole number"]),
        ("pretraining/ladder", [], ["pretraining.ladder"]),
        ("pretraining/seeds", [1, 1], ["pretraining.seeds", "twice"]),
        ("pretraining/learning_rate", -1, ["pretraining.learning_rate", "greater than 0", "-1"]),
        ("pretraining/learning_rate", "fast", ["pretraining.learning_rate", "number", "fast"]),
        ("finetuning/patience", 2.5, ["finetuning.patience", "2.5"]),
        ("mixtures/en+de", {"novels-en": 0.5, "novels-de": 0.4}, ["mixtures.en+de", "0.9", "expected 1"]),
        ("mixtures/en+de", {"novels-en": 0.5, "novel-de": 0.5}, ["mixtures.en+de", "`novel-de`", "Did you mean `novels-de`"]),
        ("mixtures/scratch", {"novels-en": 1}, ["mixtures.scratch", "rung 0"]),
        ("mixtures/a b", {"novels-en": 1}, ["mixtures.a b", "pattern"]),
        ("corpora/novels-en/source", "file", ["corpora.novels-en", "file", "Did you mean `files`"]),
        ("corpora/novels-en/language", "English", ["corpora.novels-en", "language", "English"]),
        ("corpora/sides-de/language", "fr", ["corpora.sides-de.language", "`fr`", "de, en"]),
        ("corpora/sides-de/bitext", "talk", ["corpora.sides-de.bitext", "Did you mean `talks`"]),
        ("tasks/en-de/bitext", "talk", ["tasks.en-de.bitext", "Did you mean `talks`"]),
        ("tasks/en-de/pairs", [1000, 8000], ["tasks.en-de.pairs", "8000", "5000"]),
        ("laws/cross-entropy-powr", {}, ["laws", "cross-entropy-powr", "cross-entropy-power"]),
        ("figures/downstraem", {}, ["figures", "downstraem", "downstream"]),
        ("curves/mixtures", ["fr"], ["curves.mixtures", "`fr`", "en+de"]),
        ("curves/leave_out", [{"mixture": "fr"}], ["curves.leave_out", "`fr`"]),
        ("study", KeyError, ["study", "missing"]),
        ("study", "a/b; rm -rf", ["study", "pattern"]),
        ("results", "a; rm -rf ~", ["results", "pattern"]),
        ("models/mini/d_modell", 64, ["models.mini", "d_modell", "Did you mean `d_model`"]),
    ],
)
def test_a_mistake_names_key_value_and_remedy(path, value, words):
    with pytest.raises(UserError) as error:
        load_study(changed(path, value))
    lines = str(error.value).splitlines()[1:]
    assert any(all(word in line for word in words) for line in lines), str(error.value)


def test_all_mistakes_are_told_at_once():
    config = changed("pretraining/objective", "x")
    config["finetuning"] = {"patience": 0}
    with pytest.raises(UserError) as error:
        load_study(config)
    assert len(str(error.value).splitlines()) == 3
