"""What files bring along commands neither the terminal nor a page, and what cannot be meant is refused."""

import logging
import re

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from transferlaws import records
from transferlaws.advice.page import _inert
from transferlaws.config import Study
from transferlaws.config_parts import Count
from transferlaws.errors import UserError
from transferlaws.model.checkpoint import load_checkpoint, read_settings, save_checkpoint
from transferlaws.model.settings import ModelSettings
from transferlaws.model.transformer import Transformer
from transferlaws.progress import configure_log

EVIL = "\x1b]0;owned\x07\u202e"


def test_errors_and_logs_hold_no_control_characters(tmp_path):
    assert "\x1b" not in str(UserError(f"column {EVIL}")) and "\u202e" not in str(UserError(EVIL))
    assert str(UserError("two\nlines")) == "two\nlines"
    configure_log(tmp_path / "log")
    logging.getLogger("transferlaws").info("a name: %s", EVIL)
    assert "\x1b" not in (tmp_path / "log").read_text(encoding="utf-8")


def test_names_are_inert_in_advice():
    name = f"[x](javascript:alert(1)) <img src=x onerror=alert(1)>\n\n# forged `{EVIL}"
    text = _inert({"answers": [{name: name}]})["answers"][0]
    for shown in [*text, *text.values()]:
        assert "\n" not in shown and "\x1b" not in shown
        assert "](" not in shown and not re.search("<[a-z]", shown) and not re.search(r"(?<!\\)`", shown)
    assert _inert("0.3 [0.2, 0.4] < 1 | x") == "0.3 [0.2, 0.4] < 1 | x"


@pytest.mark.parametrize("value", ["inf", "1e400", "infk", "1e30", "nan"])
def test_counts_that_are_no_number_are_refused(value):
    with pytest.raises(ValidationError):
        TypeAdapter(Count).validate_python(value)


PLACES = ["--help", "-rf", "..", "../../x", "/", "/etc", ".", ".git", ".snakemake", "workflow", "workflow/transferlaws", "a/../b"]


@pytest.mark.parametrize("path", PLACES)
def test_folders_of_another_use_are_no_results(path):
    def check(value: str) -> None:
        Study.__pydantic_validator__.validate_assignment(Study.model_construct(), "results", value)

    with pytest.raises(ValidationError, match="results"):
        check(path)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"junk", lambda data: b""])
def test_damaged_records_are_a_warning(tmp_path, monkeypatch, caplog, damage):
    monkeypatch.chdir(tmp_path)
    records.keep("results")
    file = tmp_path / "results/.state/records.zst"
    file.write_bytes(damage(file.read_bytes()))
    logging.getLogger("transferlaws").propagate = True
    records.restore("results")
    assert "records.zst: not readable" in caplog.text


SHAPE = ModelSettings(d_model=16, heads=2, d_kv=8, d_ff=32, encoder_layers=1, decoder_layers=1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_finite_numbers_are_refused(tmp_path, value):
    model = Transformer(SHAPE, 64)
    with torch.no_grad():
        model.embedding.fill_(0.1)
        model.embedding[0, 0, 0] = value
    save_checkpoint(model, 0, tmp_path)
    with pytest.raises(UserError, match="no tensor of finite floating-point numbers"):
        load_checkpoint(model, 0, tmp_path)


@pytest.mark.parametrize(
    "config", ["[]", '{"model_type": "t5"}', "[" * 200_000, '{"model_type": "t5", "num_layers": "x", "d_model": []}']
)
def test_a_config_that_is_none_is_named(tmp_path, config):
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(UserError, match=r"config\.json"):
        read_settings(tmp_path)
