"""The advice stage on tables whose right answer is known."""

import numpy as np
import pandas as pd
import pytest

from support.advising import RUNGS, advise, table
from transferlaws.advice.budget import best_split
from transferlaws.cli import main
from transferlaws.laws.simulate import EQUATIONS, Noise


def test_a_score_that_still_rises_says_continue_and_by_how_much(tmp_path):
    advice, page = advise(tmp_path, table(), worthwhile=1.0)
    (found,) = advice["answers"]
    assert found["answer"] == "continue"
    assert found["continue_to"] == 4 * RUNGS[-1]
    truth = EQUATIONS["score-log"](np.array([-6.9, 0.9, 1.6]), 4e9)
    assert found["forecast"]["score"]["low"] < truth < found["forecast"]["score"]["high"]
    assert found["measured"]["gain"]["low"] > 30
    assert "continue to D_p = 4G" in page


def test_a_flat_score_says_stop(tmp_path):
    advice, _ = advise(tmp_path, table(parameters=(10.0, 0.02, 1.0), scratch=9.0, noise=Noise(0.003, 0.003)), worthwhile=1.0)
    assert advice["answers"][0]["answer"] == "stop"


def test_a_falling_score_never_says_continue(tmp_path):
    frame = table(parameters=(9.0, 0.3, 1.0), noise=Noise(0.03, 0.03))
    frame["bleu"] = np.where(frame.pretraining_tokens > 0, 200 / frame.bleu, frame.bleu)
    advice, _ = advise(tmp_path, frame, target_pretraining_tokens=1e14)
    assert advice["answers"][0]["answer"] in ("stop", "other data")


def test_where_bleu_is_zero_chrf_decides_and_the_page_says_so(tmp_path):
    frame = table()
    frame["chrf"] = 10 + frame.bleu
    frame.loc[0, "bleu"] = 0.0
    advice, page = advise(tmp_path, frame)
    assert advice["answers"][0]["metric"] == "chrf"
    assert "bleu is 0 in row 2, so chrf decides" in page
    advice, page = advise(tmp_path, frame, metric="bleu")
    assert advice["answers"][0]["metric"] == "bleu"
    assert "leave these rows out" in page


def test_a_reachable_target_gives_the_tokens_it_takes(tmp_path):
    target = EQUATIONS["score-log"](np.array([-6.9, 0.9, 1.6]), 2e9)
    advice, _ = advise(tmp_path, table(noise=Noise(0.001, 0.001)), target_score=float(target))
    assert advice["answers"][0]["answer"] == "continue"
    assert advice["answers"][0]["continue_to"] == pytest.approx(2e9, rel=0.15)


def test_a_target_out_of_reach_says_stop(tmp_path):
    advice, _ = advise(tmp_path, table(), target_score=99.0)
    assert advice["answers"][0]["answer"] == "stop"
    assert "out of reach" in advice["answers"][0]["because"]


def test_a_score_that_turns_back_says_other_data(tmp_path):
    frame = table()
    late = frame.pretraining_tokens >= RUNGS[3]
    frame.loc[late, "bleu"] *= 0.6
    advice, page = advise(tmp_path, frame)
    assert advice["answers"][0]["answer"] == "other data"
    assert "misalignment" in page
    assert advice["answers"][0]["forecast"] is None


def test_the_better_mixture_is_named_with_its_lead(tmp_path):
    good = table(mixtures=("en+de",))
    bad = table(parameters=(-6.9, 0.75, 1.6), mixtures=("fr",), scratch=None)
    advice, page = advise(tmp_path, pd.concat([good, bad]))
    (pair,) = advice["comparisons"]
    assert (pair["mixture"], pair["other"], pair["sureness"]) == ("en+de", "fr", "surely")
    lead = EQUATIONS["score-log"](np.array([-6.9, 0.9, 1.6]), 1e9) - EQUATIONS["score-log"](np.array([-6.9, 0.75, 1.6]), 1e9)
    assert pair["difference"]["low"] < lead < pair["difference"]["high"]
    assert "Best measured by bleu: **en+de**, surely better than fr" in page
    answers = {a["mixture"]: a["answer"] for a in advice["answers"]}
    assert answers == {"en+de": "continue", "fr": "other data"}


def test_cross_entropy_is_a_witness_beside_the_score(tmp_path):
    """Scores that cannot tell two mixtures apart, losses that can."""
    frame = table(mixtures=("en+de", "de+en"))
    frame["cross_entropy"] = np.where(frame.mixture == "de+en", 2.0, 2.5) + 0.001 * frame.seed
    advice, page = advise(tmp_path, frame)
    by = {pair["metric"]: pair for pair in advice["comparisons"]}
    assert by["bleu"]["sureness"] == "not told apart"
    assert by["cross_entropy"]["sureness"] == "surely" and by["cross_entropy"]["mixture"] == "de+en"
    assert by["cross_entropy"]["difference"]["estimate"] == pytest.approx(0.5)
    assert "Best measured by cross_entropy: **de+en**, surely better than en+de." in page


def test_equal_mixtures_are_not_called_different(tmp_path):
    advice, _ = advise(tmp_path, table(mixtures=("en+de", "de+en")))
    (pair,) = advice["comparisons"]
    assert pair["sureness"] == "not told apart"
    assert pair["difference"]["low"] < 0 < pair["difference"]["high"]


def test_a_lead_whose_interval_holds_0_is_never_called_sure(tmp_path):
    """Leads that grow: first the two cannot be told apart, then one is probably better, then surely; each with its interval."""
    frame, words = table(mixtures=("en+de", "de+en")), []
    rises = np.where(frame.mixture == "en+de", 1.0, 0.0)
    level = frame[frame.mixture == "de+en"].groupby("pretraining_tokens").bleu.mean()
    equal = np.where(rises, frame.groupby(["mixture", "pretraining_tokens"]).bleu.transform("mean"), 1.0)
    frame["bleu"] = np.where(rises, frame.bleu / equal * frame.pretraining_tokens.map(level), frame.bleu)
    for lead in (0.002, 0.009, 0.03):
        risen = frame.assign(bleu=frame.bleu * (1 + lead * rises))
        advice, page = advise(tmp_path, risen)
        (pair,) = advice["comparisons"]
        assert pair["mixture"] == "en+de"
        assert (pair["difference"]["low"] > 0) == (pair["sureness"] == "surely")
        assert (0.9 <= pair["probability_better"] < 0.95) == (pair["sureness"] == "probably")
        words.append(pair["sureness"])
        phrase = {"not told apart": "not to be told apart from"}.get(words[-1], f"{words[-1]} better than")
        assert f"**en+de**, {phrase} de+en." in page and f"en+de is {phrase} de+en at D_p" in page
    assert words == ["not told apart", "probably", "surely"]


def test_where_the_text_is_used_up_the_advice_is_more_text(tmp_path):
    """The gain is the law's, as without a limit; what is said of it is not."""
    frame = table().assign(pretraining_epochs=lambda f: f.pretraining_tokens / 8e8)
    (free,) = advise(tmp_path, frame, worthwhile=1.0)[0]["answers"]
    advice, page = advise(tmp_path, frame, worthwhile=1.0, options=["--max-epochs", "1.25"])
    (found,) = advice["answers"]
    assert (free["answer"], found["answer"], found["continue_to"]) == ("continue", "more text", None)
    assert free["measured"]["text_end"] is None
    assert found["measured"]["text_end"] == pytest.approx(1e9)
    assert found["forecast"] == free["forecast"] and found["forecast"]["gain"]["low"] > 1
    assert "its text is used up at D_p = 1G (max_epochs: 1.25): this gain takes more text, or another mixture" in page
    assert "**more text**" in page and "continue to" not in page


def test_with_text_for_a_worthwhile_part_of_the_way_the_advice_is_to_go_to_its_end(tmp_path):
    frame = table().assign(pretraining_epochs=lambda f: f.pretraining_tokens / 1e9)
    (found,) = advise(tmp_path, frame, worthwhile=1.0, options=["--max-epochs", "2"])[0]["answers"]
    assert (found["answer"], found["continue_to"]) == ("continue", pytest.approx(2e9))
    assert found["forecast"]["pretraining_tokens"] == pytest.approx(2e9)
    assert found["because"].endswith("Its text ends there.")


def test_text_enough_changes_nothing_and_a_score_that_stays_flat_needs_no_more_of_it(tmp_path):
    frame = table().assign(pretraining_epochs=lambda f: f.pretraining_tokens / 1e9)
    (free,), (enough,) = (advise(tmp_path, frame, options=options)[0]["answers"] for options in ([], ["--max-epochs", "4"]))
    assert enough | {"measured": free["measured"]} == free
    flat = table(parameters=(10.0, 0.02, 1.0), scratch=9.0, noise=Noise(0.003, 0.003)).assign(pretraining_epochs=1.0)
    assert advise(tmp_path, flat, options=["--max-epochs", "1"])[0]["answers"][0]["answer"] == "stop"


def test_another_mixture_is_not_recommended_for_where_it_has_no_text(tmp_path):
    """Far ahead at the target the rival is; where its text ends it is not."""
    slow = table(parameters=(-6.9, 0.75, 1.6), mixtures=("fr",)).assign(pretraining_epochs=0.0)
    fast = table(mixtures=("en+de",), scratch=None).assign(pretraining_epochs=1.0)
    fast = fast[fast.pretraining_tokens < 1e8]
    frame = pd.concat([slow, fast])
    for options, answer in (([], "other data"), (["--max-epochs", "1"], "continue")):
        advice, _ = advise(tmp_path, frame, worthwhile=1.0, options=options)
        assert {a["mixture"]: a["answer"] for a in advice["answers"]}["fr"] == answer


def test_a_limit_of_passes_needs_the_passes(tmp_path, capsys):
    advise(tmp_path, table())
    names = {name: str(tmp_path / name) for name in ("measurements.csv", "score-log.json", "a.json", "a.md")}
    arguments = ["advise", "--measurements", names["measurements.csv"], "--laws", names["score-log.json"]]
    assert main([*arguments, "--max-epochs", "1", "--output", names["a.json"], "--markdown", names["a.md"]]) == 1
    assert "no column pretraining_epochs" in capsys.readouterr().err


def test_two_rungs_fit_no_law_and_the_page_says_so(tmp_path):
    frame = table()
    advice, page = advise(tmp_path, frame[frame.pretraining_tokens.isin([0, RUNGS[0], RUNGS[1]])])
    assert advice["answers"][0]["forecast"] is None
    assert (
        "No law decides here: score-log cannot be fitted: 2 different values of pretraining_tokens, at least 3 are needed" in page
    )


def test_one_seed_gives_estimates_without_intervals(tmp_path):
    frame = table(seeds=1)
    advice, _ = advise(tmp_path, frame[frame.pretraining_tokens.isin([0, *RUNGS[:4]])])
    found = advice["answers"][0]
    assert found["measured"]["score"]["low"] is None
    assert found["measured"]["gain"]["estimate"] > 0


def test_laws_on_the_same_points_are_ranked_by_held_out_error(tmp_path):
    frame = table(
        law="transfer-gap", metric="cross_entropy", parameters=(1.0, 0.9, 60.0, 0.45, 0.12), scratch=None,
        finetuning_sizes=(1e4, 1e5, 1e6, 1e7), noise=Noise(0.002, 0.002),
    )  # fmt: skip
    laws = ("cross-entropy-power", "transfer-gap", "zhang-multiplicative", "zhang-additive")
    advice, page = advise(
        tmp_path,
        frame,
        laws,
        budget=1e6,
        pretraining_token_price=1e-4,
        finetuning_unit_price=0.05,
        metric="cross_entropy",
        worthwhile=0.01,
    )
    (group,) = [g for g in advice["laws"] if len(g["laws"]) == 3]
    assert group["laws"][0]["law"] == "transfer-gap"
    assert group["laws"][0]["delta_aicc"] == 0.0
    (split,) = advice["budget"]["splits"]
    truth = best_split(
        parameters=np.array([[1.0, 0.9, 60.0, 0.45, 0.12]]), budget=1e6, pretraining_token_price=1e-4, finetuning_unit_price=0.05
    )
    assert split["pretraining_tokens"]["low"] < truth.pretraining_tokens[0] < split["pretraining_tokens"]["high"]
    assert "## Budget" in page


def test_laws_of_another_table_are_refused(tmp_path, capsys):
    advise(tmp_path, table())
    table(parameters=(-6.8, 0.9, 1.6)).to_csv(tmp_path / "measurements.csv", index=False)
    assert main(
        ["advise", "--measurements", str(tmp_path / "measurements.csv"), "--laws", str(tmp_path / "score-log.json"), "--output",
         str(tmp_path / "a.json"), "--markdown", str(tmp_path / "a.md")]
    ) == 1  # fmt: skip
    assert "fitted to another table" in capsys.readouterr().err


def test_the_best_split_is_the_minimum_on_the_budget_line():
    e, g, a, alpha, beta = parameters = (1.0, 0.3, 60.0, 0.3, 0.12)
    split = best_split(parameters=np.array([parameters]), budget=1e5, pretraining_token_price=1e-5, finetuning_unit_price=0.01)
    tokens = np.geomspace(1e3, 0.999e10, 200_001)
    units = (1e5 - 1e-5 * tokens) / 0.01
    losses = (a * tokens**-alpha + g) * units**-beta + e
    assert split.loss[0] <= losses.min() * (1 + 1e-12)
    assert split.pretraining_tokens[0] == pytest.approx(tokens[losses.argmin()], rel=1e-3)


def test_without_a_gap_the_split_of_the_money_is_beta_to_alpha():
    split = best_split(
        parameters=np.array([[1.0, 0.0, 60.0, 0.3, 0.12]]), budget=1e5, pretraining_token_price=1e-5, finetuning_unit_price=0.01
    )
    assert (split.finetuning_units * 0.01) / (split.pretraining_tokens * 1e-5) == pytest.approx([0.12 / 0.3])


def test_without_transfer_everything_goes_to_fine_tuning():
    split = best_split(
        parameters=np.array([[1.0, 0.5, 0.0, 0.3, 0.12]]), budget=1e5, pretraining_token_price=1e-5, finetuning_unit_price=0.01
    )
    assert split.pretraining_tokens[0] == 0
    assert split.finetuning_units[0] == pytest.approx(1e7)
