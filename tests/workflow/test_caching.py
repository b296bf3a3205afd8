"""Which jobs a change causes: exactly those whose result it can change. Dry runs of a finished tiny study against a table."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from support.tiny import checkout, snakemake

pytestmark = pytest.mark.slow

MIXTURES = ("en+de", "fr")
CURVES = {f"{mixture}/100" for mixture in (*MIXTURES, "scratch")}
FIGURES = {"figure downstream", "figure score-vs-loss", "figure upstream"}
LAWS = {"fit cross-entropy-power", "fit score-log"}
ANSWER = {"advise", *FIGURES, "summary"}
TABLE = {"score", *LAWS, *ANSWER}


def trained(*curves: str) -> set[str]:
    return {f"{stage} {curve}" for stage in ("finetune", "evaluate") for curve in curves} | TABLE


def pretrained(*mixtures: str) -> set[str]:
    return {f"pretrain {mixture}/{seed}" for mixture in mixtures for seed in (1, 2)}


EVERYTHING = pretrained(*MIXTURES) | trained(*CURVES)
TOKENS = {"vocabulary", "corpus_tokens de", "corpus_tokens en", "corpus_tokens fr", "bitext_tokens pairs"}


def planned(folder: Path, *arguments: str) -> set[str]:
    """The jobs of a dry run: rule and what tells its jobs apart; the targets, `check` and `study` are left out."""
    output = snakemake(folder, "--dry-run", *arguments).stdout
    jobs = set()
    for block in re.split(r"\n(?=\[)", output):
        rule = re.search(r"^(?:local)?rule (\w+):", block, re.M)
        if rule and rule[1] not in ("all", "default", "check", "study"):
            names = re.search(r"wildcards: (.*)", block)
            values = dict(part.split("=", 1) for part in names[1].split(", ")) if names else {}
            values.pop("model", None)
            values.pop("task", None)
            jobs.add(f"{rule[1]} {'/'.join(values.values())}".strip())
    return jobs


@pytest.fixture
def folder(finished_tiny: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, to be changed."""
    return Path(shutil.copytree(finished_tiny, tmp_path / "copy", symlinks=True))


def edit(folder: Path, path: str, old: str, new: str) -> None:
    """Replace text that must be there in a file of the checkout's package."""
    file = folder / "workflow" / "transferlaws" / path
    text = file.read_text()
    assert old in text, f"{path} no longer has {old!r}"
    file.write_text(text.replace(old, new, 1))


def configure(folder: Path, change: Callable[[dict], object]) -> None:
    """Change the study's config."""
    path = folder / "tiny.yaml"
    study = yaml.safe_load(path.read_text())
    change(study)
    path.write_text(yaml.safe_dump(study, sort_keys=False))


def test_nothing_changed(folder):
    assert planned(folder) == set()


@pytest.mark.parametrize(
    "path",
    [
        "data/en.txt",
        "results/corpora/en/report.json",
        "results/tokens/corpora/en/index.json",
        "results/pretrain/nano/fr/seed_1/trajectory.json",
        "results/measurements.csv",
        "workflow/transferlaws/model/transformer.py",
    ],
)
def test_a_touched_file(folder, path):
    (folder / path).touch()
    assert planned(folder) == set()


def test_a_comment_and_a_docstring_in_the_model(folder):
    edit(folder, "model/transformer.py", '"""', '"""Reworded. ')
    with open(folder / "workflow/transferlaws/model/transformer.py", "a") as file:
        file.write("# a comment\n")
    assert planned(folder) == set()


def test_the_models_code(folder):
    with open(folder / "workflow/transferlaws/model/transformer.py", "a") as file:
        file.write("CHANGED = True\n")
    assert planned(folder) == EVERYTHING


def test_the_code_of_one_figure(folder):
    with open(folder / "workflow/transferlaws/figures/losses.py", "a") as file:
        file.write("CHANGED = True\n")
    # the figures share a stage, and the summary page shows them
    assert FIGURES <= planned(folder) <= FIGURES | {"summary"}


def test_a_laws_settings(folder):
    configure(folder, lambda study: study["laws"]["cross-entropy-power"].update(delta=0.01))
    assert planned(folder) == {"fit cross-entropy-power"} | ANSWER


def test_a_rung_added(folder):
    configure(folder, lambda study: study["pretraining"]["ladder"].append(16000))
    assert planned(folder) == pretrained(*MIXTURES) | trained(*(f"{mixture}/100" for mixture in MIXTURES))


def test_a_mixture_added(folder):
    configure(folder, lambda study: study["mixtures"].update({"de": {"de": 1}}))
    assert planned(folder) == pretrained("de") | trained("de/100")


def test_a_fine_tuning_size_added(folder):
    configure(folder, lambda study: study["tasks"]["en-de"]["pairs"].append(200))
    assert planned(folder) == trained(*(f"{mixture}/200" for mixture in (*MIXTURES, "scratch")))


def test_a_language_pair_added(folder):
    """Every corpus is cleaned of the new test set; what does not change by it is found in the state and not trained again."""
    (folder / "data" / "other.tsv").write_text((folder / "data" / "pairs.tsv").read_text())

    def add(study: dict) -> None:
        study["bitexts"]["other"] = {"source": "files", "languages": ["en", "fr"], "paths": ["data/other.tsv"]}
        study["tasks"]["en-fr"] = {"kind": "translation", "bitext": "other", "pairs": [100]}

    configure(folder, add)
    corpora = {f"corpus {name}" for name in ("de", "en", "fr")}
    assert planned(folder) == {"bitext other", "bitext_tokens other"} | corpora | TOKENS | EVERYTHING


def test_a_corpus_version_changed(folder):
    configure(folder, lambda study: study["corpora"]["fr"].update(version="2"))
    assert planned(folder) == {"corpus fr"} | TOKENS | EVERYTHING


def test_the_content_of_a_file_changed(folder):
    with open(folder / "data" / "fr.txt", "a") as file:
        file.write("ba de fi go ku\n")
    assert planned(folder) == {"corpus fr"} | TOKENS | EVERYTHING


@pytest.mark.parametrize(
    ("path", "jobs"),
    [
        ("results/measurements.csv", TABLE),
        ("results/laws/score-log.json", {"fit score-log"} | ANSWER),
        ("results/figures/upstream.svg", {"figure upstream"}),
        # nothing asks for what lies between, as long as the end is there
        ("results/tokens/corpora/fr/index.json", set()),
        ("results/finetune/nano/fr/en-de/100/curve.json", set()),
    ],
)
def test_an_artifact_deleted(folder, path, jobs):
    (folder / path).unlink()
    assert planned(folder) == jobs


def test_results_moved(folder):
    (folder / "results").rename(folder / "elsewhere")
    assert planned(folder, "--config", "results=elsewhere") == set()


def test_results_moved_keep_their_history(folder):
    (folder / "results").rename(folder / "elsewhere")
    shutil.rmtree(folder / ".snakemake")
    with open(folder / "workflow/transferlaws/model/transformer.py", "a") as file:
        file.write("CHANGED = True\n")
    assert planned(folder, "--config", "results=elsewhere") == EVERYTHING


def clone(folder: Path, tmp_path: Path) -> Path:
    """A fresh checkout with copied results: every time is new, and in the order of the copying."""
    (tmp_path / "clone").mkdir()
    other = checkout(tmp_path / "clone")
    shutil.copytree(folder / "results", other / "results", copy_function=shutil.copy)
    return other


def test_a_fresh_clone_with_copied_results(folder, tmp_path):
    assert planned(clone(folder, tmp_path)) == set()


def test_a_fresh_clone_of_other_code_with_copied_results(folder, tmp_path):
    other = clone(folder, tmp_path)
    with open(other / "workflow/transferlaws/evaluation/score.py", "a") as file:
        file.write("CHANGED = True\n")
    assert planned(other) == TABLE


def test_a_rung_added_trains_that_rung_alone(folder):
    """The finished replicas of the other rungs are found in the state, and the trajectories go on where they ended."""
    finished = {path: path.stat().st_mtime_ns for path in (folder / "results/.state").rglob("*/model.safetensors")}
    before = pd.read_csv(folder / "results/measurements.csv")
    configure(folder, lambda study: study["pretraining"]["ladder"].append(16000))
    snakemake(folder)
    now = {path: path.stat().st_mtime_ns for path in (folder / "results/.state").rglob("*/model.safetensors")}
    assert {path: now[path] for path in finished} == finished
    # a trajectory's rung and a fine-tuned state, for each mixture and seed
    assert len(now) - len(finished) == 2 * len(MIXTURES) * 2
    after = pd.read_csv(folder / "results/measurements.csv")
    same = after[after.pretraining_tokens < 16000].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, before)
