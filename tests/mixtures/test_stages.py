"""The stages on tables as others write them."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from transferlaws.cli import main
from transferlaws.mixtures.designs import space_filling
from transferlaws.mixtures.simplex import Limits

SETTINGS = '{"draws": 150, "candidates": 200, "folds": 5}'


@pytest.fixture
def tables(tmp_path):
    """RegMix's two files: weights and losses, joined by an index, rows in another order."""
    random = np.random.default_rng(0)
    weights = space_filling(16, Limits(np.zeros(3), np.ones(3)), seed=0)
    losses = 2 + 1 / (np.array([2.0, 1.0, 0.4]) * np.sqrt(weights + 1e-3)).sum(1) + 0.01 * random.standard_normal(16)
    one = pd.DataFrame(weights, columns=["train_en", "train_de", "train_fr"]).assign(index=np.arange(1, 17))
    other = pd.DataFrame({"index": np.arange(1, 17), "loss/web": losses, "loss/code": losses[::-1]}).sample(frac=1, random_state=1)
    one.to_csv(tmp_path / "weights.csv", index=False)
    other.to_csv(tmp_path / "losses.csv", index=False)
    return tmp_path


def run(folder, stage, *more):
    arguments = [stage, str(folder / "weights.csv"), str(folder / "losses.csv"), "--weights", "train_", "--settings", SETTINGS]
    return main([*arguments, *map(str, more)])


def test_two_files_joined_by_index(tables):
    command = ("mixture", "--targets", "loss/", "--output", tables / "out.json", "--markdown", tables / "out.md")
    assert run(tables, *command) == 0
    first = (tables / "out.json").read_bytes()
    found = json.loads(first)
    web = next(answer for answer in found["answers"] if answer["target"] == "web")
    assert len(found["answers"]) == 2 and web["mixtures"] == 16
    assert max(web["proposed"]["weights"], key=web["proposed"]["weights"].get) == "en"
    assert web["worth"][0]["corpus"] == "en" and web["worth"][-1]["corpus"] == "fr"
    assert sum(row["probability_best"] for row in web["measured"]) == pytest.approx(1)
    assert next(law for law in web["laws"] if law["law"] == web["law"])["held_out_spearman"] > 0.9
    assert "**Train: en" in (tables / "out.md").read_text()
    assert run(tables, *command) == 0
    assert (tables / "out.json").read_bytes() == first


def test_proposals_are_a_section_of_a_config(tables):
    assert run(tables, "propose", "--targets", "loss/web", "--count", 2, "--output", tables / "next.yaml") == 0
    section = yaml.safe_load((tables / "next.yaml").read_text())["mixtures"]
    assert list(section) == ["proposed_best", "next_1", "next_2"]
    for weights in section.values():
        assert set(weights) <= {"en", "de", "fr"} and sum(weights.values()) == pytest.approx(1, abs=1e-9)
    assert "Stop" in (tables / "next.yaml").read_text()


def test_runs_of_one_mixture_are_one_point_and_tell_the_noise(tables):
    one, other = (pd.read_csv(tables / name) for name in ("weights.csv", "losses.csv"))
    joined = one.merge(other, on="index")
    again = pd.concat([joined.assign(model="s"), joined.assign(model="s", **{"loss/web": joined["loss/web"] + 0.02})])
    again.to_csv(tables / "runs.csv", index=False)
    output = tables / "runs.json"
    command = ["mixture", str(tables / "runs.csv"), "--weights", "train_", "--targets", "loss/web", "--by", "model"]
    assert main([*command, "--settings", SETTINGS, "--output", str(output)]) == 0
    (answer,) = json.loads(output.read_text())["answers"]
    assert answer["model"] == "s" and answer["mixtures"] == 16 and answer["runs"] == 32
    assert answer["run_noise"] == pytest.approx(0.02 / np.sqrt(2))


def test_weights_as_json_with_tokens_that_vary(tables):
    one, other = (pd.read_csv(tables / name) for name in ("weights.csv", "losses.csv"))
    joined = one.merge(other, on="index")
    shares = [{"en": a, "de": b, "fr": c} for a, b, c in joined[["train_en", "train_de", "train_fr"]].to_numpy()]
    written = [json.dumps({name: share for name, share in row.items() if share > 0}) for row in shares]
    rungs = [
        pd.DataFrame(
            {"mixture_weights": written, "pretraining_tokens": tokens, "cross_entropy": joined["loss/web"] + 30 * tokens**-0.3}
        )
        for tokens in (1e4, 1e5, 1e6)
    ]
    scratch = pd.DataFrame({"mixture_weights": [None], "pretraining_tokens": [0], "cross_entropy": [9.0]})
    pd.concat([scratch, *rungs]).to_csv(tables / "measurements.csv", index=False)
    command = ["mixture", str(tables / "measurements.csv"), "--targets", "cross_entropy", "--tokens", "pretraining_tokens"]
    assert main([*command, "--settings", SETTINGS, "--output", str(tables / "out.json")]) == 0
    (answer,) = json.loads((tables / "out.json").read_text())["answers"]
    assert answer["runs"] == 48 and answer["mixtures"] == 16 and len(answer["measured"]) == 16
    assert "joint" in {law["law"] for law in answer["laws"]}
    assert answer["worth"][0]["corpus"] == "en"
    assert answer["laws"][0]["held_out_r2"] > 0.95


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.assign(train_en=t.train_en + 0.5), "row 2: the weights sum to 1.5"),
        (
            lambda t: t.assign(train_en=t.train_en.astype(object).where(t.index != 3, "x")),
            "row 5, train_en: 'x' is no finite number",
        ),
        (lambda t: t.head(9), "stand in one of"),
        (lambda t: t.assign(index=1), "index 1 stands twice"),
        (lambda t: t.drop(columns="index"), "no column 'index' to join"),
        (lambda t: t.rename(columns=lambda c: c.replace("train", "share")), "--weights train_: no such column"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tables, capfd, change, said):
    change(pd.read_csv(tables / "weights.csv")).to_csv(tables / "weights.csv", index=False)
    assert run(tables, "mixture", "--targets", "loss/web", "--output", tables / "out.json") == 1
    assert said in capfd.readouterr().err
    assert not (tables / "out.json").exists()


def test_a_missing_table_and_too_few_mixtures(tables, capfd):
    assert main(["mixture", str(tables / "none.csv"), "--weights", "w", "--targets", "t", "--output", str(tables / "o")]) == 1
    assert "none.csv: no such file" in capfd.readouterr().err
    for name in ("weights.csv", "losses.csv"):
        table = pd.read_csv(tables / name)
        table[table["index"] < 4].to_csv(tables / name, index=False)
    assert run(tables, "mixture", "--targets", "loss/web", "--output", tables / "out.json") == 1
    assert "3 different mixtures. A mixture law needs four or more" in capfd.readouterr().err
