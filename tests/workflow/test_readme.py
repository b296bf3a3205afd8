"""What README, CONTRIBUTING, CITATION and CHANGELOG say is so."""

import gzip
import json
import re

import yaml
import zstandard

from support.tiny import REPOSITORY
from transferlaws import __version__
from transferlaws.cli import main
from transferlaws.config import overlay
from transferlaws.files import read_json
from transferlaws.layout import Layout


def test_the_example_of_own_data_works(tmp_path, monkeypatch):
    block = re.search(r"```yaml\n(study: mine.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)[1]
    layout = Layout(overlay(yaml.safe_load((REPOSITORY / "config.yaml").read_text()), yaml.safe_load(block)))
    assert {curve.mixture for curve in layout.curves} == {"scratch", "en+de", "en"}
    assert [curve.finetuning_size for curve in layout.curves if curve.mixture == "en"] == [500, 2000]

    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/reports").mkdir(parents=True)
    words = [
        f"{a} {b}" for a in ("red", "green", "blue", "white") for b in ("house", "letter", "ship", "bird", "tree", "stone", "river")
    ]
    pairs = [f"{a} and {b}" for a in words for b in words if a != b]
    sentences = [f"The harvest near the {pair} was better than the one before it." for pair in pairs]
    with gzip.open("data/reports/a.txt.gz", "wt") as file:
        file.writelines(f"{sentence}\n" for sentence in sentences)
    lines = "".join(json.dumps({"body": f"Die Ernte bei {pair[::-1]} war besser als die zuvor."}) + "\n" for pair in pairs)
    (tmp_path / "data/news.jsonl.zst").write_bytes(zstandard.compress(lines.encode()))
    (tmp_path / "data/letters.tsv").write_text("".join(f"My {w} is old\tMein {w[::-1]} ist alt\n" for w in words))

    def stage(*arguments):
        assert main([*map(str, arguments), "--cache", "cache"]) == 0

    bitext = layout.bitext.format(bitext="letters")
    stage("bitext", "--name", "letters", "--settings", layout.settings("bitexts", "letters"), "--output", bitext)
    assert sum(read_json(f"{bitext}/report.json")["splits"].values()) > 20
    for name in ("reports-en", "news-de"):
        folder = layout.corpus.format(corpus=name)
        stage("corpus", "--name", name, "--settings", layout.settings("corpora", name), "--against", bitext, "--output", folder)
        assert read_json(f"{folder}/report.json")["documents"] > 0


def test_contributing_names_files_that_exist():
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:workflow|tests|docs|benchmarks|studies|\.github|\.ci)/[^`*<> ]*)`", text))
    assert len(named) > 20
    assert not {name for name in named if not (REPOSITORY / name).exists()}


def test_the_version_is_one():
    assert yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())["version"] == __version__
    assert f"\n## {__version__}" in (REPOSITORY / "CHANGELOG.md").read_text()
