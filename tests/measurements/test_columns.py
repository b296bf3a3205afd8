"""One list of columns: what is written, read and validated."""

import pandas as pd
import pytest

from transferlaws.errors import UserError
from transferlaws.measurements.columns import COLUMNS, KEY, LOSSES, ORDER, SCORES
from transferlaws.measurements.table import read_measurements, usable, write_measurements

ROW = {
    "task": "en-de", "model": "mini", "mixture": "en", "finetuning_size": 2000, "finetuning_unit": "pairs", "seed": 1,
    "pretraining_tokens": 64_000, "pretraining_steps": 10, "bleu": 1.5, "status": "ok",
}  # fmt: skip


def test_the_key_is_what_a_table_made_elsewhere_needs():
    assert {column.name for column in COLUMNS if column.required} == set(KEY)
    assert set(ORDER) <= set(KEY)
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)
    assert all(column.meaning for column in COLUMNS)
    assert list(SCORES) == ["bleu", "chrf", "comet", "rouge"] and "cross_entropy" in LOSSES


def test_what_is_written_is_the_list_in_its_order_sorted_and_reads_back(tmp_path):
    path = tmp_path / "measurements.csv"
    write_measurements([ROW | {"seed": 2, "pretraining_steps": None}, ROW], path)
    lines = path.read_text().splitlines()
    assert lines[0].split(",") == [column.name for column in COLUMNS if not column.optional]
    table = read_measurements(path)
    assert table.seed.tolist() == [1, 2] and table.pretraining_steps.isna().tolist() == [False, True]
    assert ",10," in lines[1] and "10.0" not in lines[1]  # a whole number stays one beside an empty cell


def test_a_column_that_not_every_study_has_is_written_where_a_row_has_it(tmp_path):
    write_measurements([ROW, ROW | {"seed": 2, "comet": 0.7}], tmp_path / "m.csv")
    assert "comet" in pd.read_csv(tmp_path / "m.csv") and "comet_noise" not in pd.read_csv(tmp_path / "m.csv")
    with pytest.raises(ValueError, match="bluescore"):
        write_measurements([ROW | {"bluescore": 1.0}], tmp_path / "m.csv")


@pytest.mark.parametrize("name", ["pretraining_steps", "learning_rate", "test_items", "alignment", "bleu"])
def test_every_number_of_the_list_is_validated(tmp_path, name):
    pd.DataFrame([ROW | {name: "many"}]).to_csv(tmp_path / "m.csv", index=False)
    with pytest.raises(UserError, match=rf"row 2: {name} is 'many', not a number"):
        read_measurements(tmp_path / "m.csv")


def test_diverged_runs_do_not_count_and_a_table_without_status_counts_all():
    table = pd.DataFrame([ROW, ROW | {"seed": 2, "status": "diverged"}, ROW | {"seed": 3, "status": None}])
    assert usable(table).seed.tolist() == [1, 3]
    assert len(usable(table.drop(columns="status"))) == 3
