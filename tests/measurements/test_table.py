"""Hostile tables: one clear error naming row and column, or a reason beside every point that is not used."""

import gzip
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
from transferlaws.laws.settings import FitSettings
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


def text(frame):
    return frame.to_csv(index=False)


def renamed(name, to):
    return lambda f: text(f.rename(columns={name: to}))


ODD = {
    "semicolons": (lambda f: f.to_csv(index=False, sep=";"), "look parted by semicolons (';')"),
    "tabs": (lambda f: f.to_csv(index=False, sep="\t"), "look parted by tabs"),
    "bars": (lambda f: f.to_csv(index=False, sep="|"), "look parted by bars"),
    "comment": (lambda f: "# made by hand\n" + text(f), "row 1 begins with #"),
    "one name twice": (lambda f: text(pd.concat([f, f[["bleu"]]], axis=1)), "are both called bleu"),
    "the same name with blanks": (renamed("status", " bleu "), "are both called bleu"),
    "capitals": (renamed("bleu", "BLEU"), "is called 'BLEU': write bleu"),
    "blanks within": (renamed("seed", "Seed"), "is called 'Seed': write seed"),
    "hyphens": (renamed("pretraining_tokens", "pretraining-tokens"), "write pretraining_tokens"),
    "a typing error": (renamed("mixture", "mixtrue"), "missing column mixture", "is `mixtrue` meant for mixture?"),
    "too many fields": (lambda f: text(f).replace("\n", ",1\n", 3).replace(",1\n", "\n", 1), "row 2: 11 fields, but"),
    "trailing commas": (lambda f: text(f).replace("\n", ",\n").replace(",\n", "\n", 1), "row 2:", "fields, but the header has"),
    "too few fields": (lambda f: text(f).replace("\n", "\n\n", 1) + "only,two\n", "row 24: 2 fields, but the header has"),
    "thousands separators": (lambda f: text(f.assign(bleu='1,000')), "row 2: bleu is '1,000', not a number"),
    "status": (lambda f: text(f.assign(status=f.status.where(f.index != 4, "failed"))), "row 6: status is 'failed'; known are ok"),
    "blank lines": (lambda f: text(f.assign(bleu=f.bleu.astype(object).where(f.index != 1, "bad"))).replace("\n", "\n\n  \n", 2),
                    "row 7: bleu is 'bad'"),
    "a cell of two lines": (lambda f: text(f.assign(study=f.study.where(f.index != 0, "a\nb"), seed=f.seed.where(f.index != 2))),
                            "row 5: seed is empty"),
    "an empty file": (lambda f: "", "not a CSV table (it is empty)"),
    "bytes": (lambda f: "\0\0", "missing column task"),
    "names alone": (lambda f: text(f.iloc[:0]), "no rows below the header"),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_an_odd_table_is_one_clear_error(tmp_path, frame, case):
    change, *words = ODD[case]
    path = tmp_path / "odd.csv"
    path.write_text(change(frame.assign(study="s", status="ok")))
    with pytest.raises(UserError) as error:
        read_measurements(path)
    assert all(word in str(error.value) for word in (str(path), *words)), str(error.value)


def test_what_means_the_same_is_read_the_same(tmp_path, frame):
    """Blanks around names and cells, a byte-order mark, compression, blank lines, an index column, the case of a status."""
    frame = frame.assign(status="diverged", mixture="books")
    frame.loc[frame.index != 3, "status"] = "ok"
    (tmp_path / "a.csv").write_text(text(frame))
    plain = read_measurements(tmp_path / "a.csv")
    assert (plain.row == range(2, len(frame) + 2)).all() and (plain.status == "diverged").sum() == 1
    odd = frame.assign(status=frame.status.str.title(), mixture=np.where(frame.index % 2, "books ", " books"))
    odd = odd.rename(columns={"bleu": " bleu", "seed": "seed "})
    for name, encoding, change in (
        ("b.csv", "utf-8-sig", lambda table: table),
        ("c.csv.gz", "utf-8", lambda table: table),
        ("d.csv", "utf-8", lambda table: table.replace("\n", "\r\n")),
        ("e.csv", "utf-8", lambda table: table.replace(",", ", ")),
    ):
        table = change(text(odd)).encode(encoding)
        (tmp_path / name).write_bytes(gzip.compress(table) if name.endswith("gz") else table)
        pd.testing.assert_frame_equal(read_measurements(tmp_path / name), plain)
    odd.to_csv(tmp_path / "f.csv")
    pd.testing.assert_frame_equal(read_measurements(tmp_path / "f.csv")[plain.columns], plain)
    (tmp_path / "g.csv").write_text(text(odd).replace("\n", "\n\n"))
    blank = read_measurements(tmp_path / "g.csv")
    assert (blank.row == range(3, 2 * len(frame) + 3, 2)).all()
    pd.testing.assert_frame_equal(blank.drop(columns="row"), plain.drop(columns="row"))


def test_rows_that_are_left_out_are_counted_on_the_terminal(tmp_path, frame, capsys):
    frame = frame.assign(status=["diverged", *["ok"] * (len(frame) - 1)])
    frame.loc[3, "bleu"] = 0.0
    frame.loc[4, "bleu"] = -1.0
    assert run(tmp_path, frame)[0] == 0
    said = capsys.readouterr().err
    assert f"score-log, bleu: 3 of {len(frame)} rows are left out." in said
    assert "2: bleu is not positive: it has no logarithm (row 5, 6)" in said and "1: training diverged (row 2)" in said


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
        ({"law": "score-log", "x": [1, 2], "values": [1, 2], "noise": [0, float("nan")]}, "noise: number 1 is nan"),
        ({"law": "score-log", "x": [1, 2], "values": [1, 2], "noise": [-0.5, 0]}, "noise: number 0 is -0.5"),
        ({"law": "score-log", "x": [1, 2], "values": [1, 2], "runs": [1, float("nan")]}, "runs: number 1 is empty"),
        ({"law": "score-log", "x": [1, 2], "values": [1, 2], "runs": ["a", None]}, "runs: number 1 is empty"),
        ({"law": "score-log", "x": [1, 2], "values": [1, 2], "settings": {"level": 0.8}}, "settings: dict; give FitSettings"),
    ],
)
def test_the_api_refuses_bad_arrays(arguments, message):
    with pytest.raises(UserError, match=message):
        fit_law(**arguments)


def test_predictions_are_of_one_place_or_many_at_the_level_of_the_settings():
    x = np.tile(np.geomspace(1e6, 1e9, 6), 3)
    values = (1.5 + 40 * x**-0.25) * np.exp(0.003 * np.random.default_rng(1).standard_normal(18))
    runs = np.repeat([1, 2, 3], 6)
    fits = {
        level: fit_law(law="cross-entropy-power", x=x, values=values, runs=runs, settings=FitSettings(bootstraps=200, level=level))
        for level in (0.5, 0.9)
    }
    one, many = fits[0.9].predict(4e9), fits[0.9].predict([4e9, 8e9])
    assert [part[0] for part in many] == [part.item() for part in one]
    assert fits[0.5].predict(4e9) == fits[0.9].predict(4e9, level=0.5) != one
    for level in (95, 2, 0, 1, -0.1, float("nan")):
        with pytest.raises(UserError, match=r"level: .* between 0 and 1"):
            fits[0.9].predict(4e9, level=level)


def test_the_api_without_enough_points_has_a_status_and_no_predictions():
    found = fit_law(law="cross-entropy-power", x=[1e6, 1e7], values=[3.0, 2.5])
    assert found.status == "too-few-points"
    with pytest.raises(UserError, match="nothing was fitted"):
        found.predict([1e8])
