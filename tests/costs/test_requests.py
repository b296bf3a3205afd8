"""What a profile asks for enters what the jobs ask for."""

from types import SimpleNamespace

import pytest
from snakemake.resources import Resources

from support.tiny import REPOSITORY, config
from transferlaws.config import overlay
from transferlaws.costs.estimate import Costs
from transferlaws.costs.jobs import Jobs
from transferlaws.costs.requests import Requests, requests
from transferlaws.costs.stage import read
from transferlaws.layout import Layout
from transferlaws.scheduling import grow

JOB = SimpleNamespace(model="nano", mixture="fr", task="en-de", finetuning_size="100", seed="1", law="score-log", corpus="en")


def asked(tmp_path, rules=None, defaults=None, **changes) -> Jobs:
    study = overlay(read([str(REPOSITORY / "config.yaml")]), {**config(tmp_path), **changes})
    return Jobs(Costs(Layout(study)), Requests(rules, defaults))


@pytest.mark.parametrize(
    ("resources", "processes", "gpus"),
    [
        ({}, 1, 0),
        ({"gpu": 4}, 4, 4),
        ({"gpu": "4"}, 4, 4),
        ({"gpu": 8, "nodes": 2}, 4, 4),
        ({"gres": "'gpu:a100:4'", "nodes": 2}, 4, 4),
        ({"gres": "'gpu'"}, 1, 1),
        ({"gres": "'lscratch:100,gpu:2'"}, 2, 2),
        ({"tasks": 4, "nodes": 2}, 2, 0),
        ({"nodes": 2}, 1, 0),
    ],
)
def test_a_job_starts_a_process_a_gpu_or_task(resources, processes, gpus):
    found = Requests({"pretrain": resources})
    assert (found.processes("pretrain"), found.gpus("pretrain")) == (processes, gpus)


def test_cores_and_memory_grow_with_the_processes(tmp_path):
    for device, resources, cores in (("h100", {"gpu": 4}, 4), ("cpu", {"tasks": 4}, 1)):
        one = asked(tmp_path, compute={"device": device})
        four = asked(tmp_path, {"pretrain": resources}, compute={"device": device})
        assert four.threads("pretrain")(JOB) == cores
        assert four.mem_mb("pretrain")(JOB, 1, 1) == pytest.approx(4 * one.mem_mb("pretrain")(JOB, 1, 1), abs=4)


def test_no_attempt_asks_for_more_than_the_profiles_limit(tmp_path):
    jobs = asked(tmp_path, {"pretrain": {"runtime_limit": 45}}, {"runtime_limit": 30, "mem_mb_limit": 7000})
    assert [jobs.runtime("pretrain")(JOB, 1, attempt) for attempt in (1, 2, 3)] == [20, 40, 45]
    assert jobs.runtime("corpus")(JOB, 1, 4) == 30
    assert [jobs.mem_mb("corpus")(JOB, 1, attempt) for attempt in (1, 2)] == [4000, 7000]


def test_answers_ask_for_little_and_by_the_number_of_curves(tmp_path):
    few = asked(tmp_path)
    for rule in ("fit", "advise", "figure", "summary", "score"):
        assert few.mem_mb(rule)(JOB, 1, 1) <= 1200
        assert few.runtime(rule)(JOB, 1, 1) <= 15
    many = asked(tmp_path, tasks={f"t{i}": {"kind": "translation", "bitext": "pairs", "pairs": [100]} for i in range(300)})
    for rule in ("fit", "advise", "summary", "score"):
        assert many.mem_mb(rule)(JOB, 1, 1) > 1.5 * few.mem_mb(rule)(JOB, 1, 1)


def test_numbers_of_a_profile_grow_with_the_attempt_and_stay_below_its_limit():
    rules = {"corpus": Resources.parse(["mem_mb=100", "runtime=min(5 * attempt, 9)", "runtime_limit=60"], allow_expressions=True)}
    rules["fit"] = Resources.parse(["runtime=40", "runtime_limit=60"], allow_expressions=True)
    settings = SimpleNamespace(overwrite_resources=rules, default_resources=None)
    for _ in range(2):  # a job parses what its Snakemake wrote
        grow(settings, requests(settings).growing())
    assert rules["corpus"]["mem_mb"].raw == "100 * attempt"
    assert rules["corpus"]["runtime"].raw == "min(5 * attempt, 9)"
    assert rules["fit"]["runtime"].raw == "min(40 * attempt, 60)"


def test_steps_shorter_than_the_queue_run_beside_snakemake(tmp_path):
    assert asked(tmp_path).beside_snakemake(0) == []
    text = ["bitext", "corpus", "vocabulary", "corpus_tokens", "bitext_tokens"]
    assert asked(tmp_path).beside_snakemake(5) == [*text, "score", "fit", "advise", "figure", "summary"]
    large = asked(tmp_path, pretraining={"ladder": ["250M", "500M", "1G"], "seeds": [1]}).beside_snakemake(5)
    assert "corpus" not in large and "bitext" in large
