"""A mixture without text for the whole ladder has a shorter curve, and the others take no notice."""

import json
import shutil

import pandas as pd
import pytest
import yaml

from support.tiny import snakemake

pytestmark = pytest.mark.slow


def test_a_shorter_ladder_goes_through_the_whole_workflow(finished_tiny, tmp_path):
    folder = shutil.copytree(finished_tiny, tmp_path / "copy", symlinks=True)
    study = yaml.safe_load((folder / "tiny.yaml").read_text())
    study["pretraining"] |= {"max_epochs": 0.5, "exhausted": "stop"}  # half of fr: below 8,000; half of en and of de: above
    (folder / "tiny.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    snakemake(folder)

    def results(path):
        return folder / "results" / path, finished_tiny / "results" / path

    ladder = {"en+de": [1000, 2000, 4000, 8000], "fr": [1000, 2000, 4000]}
    for mixture, rungs in ladder.items():
        trajectory = json.loads(results(f"pretrain/nano/{mixture}/seed_1/trajectory.json")[0].read_text())
        assert [rung["pretraining_tokens"] for rung in trajectory["rungs"]] == rungs
        assert [(rung["pretraining_tokens"], rung["corpus"]) for rung in trajectory["left_out"]] == [(8000, "fr")][
            : len(rungs) == 3
        ]
    assert "its ladder ends at 4,000, because corpus fr" in results("logs/pretrain/nano/fr/seed_1.log")[0].read_text()

    short, whole = map(pd.read_csv, results("measurements.csv"))
    left_out = (whole.mixture == "fr") & (whole.pretraining_tokens == 8000)
    pd.testing.assert_frame_equal(short, whole[~left_out].reset_index(drop=True))
    for law in ("cross-entropy-power", "score-log"):
        held = []
        for path in results(f"laws/{law}.json"):
            fits = {fit["group"]["mixture"]: fit for fit in json.loads(path.read_text())["fits"]}
            held.append(
                {
                    name: [(p["seed"], p["pretraining_tokens"], p["value"]) for p in fit["points"] if p["role"] == "held-out"]
                    for name, fit in fits.items()
                }
            )
            assert held[-1]["en+de"] == held[0]["en+de"]
        assert held[1]["fr"] != held[0]["fr"]
    ends = [
        {a["mixture"]: a["measured"]["text_end"] for a in json.loads(path.read_text())["answers"]}
        for path in results("laws/advice.json")
    ]
    assert 4000 <= ends[0]["fr"] < 8000 <= ends[0]["en+de"] and not any(ends[1].values())
    assert "these end earlier: fr at 4k" in results("summary.html")[0].read_text()
    assert "Nothing to be done" in snakemake(folder).stderr
