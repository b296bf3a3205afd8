"""What data must hold is asked of the config first, of the reports next, and never of a training job."""

import json
from pathlib import Path

import pytest
import yaml
from test_splits import build_bitext, build_corpus, numbered

from support.tiny import config, write_data
from transferlaws.cli import main
from transferlaws.config import load_study, overlay
from transferlaws.errors import UserError
from transferlaws.layout import Layout

BASE = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())


def study(**changes: dict) -> dict:
    raw = overlay(BASE, config(Path("data")))
    for section, values in changes.items():
        for name, value in values.items():
            part = raw.get(section, {})
            raw[section] = {**part, name: {**part.get(name, {}), **value} if isinstance(value, dict) else value}
    return raw


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bitexts": {"pairs": {"dev": 0}}}, ["bitexts.pairs.dev", "task en-de", "dev set"]),
        ({"bitexts": {"pairs": {"test": 0.0}}}, ["bitexts.pairs.test", "task en-de"]),
        ({"corpora": {"fr": {"valid": 0}}}, ["corpora.fr.valid", "mixtures.fr"]),
        (
            {"bitexts": {"pairs": {"languages": ["en", "ja"]}}, "scoring": {"tokenize": "13a"}},
            ["scoring.tokenize", "`char` is taken"],
        ),
        ({"bitexts": {"pairs": {"languages": ["en", "th"]}}, "scoring": {"tokenize": "intl"}}, ["scoring.tokenize", "task en-de"]),
        ({"scoring": {"comet": "/nowhere/x.ckpt"}}, ["scoring.comet"]),
        ({"vocabulary": {"corpora": ["en", "frr"]}}, ["vocabulary.corpora", "`frr`", "Did you mean `fr`"]),
        ({"bitexts": {"pairs": {"languages": ["sr", "sr"]}}}, ["sr-Cyrl, sr-Latn"]),
        ({"bitexts": {"pairs": {"columns": [-2, -1]}}}, ["bitexts.pairs", "columns.0", "count from 0"]),
        ({"corpora": {"en": {"language": False}}}, ["corpora.en", "language", 'in quotes, such as "no"']),
        ({"corpora": {"en": {"paths": ["newstest2014.en"]}}}, ["corpora.en", "held_out: false"]),
    ],
)
def test_before_any_job(changes: dict, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        load_study(study(**changes))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_sets_of_ones_own_and_languages_of_any_script_pass() -> None:
    given = {"languages": ["en", "ja"], "dev": 0, "test": 0, "dev_paths": ["d.tsv"], "test_paths": ["t.tsv"]}
    assert load_study(study(bitexts={"pairs": given})).scoring.tokenize == "auto"


def test_the_vocabulary_covers_the_tasks_and_can_be_kept() -> None:
    layout = Layout(study())
    assert [Path(place).parent.name for place in layout.vocabulary_corpora(None)] == ["de", "en", "fr"]
    assert layout.vocabulary_cover(None) == layout.vocabulary_bitexts(None) == []
    uncovered = Layout(study(bitexts={"pairs": {"languages": ["en", "hi"]}}))
    assert uncovered.vocabulary_cover(None) == ["results/bitexts/pairs/report.json"]
    kept = Layout(study(vocabulary={"corpora": ["fr", "pairs"]}))
    assert kept.vocabulary_corpora(None) == ["results/corpora/fr/report.json"] and kept.vocabulary_cover(None) == []
    assert kept.vocabulary_bitexts(None) == ["results/bitexts/pairs/report.json"]
    for each in (layout, kept):
        assert each.settings("vocabulary", leave_out=("corpora",)) == layout.settings("vocabulary", leave_out=("corpora",))


def test_files_in_braces_are_no_wildcards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "data", pairs=2, sentences=2)
    (tmp_path / "data" / "en.txt").rename(tmp_path / "data" / "{en}.txt")
    layout = Layout(study(corpora={"en": {"paths": ["data/{en}.txt", "data/de.txt"]}}))
    assert layout.local_inputs("corpora", "en") == ["data/de.txt"]
    ((path, size, _),) = layout.files_in_braces("corpora", "en")
    assert path == "data/{en}.txt" and size == (tmp_path / path).stat().st_size


def test_reports_against_what_tasks_take(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    build_bitext(tmp_path, numbered(100) + numbered(40))
    build_corpus(tmp_path, [source for source, _ in numbered(60)], [], valid=0.5)
    needs = {str(tmp_path / "b"): {"train": 20, "dev": 1, "test": 1}, str(tmp_path / "c"): {"valid": 2}}
    output = tmp_path / "data.json"

    def check() -> int:
        return main(["check", "--needs", json.dumps(needs), "--output", str(output)])

    assert check() == 0 and json.loads(output.read_text())["bitext b"]["notices"]
    output.unlink()
    needs[str(tmp_path / "b")]["train"] = 500
    assert check() == 1 and not output.exists()
    said = capsys.readouterr().err
    assert "bitexts.b: train holds" in said and "fine-tuned on 500" in said and "duplicates 40" in said and "smaller D_f" in said
