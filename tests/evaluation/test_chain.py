"""pretrain -> finetune -> evaluate -> score through the CLI, on a cipher that a tiny model can partly learn."""

import json
import sys

import pandas as pd
import pytest

from support.engine_data import build
from transferlaws.cli import main
from transferlaws.errors import UserError
from transferlaws.evaluation.expected import check_expected
from transferlaws.evaluation.settings import EvaluationSettings
from transferlaws.tokens.vocabulary import Vocabulary
from transferlaws.training.examples import open_examples
from transferlaws.training.settings import FinetuningSettings

MODEL = json.dumps({"size": "tiny", "encoder_layers": 1, "decoder_layers": 1})
PRETRAINING = json.dumps({"length": 32, "batch_tokens": 256, "warmup_steps": 10, "validation_tokens": 500})
FINETUNING = json.dumps({"batch": 32, "max_steps": 30, "evaluations": 3, "learning_rates": [1e-2, 3e-2]})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return build(tmp_path_factory.mktemp("chain"))


def call(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


def pretrain(root, seed, ladder="[2000,8000]", output="pretrain"):
    call(
        *["pretrain", "--tokens", root / "tokens/aa", root / "tokens/bb", "--weights", '{"aa": 0.5, "bb": 0.5}'],
        *["--vocabulary", root / "vocabulary", "--model", MODEL, "--settings", PRETRAINING, "--ladder", ladder, "--seed", seed],
        *["--model-name", "tiny", "--mixture", "mix", "--state", root / "state", "--output", root / output / f"seed_{seed}"],
    )
    return root / output / f"seed_{seed}" / "trajectory.json"


def finetune(root, mixture, trajectories, output="finetune"):
    chosen = [part for path in trajectories for part in ("--trajectory", path)]
    call(
        *["finetune", "--tokens", root / "tokens/aa-bb", *chosen, "--vocabulary", root / "vocabulary", "--model", MODEL],
        *["--model-name", "tiny", "--settings", FINETUNING, "--finetuning-size", 200, "--seeds", "[1, 2]", "--task", "cipher"],
        *["--mixture", mixture, "--state", root / "state" / mixture, "--output", root / output / mixture],
    )
    return root / output / mixture / "curve.json"


def test_measurements_of_two_mixtures(root):
    curves = {"mix": finetune(root, "mix", [pretrain(root, 1), pretrain(root, 2)]), "scratch": finetune(root, "scratch", [])}
    for mixture, curve in curves.items():
        call(
            *["evaluate", "--curve", curve, "--tokens", root / "tokens/aa-bb", "--vocabulary", root / "vocabulary"],
            *["--settings", '{"max_length": 16}', "--output", root / "evaluate" / mixture],
        )
    task = {"cipher": {"data": str(root / "bitexts/aa-bb"), "source": "aa", "target": "bb"}}
    reports = [str(root / "corpora" / name / "report.json") for name in ("aa", "bb")]
    call(
        *["score", "--settings", '{"bootstrap": 50}', "--study", "test", "--evaluations", *(root / "evaluate" / m for m in curves)],
        *[
            "--tasks",
            json.dumps(task),
            "--mixtures",
            json.dumps({"mix": {"languages": {"aa": 0.5, "bb": 0.5}, "reports": reports}}),
        ],
        *["--output", root / "measurements.csv", "--sentences", root / "sentences.parquet"],
    )
    table = pd.read_csv(root / "measurements.csv")
    cuts(root, curves, table)
    keys = table[["mixture", "seed", "pretraining_tokens"]].values.tolist()
    assert keys == [["mix", 1, 2000], ["mix", 1, 8000], ["mix", 2, 2000], ["mix", 2, 8000], ["scratch", 1, 0], ["scratch", 2, 0]]
    assert (table.status == "ok").all()
    assert table.alignment[0] == pytest.approx(1.0)  # 0.25 + 0.35 + 0.40, the paper's own example
    assert table.contamination_removed.tolist() == [7, 7, 7, 7, 1, 1]
    assert table.upstream_cross_entropy[1] < table.upstream_cross_entropy[0]
    sentences = pd.read_parquet(root / "sentences.parquet")
    first = sentences[(sentences.mixture == "mix") & (sentences.seed == 1) & (sentences.pretraining_tokens == 2000)]
    assert table.cross_entropy[0] == pytest.approx(first.nll.sum() / first.tokens.sum(), rel=1e-12)
    assert len(first) == table.test_items[0] == 50


def cuts(root, curves, table):
    """Nothing is cut at the defaults' 128 tokens, but every hypothesis of more than 16 is, and each split says so."""
    columns = [f"{split}_{side}_cut" for split in ("finetuning", "dev", "test") for side in ("sources", "targets")]
    assert (table[columns] == 0).all(axis=None)
    examples = open_examples(root / "tokens/aa-bb", Vocabulary.load(root / "vocabulary"), "test", 128)
    assert (table.test_references_cut == (examples.targets.sizes + 1 > 16).sum()).all()
    predictions = pd.read_parquet(root / "evaluate/scratch/predictions.parquet")
    state = predictions[(predictions.split == "test") & (predictions.seed == 1)]
    assert table.test_hypotheses_cut.iloc[-2] == state.hypothesis_cut.sum()
    assert not predictions[predictions.split == "dev"].hypothesis_cut.any()
    evaluation = json.loads((root / "evaluate/scratch/evaluation.json").read_text())
    assert evaluation["cut"]["dev"] == {"items": 40, "sources_cut": 0, "targets_cut": 0}


def test_what_is_cut_is_counted_in_every_split_and_said(root, capsys):
    """Splits of which most is longer than the limits: log, curve, evaluation and table all say how much."""
    finetuning = json.dumps(json.loads(FINETUNING) | {"length": 6})
    vocabulary = ["--vocabulary", root / "vocabulary", "--tokens", root / "tokens/aa-bb"]
    call(
        *["finetune", *vocabulary, "--model", MODEL, "--model-name", "tiny", "--settings", finetuning, "--finetuning-size", 200],
        *["--seeds", "[1]", "--task", "cipher", "--mixture", "scratch", "--state", root / "state/cut", "--output", root / "cut"],
    )
    said = capsys.readouterr().err
    settings = '{"length": 5, "max_length": 4}'
    call("evaluate", "--curve", root / "cut/curve.json", *vocabulary, "--settings", settings, "--output", root / "cut")
    said += capsys.readouterr().err
    curve, evaluation = (json.loads((root / "cut" / f"{name}.json").read_text()) for name in ("curve", "evaluation"))
    whole = {
        split: open_examples(root / "tokens/aa-bb", Vocabulary.load(root / "vocabulary"), split, 500) for split in ("dev", "test")
    }
    for found, split, length in ((curve["dev_cut"], "dev", 6), (evaluation["cut"]["test"], "test", 5)):
        for side, text in (("sources_cut", whole[split].sources), ("targets_cut", whole[split].targets)):
            assert found[side] == (text.sizes + 1 > length).sum() > 0
    cut = curve["replicas"][0]["cut"]
    assert cut["items"] == 200 and 0 < cut["targets_cut"] < 200
    assert f"fine-tuning set of seed 1: {cut['targets_cut']} of 200 targets are longer than finetuning.length (6 tokens)" in said
    assert (
        f"split test: {evaluation['cut']['test']['sources_cut']} of 50 sources are longer than evaluation.length (5 tokens)" in said
    )
    assert f"{evaluation['cut']['test']['references_cut']} of 50 references are longer than a hypothesis may be" in said
    assert "hypotheses are longer than evaluation.max_length (4 tokens) and cut off" in said


def test_defaults_of_lengths_agree():
    """What fine-tuning learns, what is read of the test set and what a hypothesis may be are of one length."""
    evaluation = EvaluationSettings()
    assert FinetuningSettings().length == evaluation.length == evaluation.max_length


def test_score_takes_only_curves_of_the_study(root):
    """Seeds, sizes, rungs and settings that the config does not have are refused, whichever way they got there."""
    evaluation = json.loads((root / "evaluate/mix/evaluation.json").read_text())
    curve = evaluation["curve"]
    study = {
        "curves": [["tiny", "mix", "cipher", 200]],
        "seeds": [2, 1],
        "ladder": [2000, 8000, 16000],
        "models": {"tiny": curve["shape"]},
        "finetuning": {**curve["settings"], "group": 7, "state_seconds": 1},
        "evaluation": evaluation["settings"],
    }
    check_expected(evaluation, study, "x")
    for change, words in (
        ({"curves": [["tiny", "mix", "cipher", 100]]}, "the study has no curve tiny/mix/cipher/200"),
        ({"seeds": [-1, 2]}, r"pretraining.seeds is \[-1, 2\], found \[1, 2\]"),
        ({"ladder": [2000]}, r"pretraining.ladder is \[2000\], found rung 8000"),
        ({"models": {"tiny": curve["shape"] | {"d_ff": 8}}}, "models.tiny.d_ff is 8"),
        ({"finetuning": curve["settings"] | {"batch": 3}}, "finetuning.batch is 3, found 32"),
        ({"evaluation": evaluation["settings"] | {"beam": 4}}, "evaluation.beam is 4, found 1"),
    ):
        with pytest.raises(UserError, match=words):
            check_expected(evaluation, study | change, "x")
    adopted = [replica | {"pretraining": {"path": "p"}, "pretraining_tokens": 5} for replica in curve["replicas"]]
    check_expected(evaluation | {"curve": curve | {"replicas": adopted}}, study, "x")


def test_a_longer_ladder_continues_and_equals_a_straight_run(root):
    pretrain(root, 3, "[2000]", "short")
    continued = json.loads(pretrain(root, 3, "[2000,4000]", "short").read_text())
    (root / "state").rename(root / "state-away")
    straight = json.loads(pretrain(root, 3, "[2000,4000]", "straight").read_text())
    assert [rung["sha256"] for rung in continued["rungs"]] == [rung["sha256"] for rung in straight["rungs"]]


def test_score_imports_no_torch(root):
    import subprocess

    code = "import sys, transferlaws.evaluation.score; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "workflow"}, check=False).returncode == 0
