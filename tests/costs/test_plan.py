"""What a study costs, against numbers worked out by hand, and what its jobs then ask for."""

import csv
import json
from types import SimpleNamespace

import hypothesis
import hypothesis.strategies as st
import pytest
import tokenizers

from support.tiny import REPOSITORY, config
from transferlaws.cli import main
from transferlaws.costs.estimate import Costs
from transferlaws.costs.jobs import Jobs
from transferlaws.costs.stage import read
from transferlaws.errors import UserError
from transferlaws.layout import Curve, Layout
from transferlaws.training.settings import FinetuningSettings

PAPER = [str(REPOSITORY / "config.yaml"), str(REPOSITORY / "studies" / "isik-paper-scale.yaml")]


def tiny(tmp_path, **changes) -> Costs:
    (tmp_path / "overlay.json").write_text(json.dumps(config(tmp_path / "data")))
    study = read([str(REPOSITORY / "config.yaml"), str(tmp_path / "overlay.json")])
    for key, values in changes.items():
        study[key] = {**study.get(key, {}), **values}
    return Costs(Layout(study))


def test_pretraining_operations_are_close_to_six_a_parameter_and_token():
    costs = Costs(Layout(read(PAPER)))
    cost = costs.pretrain("T5-3B")
    parameters = costs.study.models["T5-3B"].parameters_non_embedding
    # encoder and decoder each hold half: the encoder sees about 0.9 of a token's positions, the decoder 0.2
    assert cost.tokens == 131_072e6
    share = cost.flops / (6 * parameters * cost.tokens)
    assert 0.5 < share < 0.75


def test_a_ladder_twice_as_long_costs_twice_as_much(tmp_path):
    once = tiny(tmp_path).pretrain("nano")
    twice = tiny(tmp_path, pretraining={"ladder": [1000, 2000, 4000, 16000]}).pretrain("nano")
    assert twice.flops == pytest.approx(2 * once.flops)
    assert twice.seconds == pytest.approx(2 * once.seconds)


def test_decay_branches_are_counted(tmp_path):
    trunk, annealed = tiny(tmp_path), tiny(tmp_path, pretraining={"anneal": 0.2})
    assert annealed.pretrain("nano").tokens == pytest.approx(trunk.pretrain("nano").tokens + 0.2 * (1000 + 2000 + 4000 + 8000))


def test_a_curve_counts_rungs_seeds_and_rates_and_scratch_one_rung(tmp_path):
    costs = tiny(tmp_path)
    assert (
        costs.finetune(Curve("nano", "fr", "en-de", 100)).flops == 4 * costs.finetune(Curve("nano", "scratch", "en-de", 100)).flops
    )
    more = tiny(tmp_path, finetuning={"learning_rates": [0.01, 0.02, 0.03, 0.04]})
    assert more.finetune(Curve("nano", "fr", "en-de", 100)).flops == 2 * costs.finetune(Curve("nano", "fr", "en-de", 100)).flops


def test_small_sets_stop_at_their_epochs(tmp_path):
    few, many = tiny(tmp_path, finetuning={"max_epochs": 1}), tiny(tmp_path, finetuning={"max_epochs": 2})
    curve = Curve("nano", "fr", "en-de", 100)  # 100 pairs are 4 batches of 32
    assert few.finetune(curve).tokens == 4 * 32 * 32
    assert many.finetune(curve).tokens == 8 * 32 * 32


def test_a_corpus_must_hold_what_the_greediest_mixture_reads(tmp_path):
    costs = tiny(tmp_path)
    assert costs.corpus_tokens("en") == 4000  # half of 8,000
    assert costs.corpus_tokens("fr") == 8000


def test_a_tokenizer_taken_over_counts_with_its_own_size(tmp_path):
    ids = {token: i for i, token in enumerate(["<pad>", "</s>", *(f"word{i}" for i in range(998)), "<extra_id_0>", "<extra_id_1>"])}
    tokenizers.Tokenizer(tokenizers.models.WordLevel(ids)).save(str(tmp_path / "tokenizer.json"))
    trained = tiny(tmp_path, vocabulary={"size": 1024})
    for model in (tmp_path, tmp_path / "tokenizer.json"):
        taken = tiny(tmp_path, vocabulary={"size": 384, "model": str(model)})
        assert taken.vocabulary == 1024  # 1,002 ids, up to a multiple of 64
        assert taken.pretrain("nano") == trained.pretrain("nano")
    assert tiny(tmp_path, vocabulary={"size": 384, "model": "someone/tokenizer@abc"}).vocabulary == 384
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match=r"tokenizer\.json: no readable tokenizer\.json"):
        tiny(tmp_path, vocabulary={"model": str(tmp_path)})


def test_memory_and_time_grow_with_every_attempt(tmp_path):
    costs = Jobs(tiny(tmp_path))
    job = SimpleNamespace(model="nano", mixture="fr", task="en-de", finetuning_size="100", seed="1", law="score-log")
    for rule in ("pretrain", "finetune", "evaluate", "vocabulary", "score", "fit", "advise", "figure", "summary"):
        for ask in (costs.mem_mb(rule), costs.runtime(rule)):
            assert ask(job, threads=1, attempt=2) == 2 * ask(job, threads=1, attempt=1) > 0
    data = SimpleNamespace(corpus="en", bitext="pairs")
    for rule in ("corpus", "corpus_tokens", "bitext", "bitext_tokens"):
        assert costs.runtime(rule)(data, threads=1, attempt=1) > 0


def test_a_curve_on_a_cpu_asks_for_a_core_a_group_and_says_what_it_costs(tmp_path):
    changes = {"finetuning": {"learning_rates": [0.01, 0.02, 0.03], "max_steps": 10_000, "max_epochs": 10_000}}
    costs = tiny(tmp_path, **changes)
    curve = Curve("nano", "fr", "en-de", 100)  # 2 seeds x 4 rungs, 4 starts x 3 rates at once
    job = SimpleNamespace(model="nano", mixture="fr", task="en-de", finetuning_size="100")
    jobs = Jobs(costs)
    assert jobs.threads("finetune")(job) == 2
    one, two = costs.finetune(curve, 1), costs.finetune(curve)
    assert two.seconds == pytest.approx(one.seconds / 2)
    assert two.seconds * two.devices == pytest.approx(one.seconds * one.devices)
    assert two.device_bytes == 2 * one.device_bytes
    assert costs.finetune(curve, 8) == two
    minutes, mem_mb = (ask("finetune") for ask in (jobs.runtime, jobs.mem_mb))
    assert minutes(job, threads=2, attempt=1) < minutes(job, threads=1, attempt=1)
    assert mem_mb(job, threads=2, attempt=1) == pytest.approx(2 * mem_mb(job, threads=1, attempt=1), abs=1)
    assert Jobs(tiny(tmp_path, **changes, compute={"device": "h100"})).threads("finetune")(job) == 1


@hypothesis.settings(deadline=None)
@hypothesis.given(starts=st.integers(0, 200), rates=st.integers(1, 5), group=st.integers(0, 20), data=st.data())
def test_groups_of_a_curve_are_alike_and_those_that_are_left_stay_as_they_are(starts, rates, group, data):
    settings = FinetuningSettings(learning_rates=[0.1 * (rate + 1) for rate in range(rates)], group=group)
    groups = settings.groups(starts, on_cpu=True)
    assert sum(groups) == starts
    assert max(groups, default=0) - min(groups, default=0) <= 1
    assert max(groups, default=0) * rates <= max(group or 12, rates)
    left = [size for size in groups if data.draw(st.booleans())]
    assert settings.groups(sum(left), on_cpu=True) == left


def test_faster_devices_take_less_time(tmp_path):
    hours = [tiny(tmp_path, compute={"device": device, "mfu": 0.3}).pretrain("nano").seconds for device in ("cpu", "a100", "h100")]
    assert hours[0] > hours[1] > hours[2]
    assert tiny(tmp_path, compute={"devices": 4}).pretrain("nano").seconds == pytest.approx(
        tiny(tmp_path).pretrain("nano").seconds / 4
    )


def test_the_papers_scale_is_planned_as_text_and_csv(tmp_path):
    assert main(["plan", *PAPER, "--csv", str(tmp_path / "plan.csv"), "--text", str(tmp_path / "plan.txt")]) == 0
    rows = {row["stage"]: row for row in csv.DictReader((tmp_path / "plan.csv").open())}
    assert rows["pretrain"]["jobs"] == "9"
    assert float(rows["pretrain"]["flops"]) == pytest.approx(1.2e22, rel=0.2)
    assert 8e3 < float(rows["pretrain"]["device_hours"]) < 2e4
    assert float(rows["corpus"]["download_bytes"]) > 1e12
    assert "WARNING: finetune" not in (tmp_path / "plan.txt").read_text()


def test_what_does_not_fit_the_device_is_said(tmp_path, capsys):
    (tmp_path / "together.yaml").write_text("finetuning: {group: 5}\n")
    assert main(["plan", *PAPER, str(tmp_path / "together.yaml")]) == 0
    assert "WARNING: finetune T5-3B needs 333 GB on a device of 80 GB" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "message"), [(None, "no such file"), ("a: [", "not valid YAML"), ("- a", "expected keys")])
def test_a_broken_config_is_named(tmp_path, capsys, text, message):
    path = tmp_path / "broken.yaml"
    if text is not None:
        path.write_text(text)
    assert main(["plan", str(path)]) == 1
    error = capsys.readouterr().err
    assert str(path) in error
    assert message in error
