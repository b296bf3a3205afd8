"""Advice follows laws that can be trusted, else what was measured; its numbers and words agree."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.advising import RUNGS, advise, table
from transferlaws.laws.simulate import EQUATIONS, Noise

DISTRUST = [
    ({"status": "bound-hit"}, "ended with a parameter at the edge"),
    ({"status": "not-converged"}, "did not reach an optimum"),
    ({"status": "rejected"}, "is contradicted by the points"),
    ({"held_out": None}, "was tested on no held-out rung"),
    ({"held_out": {"inside": 1 / 3}}, "has only 33% of the held-out points within its interval"),
]


@pytest.mark.parametrize(("change", "reason"), DISTRUST)
def test_a_law_that_cannot_be_trusted_forecasts_nothing_and_what_was_measured_decides(tmp_path, change, reason):
    """A doubling here gains 5 and costs no doubt: going on is supported without a law, by one more step."""
    advice, page = advise(tmp_path, table(), change=change, worthwhile=1.0)
    (found,) = advice["answers"]
    assert (found["answer"], found["forecast"]) == ("continue", None)
    assert found["continue_to"] == pytest.approx(RUNGS[-1] ** 2 / RUNGS[-2])
    assert f"No law decides here: score-log {reason}" in found["because"]
    assert "surely worthwhile: the measurement supports going on" in found["because"]
    assert "| no law decides | **continue to D_p = 3.98G** |" in page and "the law predicts" not in page


def test_a_law_whose_parameters_are_not_identified_may_still_forecast(tmp_path):
    (found,) = advise(tmp_path, table(), change={"status": "not-identified"})[0]["answers"]
    assert found["forecast"]["gain"]["low"] > 1


def test_a_law_that_misses_the_held_out_rung_by_more_than_half_of_what_is_worthwhile_decides_nothing(tmp_path):
    frame = table(noise=Noise(0.03, 0.03))
    frame.loc[frame.pretraining_tokens == RUNGS[-1], "bleu"] *= 0.93
    for worthwhile, trusted in ((20.0, True), (1.0, False)):
        (found,) = advise(tmp_path, frame, worthwhile=worthwhile)[0]["answers"]
        assert (found["law"]["mistrust"] == "") == trusted == (found["forecast"] is not None)
    assert "errs by more than half of what is worthwhile" in found["because"]


def test_where_no_law_decides_the_last_step_says_stop_or_that_it_is_not_known(tmp_path):
    flat, edge = table(parameters=(10.0, 0.02, 1.0), scratch=9.0), {"status": "bound-hit"}
    (found,) = advise(tmp_path, flat, change=edge)[0]["answers"]
    assert found["answer"] == "stop" and "surely less than is worthwhile" in found["because"]
    noisy = table(parameters=(10.0, 0.02, 1.0), scratch=9.0, noise=Noise(0.1, 0.2))
    (found,) = advise(tmp_path, noisy, change=edge)[0]["answers"]
    assert found["answer"] == "undecided" and "may or may not be worthwhile" in found["because"]
    (found,) = advise(tmp_path, table(seeds=1), change=edge)[0]["answers"]
    assert found["answer"] == "undecided" and "one seed does not say" in found["because"]


def test_where_no_law_decides_text_and_rivals_still_count(tmp_path):
    frame = table().assign(pretraining_epochs=lambda f: f.pretraining_tokens / 1e9)
    for passes, answer, end in (("1", "more text", None), ("2", "continue", 2e9)):
        (found,) = advise(tmp_path, frame, change={"status": "bound-hit"}, options=["--max-epochs", passes])[0]["answers"]
        assert (found["answer"], found["continue_to"]) == (answer, end and pytest.approx(end))
    bad = table(parameters=(-6.9, 0.75, 1.6), mixtures=("fr",), scratch=None)
    advice, _ = advise(tmp_path, pd.concat([table(), bad]), change={"status": "bound-hit"})
    found = {a["mixture"]: a for a in advice["answers"]}
    assert (found["en+de"]["answer"], found["fr"]["answer"]) == ("continue", "other data")
    assert "Measured, en+de is surely better than fr at D_p = 1G" in found["fr"]["because"]


@pytest.mark.parametrize(("law", "metric", "parameters", "sign"), [
    ("score-log", "bleu", (-6.9, 0.9, 1.6), 1),
    ("cross-entropy-power", "cross_entropy", (1.5, 40.0, 0.25), -1),
])  # fmt: skip
def test_what_is_measured_and_what_the_law_adds_make_up_the_forecast(tmp_path, law, metric, parameters, sign):
    frame = table(law=law, metric=metric, parameters=parameters, scratch=4.0)
    last = frame.pretraining_tokens == RUNGS[-1]
    frame.loc[last, metric] *= 1.01  # the law, fitted to the rungs before, has another value here
    (found,) = advise(tmp_path, frame, laws=(law,), metric=metric, worthwhile=2.0)[0]["answers"]
    measured, forecast = found["measured"], found["forecast"]
    gain = EQUATIONS[law](np.array(parameters), 4e9) - EQUATIONS[law](np.array(parameters), 1e9)
    assert sign * gain == pytest.approx(forecast["gain"]["estimate"], rel=0.15)
    assert forecast["score"]["estimate"] == pytest.approx(measured["score"]["estimate"] + sign * forecast["gain"]["estimate"])
    assert forecast["gain_over_scratch"]["estimate"] == pytest.approx(measured["gain"]["estimate"] + forecast["gain"]["estimate"])
    assert measured["gain"]["estimate"] == pytest.approx(sign * (measured["score"]["estimate"] - measured["scratch"]["estimate"]))


def test_the_gain_over_no_pretraining_is_that_of_the_last_rung(tmp_path):
    """Not of the best of many, which chance favours."""
    frame = table()
    frame.loc[frame.pretraining_tokens == RUNGS[-1], "bleu"] *= 0.5
    (found,) = advise(tmp_path, frame)[0]["answers"]
    means = frame.groupby("pretraining_tokens").bleu.agg(lambda values: np.exp(np.log(values).mean()))
    assert found["measured"]["gain"]["estimate"] == pytest.approx(means[RUNGS[-1]] - means[0])


def test_no_answer_for_a_real_study_contradicts_the_numbers_beside_it(tmp_path):
    """Few test sentences: laws that end at the edge of their parameters, one that is rejected, mixtures that turn back."""
    frame = pd.read_csv(Path(__file__).parents[2] / "docs" / "studies" / "laptop.csv")
    frame = frame[(frame.task == "en-ro") | (frame.task == "en-fr") & (frame.finetuning_size == 4000)]
    advice, _ = advise(tmp_path, frame, fit={"metrics": ["bleu"], "bootstraps": 200})
    answers = advice["answers"]
    assert {a["law"]["status"] for a in answers} >= {"bound-hit", "rejected", "not-identified"}
    for found in answers:
        now, forecast = found["measured"]["score"]["estimate"], found["forecast"]
        assert (forecast is None) == ("No law decides here" in found["because"])
        if forecast is None:
            continue
        assert found["law"]["status"] in ("converged", "not-identified")
        assert forecast["score"]["estimate"] == pytest.approx(now + forecast["gain"]["estimate"])
        worthwhile = (forecast["gain"]["estimate"] >= 1, forecast["probability_worthwhile"] >= 0.5)
        if found["answer"] == "continue":
            assert worthwhile == (True, True) and forecast["worthwhile_from"] <= found["continue_to"]
    for pair in advice["comparisons"]:
        (shown,) = re.findall(r"\(probability (?:above |below )?(\d+)%\)", pair["text"])
        assert (int(shown) >= 95) == ("surely" in pair["text"])
        assert (95 > int(shown) >= 90) == ("probably" in pair["text"])
