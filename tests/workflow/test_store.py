"""A second checkout is served what the first one made, and only what is the same."""

from pathlib import Path

import pytest
import yaml

from support.tiny import checkout, snakemake

pytestmark = pytest.mark.slow


def prepare(folder: Path, store: Path, **changes: dict) -> Path:
    folder.mkdir()
    checkout(folder)
    study = yaml.safe_load((folder / "tiny.yaml").read_text()) | {"store": str(store)}
    for section, values in changes.items():
        study[section] |= values
    (folder / "tiny.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return folder


def served(folder: Path, stage: str) -> set[str]:
    """The jobs of a stage whose log says that the store served them."""
    logs = (folder / "results/logs" / stage).rglob("*.log") if stage != "vocabulary" else [folder / "results/logs/vocabulary.log"]
    return {log.stem for log in logs if "[store] taken from" in log.read_text()}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    """A store that a first checkout has filled up to its trajectories."""
    store = tmp_path_factory.mktemp("store")
    first = prepare(tmp_path_factory.mktemp("first") / "checkout", store)
    snakemake(first, "--until", "pretrain")
    assert not served(first, "corpus")
    return store


def test_a_second_checkout_trains_nothing_again(store, tmp_path, finished_tiny):
    second = prepare(tmp_path / "second", store)
    snakemake(second, "results/measurements.csv")
    assert served(second, "corpus") == {"de", "en", "fr"}
    assert served(second, "bitext") == {"pairs"}
    assert served(second, "vocabulary") == {"vocabulary"}
    assert served(second, "tokens") == {"de", "en", "fr"}  # the first made no tokens of the pairs
    assert len(list((second / "results/logs/pretrain").rglob("*.log"))) == 4
    assert not list((second / "results/.state").glob("*/state.safetensors"))
    measurements = "results/measurements.csv"
    assert (second / measurements).read_bytes() == (finished_tiny / measurements).read_bytes()


def test_other_code_settings_or_text_are_not_served(store, tmp_path):
    other = prepare(tmp_path / "other", store, pretraining={"warmup_steps": 5})
    with open(other / "workflow/transferlaws/tokens/vocabulary_stage.py", "a") as file:
        file.write("CHANGED = True\n")
    with open(other / "data/fr.txt", "a") as file:
        file.write("ba de fi go ku\n")
    snakemake(other, "--until", "pretrain")
    assert served(other, "corpus") == {"de", "en"}
    assert not served(other, "vocabulary")
    assert not served(other, "pretrain")


def test_a_damaged_entry_is_made_again(store, tmp_path):
    for path in (store / "corpus").rglob("documents.jsonl.zst"):
        path.write_bytes(path.read_bytes()[:-7])
    third = prepare(tmp_path / "third", store)
    snakemake(third, "--until", "corpus")
    assert not served(third, "corpus")
    assert "The entry is made again." in (third / "results/logs/corpus/en.log").read_text()
    fourth = prepare(tmp_path / "fourth", store)
    snakemake(fourth, "--until", "corpus")
    assert served(fourth, "corpus") == {"de", "en", "fr"}
