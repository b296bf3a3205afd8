"""A language-modelling study from config to page: three sizes, two targets, the laws of transfer, their figures, a budget."""

import json

import pandas as pd
import pytest
import yaml

from support.tiny import checkout, config, snakemake

pytestmark = pytest.mark.slow


def study(data) -> dict:
    shape = {"heads": 2, "d_kv": 4, "encoder_layers": 0, "decoder_layers": 1}
    whole = config(data)
    whole["pretraining"] |= {"objective": "next-token", "ladder": [1000, 2000, 4000], "seeds": [1, 2]}
    # names in another order than the sizes
    models = {"medium": {"d_model": 16, "d_ff": 32}, "large": {"d_model": 32, "d_ff": 64}, "atom": {"d_model": 8, "d_ff": 16}}
    return whole | {
        "mixtures": {"en": {"en": 1}},
        "bitexts": {},
        "models": {name: shape | values for name, values in models.items()},
        "tasks": {name: {"kind": "lm", "corpus": name, "tokens": [200, 400, 800]} for name in ("de", "fr")},
        "finetuning": whole["finetuning"] | {"learning_rates": [0.02], "max_steps": 8, "evaluations": 2},
        "laws": {"transfer-gap": {"bootstraps": 100}, "effective-data": {"bootstraps": 100}},
        "figures": {"summary": {}, "downstream": {}, "upstream": {}, "transfer-gap": {}, "effective-data": {}},
        "advice": {"budget": 100.0, "pretraining_token_price": 1e-4, "finetuning_unit_price": 1e-2},
    }


def test_a_language_modelling_study_ends_with_its_page(tmp_path):
    folder = checkout(tmp_path)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(study(folder / "data"), sort_keys=False))
    snakemake(folder)
    results = folder / "results"
    table = pd.read_csv(results / "measurements.csv")
    assert len(table) == 3 * 2 * 3 * (2 * 3 + 2)  # models, tasks, sizes; seeds × rungs and from scratch
    assert table.bleu.isna().all() and table.cross_entropy.notna().all()
    for law, groups in (("transfer-gap", 6), ("effective-data", 6)):
        assert len(json.loads((results / f"laws/{law}.json").read_text())["fits"]) == groups
    advice = json.loads((results / "laws/advice.json").read_text())
    assert {(answer["task"], answer["model"]) for answer in advice["answers"]} == {
        (task, model) for task in ("de", "fr") for model in ("atom", "medium", "large")
    }
    assert advice["budget"]["splits"] or advice["budget"]["reason"]
    for figure in ("summary", "downstream", "upstream", "transfer-gap", "effective-data"):
        svg = (results / f"figures/{figure}.svg").read_text()
        assert "mathdefault" not in svg
        if figure in ("downstream", "upstream"):
            assert svg.index("atom") < svg.index("medium") < svg.index("large")
    assert "de" in (results / "summary.html").read_text()
    assert "Nothing to be done" in snakemake(folder).stderr
