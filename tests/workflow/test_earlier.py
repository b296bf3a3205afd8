"""Results belong to the study that signs them: files that are gone, and what a change makes again."""

import copy
import os
from pathlib import Path

import pytest

from support.tiny import config, write_data
from transferlaws import records
from transferlaws.earlier import check_sources, last_study, repeated
from transferlaws.errors import UserError
from transferlaws.files import write_json
from transferlaws.layout import Layout


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The config of the tiny study, whose data lie in the working folder; it has the sections that config.yaml would add."""
    monkeypatch.chdir(tmp_path)
    write_data(Path("data"), pairs=5, sentences=5)
    return config(Path("data"))


def changed(study: dict, path: str, value: object) -> Layout:
    study = copy.deepcopy(study)
    *folders, key = path.split("/")
    section = study
    for folder in folders:
        section = section[folder]
    section[key] = value
    return Layout(study)


def finish(layout: Layout, kind: str, name: str) -> None:
    """What Snakemake leaves of a finished corpus or bitext: its report and the record of how it was made."""
    pattern, wildcard = (layout.corpus, "corpus") if kind == "corpora" else (layout.bitext, "bitext")
    report = pattern.format(**{wildcard: name}) + "/report.json"
    write_json(report, {})
    params = [repr(layout.settings(kind, name)), repr(layout.against(None))]
    write_json(records._record(report), {"params": params})


@pytest.mark.parametrize(("kind", "name", "file"), [("corpora", "fr", "data/fr.txt"), ("bitexts", "pairs", "data/pairs.tsv")])
def test_a_file_that_is_gone_is_borne_where_what_was_made_of_it_is_the_studys(study, kind, name, file):
    layout = Layout(study)
    assert check_sources(layout) == []
    finish(layout, kind, name)
    os.rename(file, "data/away")
    (line,) = check_sources(layout)
    assert f"{kind}.{name}.paths" in line and f"`{file}`" in line and "stands" in line


@pytest.mark.parametrize(
    ("path", "value"),
    [("corpora/fr/paths", ["data/news-*.txt"]), ("corpora/fr/licence", "CC0"), ("corpora/fr/cleaning", {"min_words": 3})],
)
def test_results_of_other_settings_do_not_stand_for_a_file_that_is_missing(study, path, value):
    finish(Layout(study), "corpora", "fr")
    os.rename("data/fr.txt", "data/away")
    with pytest.raises(UserError, match=r"corpora\.fr\.paths: no file matches .* made with other settings"):
        check_sources(changed(study, path, value))


def test_a_corpus_that_must_be_cleaned_of_other_test_items_needs_its_files(study):
    finish(Layout(study), "corpora", "fr")
    os.rename("data/fr.txt", "data/away")
    study["bitexts"]["more"] = {**study["bitexts"]["pairs"]}
    study["tasks"]["more"] = {"kind": "translation", "bitext": "more", "pairs": [100]}
    with pytest.raises(UserError, match=r"corpora\.fr\.paths"):
        check_sources(Layout(study))


def test_every_file_that_is_missing_is_named_before_anything_runs(study):
    study["bitexts"]["pairs"] |= {"paths": ["data/gone.tsv"], "test_paths": ["data/pairs.tsv", "data/test.tsv"]}
    study["corpora"]["de"]["paths"] = ["data/none/*.txt"]
    with pytest.raises(UserError) as error:
        check_sources(Layout(study))
    text = str(error.value)
    assert "bitexts.pairs.paths, bitexts.pairs.test_paths" in text and "`data/gone.tsv`, `data/test.tsv`" in text
    assert "corpora.de.paths: no file matches `data/none/*.txt`. Correct the path, or bring the file back." in text


def test_nothing_is_said_where_nothing_that_was_trained_is_trained_again(study):
    before = Layout(study)
    assert repeated(None, before) == [] == repeated(before, before)
    for path, value in (
        ("pretraining/seeds", [1, 2, 3]),
        ("pretraining/ladder", [1000, 2000, 4000, 8000, 16000]),
        ("tasks/en-de/pairs", [100, 200]),
        ("mixtures/en", {"en": 1}),
        ("finetuning/state_seconds", 5),
        ("figures", {}),
    ):
        assert repeated(before, changed(study, path, value)) == [], path


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("mixtures", {"en+de": {"en": 0.5, "de": 0.5}}, "the vocabulary is made again (corpora.fr leaves), and with it 2 finished"),
        (
            "corpora/fr/version",
            "2",
            "the vocabulary is made again (corpora.fr.version changes), and with it 4 finished pretraining runs",
        ),
        ("vocabulary/size", 448, "the vocabulary is made again (vocabulary.size changes), and with it 4 finished pretraining runs"),
        (
            "pretraining/length",
            48,
            "4 finished pretraining runs are trained again (nano/en+de, nano/fr), because pretraining.length",
        ),
        ("pretraining/length", 48, "2 finished fine-tuning curves are trained again, because their pretraining is"),
        (
            "mixtures/en+de",
            {"en": 0.4, "de": 0.6},
            "2 finished pretraining runs are trained again (nano/en+de), because mixtures.en+de",
        ),
        ("finetuning/batch", 16, "3 finished fine-tuning curves are trained again, because finetuning.batch changes"),
        ("models/nano/d_ff", 48, "4 finished pretraining runs are trained again (nano/en+de, nano/fr), because models.nano.d_ff"),
    ],
)
def test_a_change_says_what_is_trained_again(study, path, value, said):
    lines = repeated(Layout(study), changed(study, path, value))
    assert any(f"Since the last run of this study: {said}" in line for line in lines), lines
    keeps = any("name that as vocabulary.model" in line for line in lines)
    assert keeps == (path == "mixtures" or path.startswith("corpora"))


def test_the_last_study_is_read_where_it_can_be(study):
    layout = Layout(study)
    assert last_study(layout) is None
    write_json("results/study.json", layout.study.model_dump(mode="json"))
    assert last_study(layout).identity() == layout.identity()
    write_json("results/study.json", {"study": "of an older schema"})
    assert last_study(layout) is None
