"""A corpus that runs out: its text repeats, the ladder is refused, or it ends where the text does."""

import json
import logging
import re

import numpy as np
import pytest
from pydantic import ValidationError

from support.engine_data import build
from transferlaws.cli import main
from transferlaws.errors import UserError
from transferlaws.tokens.batches import MixtureStream
from transferlaws.tokens.shards import TokenSplit
from transferlaws.training.ladder import within_text
from transferlaws.training.settings import PretrainingSettings

MODEL = json.dumps({"size": "tiny", "encoder_layers": 1, "decoder_layers": 1})
TRAINING = {"length": 32, "batch_tokens": 128, "warmup_steps": 10, "validation_tokens": 200}


def split(lengths):
    """Documents of these lengths, each ended by eos."""
    tokens = np.concatenate([np.append(np.full(length, 9), 1) for length in lengths])
    return TokenSplit(tokens, np.cumsum([0, *(length + 1 for length in lengths)]), sum(lengths), sum(lengths))


def stream():
    """65 tokens at weight 0.75 and 55 at 0.25: the first runs out first, after 86.7 tokens a pass."""
    splits = {"a": split([5, 9, 30, 4, 17]), "b": split([40, 3, 12])}
    return MixtureStream(splits, {"a": 0.75, "b": 0.25}, length=16, batch_tokens=64, seed=1, shapes=2)


def within(ladder, **settings):
    return within_text(ladder, stream(), PretrainingSettings(**settings), "mix")


def test_without_max_epochs_text_repeats():
    assert within([10, 10**9]) == ([10, 10**9], [])


@pytest.mark.parametrize("most", [0.5, 1, 2.5])
def test_a_ladder_that_needs_more_passes_is_refused_and_the_largest_rung_that_fits_is_named(most):
    message = rf"mix, corpus a: a rung of 1,000,000 tokens .*\.max_epochs is {most:g}\. .* text for is ([\d,]+): .*exhausted"
    with pytest.raises(UserError, match=message) as error:
        within([10, 10**6], max_epochs=most)
    fits = int(re.search(r"text for is ([\d,]+)", str(error.value))[1].replace(",", ""))
    assert within([10, fits], max_epochs=most) == ([10, fits], [])
    with pytest.raises(UserError, match="corpus a"):
        within([10, fits + 1], max_epochs=most)
    mixture = stream()
    while sum(mixture.drawn.values()) < fits:
        mixture.next()
    assert mixture.epochs(mixture.drawn)["a"] == pytest.approx(most, abs=0.3)  # a segment is 0.23 of a pass


def test_a_ladder_that_stops_keeps_the_rungs_that_there_is_text_for_and_says_what_it_leaves_out(caplog):
    with caplog.at_level(logging.WARNING, "transferlaws"):
        kept, left_out = within([40, 86, 87, 260], max_epochs=1, exhausted="stop")
    assert kept == [40, 86]
    assert left_out == [
        {"pretraining_tokens": 87, "corpus": "a", "epochs": pytest.approx(87 * 0.75 / 65)},
        {"pretraining_tokens": 260, "corpus": "a", "epochs": pytest.approx(3.0)},
    ]
    (warning,) = caplog.messages
    assert "mixture mix: its ladder ends at 86, because corpus a (65 tokens, weight 0.75" in warning
    assert "Left out: 87, 260." in warning


def test_a_ladder_that_fits_is_left_alone_and_nothing_is_said(caplog):
    assert within([40, 86], max_epochs=1, exhausted="stop") == ([40, 86], [])
    assert not caplog.messages


def test_one_rung_must_remain():
    with pytest.raises(UserError, match=r"its lowest rung of 100 tokens .* takes 1\.15 passes .* allow more passes\."):
        within([100, 200], max_epochs=1, exhausted="stop")


def test_to_stop_without_a_limit_is_a_mistake():
    with pytest.raises(ValidationError, match="exhausted is stop, but no text runs out without max_epochs"):
        PretrainingSettings(exhausted="stop")


def test_a_stopped_trajectory_has_the_rungs_of_the_short_ladder_and_records_the_others(tmp_path, capfd):
    root = build(tmp_path)

    def pretrain(name, **settings):
        arguments = [
            *["pretrain", "--tokens", root / "tokens/aa", root / "tokens/bb", "--weights", '{"aa": 0.7, "bb": 0.3}'],
            *["--vocabulary", root / "vocabulary", "--model", MODEL, "--settings", json.dumps(TRAINING | settings), "--seed", 1],
            *["--ladder", "[500,1000,1000000]", "--model-name", "tiny", "--mixture", "mix"],
            *["--state", root / "state", "--output", root / name],
        ]
        return main(list(map(str, arguments)))

    assert pretrain("refused", max_epochs=1) == 1
    assert "corpus aa: a rung of 1,000,000 tokens" in capfd.readouterr().err
    assert not (root / "refused").exists()
    assert pretrain("stopped", max_epochs=1, exhausted="stop") == 0
    assert "mixture mix: its ladder ends at 1,000, because corpus aa" in capfd.readouterr().err
    trajectory = json.loads((root / "stopped/trajectory.json").read_text())
    assert [rung["pretraining_tokens"] for rung in trajectory["rungs"]] == [500, 1000]
    (left_out,) = trajectory["left_out"]
    assert (left_out["pretraining_tokens"], left_out["corpus"]) == (1_000_000, "aa") and left_out["epochs"] > 1
    assert sorted(path.name for path in (root / "stopped").glob("rung_*")) == ["rung_1000", "rung_500"]
