"""Hostile tables: one clear error naming row and column, or a reason beside every point that is not used."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator

from transferlaws.cli import main
from transferlaws.errors import UserError
from transferlaws.laws.api import fit_law
from transferlaws.laws.registry import LAWS
from transferlaws.laws.simulate import Noise, measurements, transfer_measurements
from transferlaws.measurements.table import read_measurements
from transferlaws.seeding import generator

RUNGS = np.geomspace(1e6, 1e9, 6).round()
SCHEMA = Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "workflow" / "schemas" / "fits.schema.json").read_text(encoding="utf-8"))
)


@pytest.fixture
def frame():
    return measurements(
        form=LAWS["score-log"].form,
        parameters=np.array([-6.9, 0.9, 1.6]),
        metric="bleu",
        pretraining_tokens=RUNGS,
        noise=Noise(0.01, 0.01),
        generator=generator(1, "table"),
        scratch=4.0,
    )


def run(tmp_path, frame, law="score-log", **settings):
    path = tmp_path / "measurements.csv"
    frame.to_csv(path, index=False)
    options = json.dumps({"bootstraps": 200, **settings})
    status = main(["fit", "--measurements", str(path), "--law", law, "--settings", options, "--output", str(tmp_path / "law.json")])
    if status:
        return status, None
    document = json.loads((tmp_path / "law.json").read_text())
    SCHEMA.validate(document)
    return status, document


def only(document):
    (fit,) = document["fits"]
    return fit


def test_a_clean_table_accounts_for_every_row(tmp_path, frame):
    status, document = run(tmp_path, frame)
    fit = only(document)
    assert status == 0
    assert sorted(p["row"] for p in fit["points"]) == list(range(2, len(frame) + 2))
    roles = pd.Series([p["role"] for p in fit["points"]]).value_counts().to_dict()
    assert roles == {"fit": 15, "held-out": 3, "baseline": 3}
    assert all(p["reason"] for p in fit["points"] if p["role"] != "fit")
    assert document["protocol"]["delta"] == 0.1
    assert document["provenance"]["measurements_sha256"]


@pytest.mark.parametrize("law", ["transfer-gap", "effective-data"])
def test_laws_of_two_variables_write_the_same_schema(tmp_path, law):
    if law == "transfer-gap":
        frame = measurements(
            form=LAWS[law].form,
            parameters=np.array([1.0, 0.9, 60.0, 0.45, 0.12]),
            metric="cross_entropy",
            pretraining_tokens=RUNGS,
            finetuning_sizes=np.array([1e4, 1e5, 1e6]),
            noise=Noise(0.003, 0.003),
            generator=generator(1, "gap"),
        )
    else:
        frame = transfer_measurements(
            parameters=np.array([1.9e4, 0.18, 0.38]),
            kaplan=np.array([1e12, 1e13, 0.08, 0.1]),
            model_sizes=np.array([1e6, 1e7, 1e8]),
            finetuning_sizes=np.array([1e4, 1e5]),
            scratch_sizes=np.geomspace(1e4, 1e11, 15),
            noise=Noise(0.001, 0.001),
            generator=generator(1, "transfer"),
        )
    status, document = run(tmp_path, frame, law=law)
    assert status == 0
    assert sorted(p["row"] for p in only(document)["points"]) == list(range(2, len(frame) + 2))
    assert set(only(document)["profiles"]) == ({"E", "G_at_reference"} if law == "transfer-gap" else set())


HOSTILE = {
    "missing column": (lambda f: f.drop(columns="seed"), "missing column seed"),
    "empty key": (lambda f: f.assign(seed=f.seed.where(f.index != 3)), "row 5: seed is empty"),
    "negative tokens": (
        lambda f: f.assign(pretraining_tokens=f.pretraining_tokens.where(f.index != 2, -5)),
        "row 4: pretraining_tokens is -5",
    ),
    "infinite": (lambda f: f.assign(bleu=f.bleu.where(f.index != 0, np.inf)), "row 2: bleu is infinite"),
    "text": (lambda f: f.assign(bleu=f.bleu.astype(object).where(f.index != 1, "high")), "row 3: bleu is 'high', not a number"),
    "duplicate": (lambda f: pd.concat([f, f.iloc[[4]]]), "rows 6, 23 measure the same thing twice"),
    "mixed units": (
        lambda f: f.assign(finetuning_unit=f.finetuning_unit.where(f.index != 2, "tokens")),
        "mixes finetuning_unit pairs and tokens (rows 2 and 4)",
    ),
    "mixed signatures": (
        lambda f: f.assign(bleu_signature=np.where(f.index == 7, "tok:intl", "tok:13a")),
        "bleu_signature differs between row 2 (tok:13a) and row 9 (tok:intl)",
    ),
    "mixed test sets": (lambda f: f.assign(test_sha256=np.where(f.index == 7, "aa", "bb")), "test_sha256 differs"),
    "no rows": (lambda f: f.iloc[:0], "no rows"),
    "negative noise": (lambda f: f.assign(bleu_noise=-1.0), "row 2: bleu_noise is -1"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_table_is_one_clear_error(tmp_path, frame, capsys, case):
    change, message = HOSTILE[case]
    status, _ = run(tmp_path, change(frame))
    error = capsys.readouterr().err
    assert status == 1
    assert message in error
    assert "Traceback" not in error


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_measurements(tmp_path / "nothing.csv")


def test_a_file_that_is_no_table_says_so(tmp_path):
    (tmp_path / "m.csv").write_bytes(b"\x00\xff\xfe" * 50)
    with pytest.raises(UserError):
        read_measurements(tmp_path / "m.csv")


def test_unknown_settings_name_the_key(tmp_path, frame, capsys):
    assert run(tmp_path, frame, deltaa=1)[0] == 1
    assert "deltaa" in capsys.readouterr().err


def test_a_protocol_of_another_law_is_refused(tmp_path, frame, capsys):
    assert run(tmp_path, frame, protocol="barnett")[0] == 1
    assert "transfer-gap, not score-log" in capsys.readouterr().err


def test_one_rung_is_too_few_points(tmp_path, frame):
    fit = only(run(tmp_path, frame[frame.pretraining_tokens.isin([0, RUNGS[0]])])[1])
    assert fit["status"] == "too-few-points"
    assert "1 different value of pretraining_tokens, at least 3 are needed" in fit["verdict"]["text"]
    assert fit["parameters"]["beta"]["estimate"] is None


def test_a_constant_score_is_not_identified(tmp_path, frame):
    fit = only(run(tmp_path, frame.assign(bleu=20.0))[1])
    assert fit["status"] == "not-identified"
    assert "every value is the same" in fit["verdict"]["text"]


def test_scores_of_zero_empty_scores_and_diverged_runs_are_listed_with_their_reason(tmp_path, frame):
    frame.loc[0, "bleu"] = 0.0
    frame.loc[1, "bleu"] = np.nan
    frame.loc[2, "status"] = "diverged"
    fit = only(run(tmp_path, frame)[1])
    reasons = {p["row"]: p["reason"] for p in fit["points"] if p["role"] == "excluded"}
    assert reasons == {2: "bleu is not positive: it has no logarithm", 3: "bleu is empty", 4: "training diverged"}


def test_a_table_without_the_metric_of_a_loss_law_says_so(tmp_path, frame, capsys):
    assert run(tmp_path, frame, law="cross-entropy-power")[0] == 1
    assert "no column cross_entropy" in capsys.readouterr().err


def test_a_table_without_any_score_gives_a_score_law_without_fits(tmp_path, frame):
    status, document = run(tmp_path, frame.rename(columns={"bleu": "cross_entropy"}))
    assert status == 0
    assert document["fits"] == []


def test_few_rungs_hold_out_fewer(tmp_path, frame):
    few = frame[frame.pretraining_tokens.isin([0, *RUNGS[:3]])]
    fit = only(run(tmp_path, few)[1])
    assert {p["role"] for p in fit["points"]} == {"fit", "baseline"}


def test_protocol_isik_fits_the_four_smallest_rungs(tmp_path, frame):
    fit = only(run(tmp_path, frame, protocol="isik")[1])
    fitted = {p["pretraining_tokens"] for p in fit["points"] if p["role"] == "fit"}
    held = {p["pretraining_tokens"] for p in fit["points"] if p["role"] == "held-out"}
    assert fitted == set(RUNGS[:4])
    assert held == set(RUNGS[4:])
    assert fit["held_out"]["r2_log"] is not None


def test_the_same_seed_gives_the_same_bytes(tmp_path, frame):
    run(tmp_path, frame)
    first = (tmp_path / "law.json").read_bytes()
    run(tmp_path, frame)
    assert (tmp_path / "law.json").read_bytes() == first


def test_the_order_of_rows_does_not_matter(tmp_path, frame):
    one = only(run(tmp_path, frame)[1])
    other = only(run(tmp_path, frame.sample(frac=1, random_state=0))[1])
    for name, value in one["parameters"].items():
        assert other["parameters"][name]["estimate"] == pytest.approx(value["estimate"], rel=1e-9)
        assert other["parameters"][name]["low"] == pytest.approx(value["low"], rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"law": "nonsense", "x": [1, 2], "values": [1, 2]}, "unknown"),
        ({"law": "cross-entropy-power", "x": [1, 2, 3], "values": [1, 2]}, "shape"),
        ({"law": "cross-entropy-power", "x": [1, 2, 0], "values": [1, 2, 3]}, "number 2 of column 0 is 0"),
        ({"law": "cross-entropy-power", "x": [1, 2, 3], "values": [1, float("nan"), 3]}, "number 1 is nan"),
        ({"law": "transfer-gap", "x": [1, 2, 3], "values": [1, 2, 3]}, "needs 2 columns"),
    ],
)
def test_the_api_refuses_bad_arrays(arguments, message):
    with pytest.raises(UserError, match=message):
        fit_law(**arguments)


def test_the_api_without_enough_points_has_a_status_and_no_predictions():
    found = fit_law(law="cross-entropy-power", x=[1e6, 1e7], values=[3.0, 2.5])
    assert found.status == "too-few-points"
    with pytest.raises(UserError, match="nothing was fitted"):
        found.predict([1e8])
