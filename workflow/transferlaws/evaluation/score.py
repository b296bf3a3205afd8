"""Stage: the predictions of every curve -> `measurements.csv`, and per-sentence statistics. Imports no torch."""

import argparse
import io
import json
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
import pandas as pd
import zstandard
from typing_extensions import TypedDict

from transferlaws.errors import UserError
from transferlaws.evaluation.comet import Comet
from transferlaws.evaluation.expected import check_expected
from transferlaws.evaluation.metrics import Scorer
from transferlaws.evaluation.settings import ScoreSettings
from transferlaws.files import atomic, canonical_json, check_sha256, read_json, write_sums
from transferlaws.measurements.table import write_measurements
from transferlaws.options import add_json
from transferlaws.progress import Progress


class MixtureOf(TypedDict):
    """What a row says about its mixture: the share of each language, and the reports of its corpora."""

    languages: dict[str, int | float]
    reports: list[str]
    weights: NotRequired[dict[str, int | float]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the stage."""
    add_json(parser, "--settings", ScoreSettings, required=True, help="the score settings")
    parser.add_argument("--study", required=True, metavar="NAME")
    parser.add_argument("--evaluations", nargs="+", required=True, metavar="DIR", help="folders that the evaluate stage wrote")
    add_json(
        parser,
        "--tasks",
        dict[str, dict[str, str]],
        required=True,
        help='task -> {"data": folder of its bitext or corpus, "source": language, "target": language}',
    )
    add_json(
        parser,
        "--mixtures",
        dict[str, MixtureOf],
        required=True,
        help='mixture -> {"languages": {language: share}, "reports": [report.json of its corpora], "weights": {corpus: share}}; '
        "scratch may be left out, weights too",
    )
    add_json(
        parser,
        "--expected",
        dict[str, Any],
        help="the curves, seeds, ladder and settings of the study: others are refused; left out: any",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="measurements.csv")
    parser.add_argument("--sentences", required=True, metavar="FILE", help="sentences.parquet")


def run(arguments: argparse.Namespace) -> None:
    """Score every curve."""
    settings: ScoreSettings = arguments.settings
    comet = Comet(settings.comet) if settings.comet else None
    tasks = {name: Task(name, value, settings, comet) for name, value in arguments.tasks.items()}
    mixtures, expected = arguments.mixtures, arguments.expected
    rows, sentences = [], []
    with Progress("score", len(arguments.evaluations), "curves") as progress:
        for folder in map(Path, arguments.evaluations):
            evaluation = read_json(folder / "evaluation.json")
            if expected:
                check_expected(evaluation, expected, folder / "evaluation.json")
            check_sha256(folder / "predictions.parquet", evaluation["predictions_sha256"], folder / "evaluation.json")
            if evaluation["task"] not in tasks:
                raise UserError(f"{folder / 'evaluation.json'}: task {evaluation['task']!r} is not in --tasks {sorted(tasks)}.")
            predictions = pd.read_parquet(folder / "predictions.parquet")
            mixture = mixtures.get(evaluation["mixture"], {"languages": {}, "reports": []})
            more = curve_rows(evaluation, predictions, tasks[evaluation["task"]], mixture)
            rows += [{"study": arguments.study, **row} for row, _ in more]
            sentences += [frame for _, frame in more]
            progress.update(1)
    write_measurements(rows, arguments.output)
    with atomic(arguments.sentences) as temporary:
        pd.concat(sentences, ignore_index=True).to_parquet(temporary, index=False)
    written = [Path(arguments.output), Path(arguments.sentences)]
    for folder in {path.parent for path in written}:
        write_sums(folder, [path.name for path in written if path.parent == folder])


class Task:
    """A task's references, and the scorer that holds them."""

    def __init__(self, name: str, value: dict, settings: ScoreSettings, comet: Comet | None = None) -> None:
        self.name, self.folder = name, Path(value["data"])
        self.source, self.target = value.get("source"), value.get("target")
        self.report = read_json(self.folder / "report.json")
        self.settings, self.comet = settings, comet
        self._scorers: dict[int, Scorer] = {}
        path = self.folder / ("test.jsonl.zst" if self.report["kind"] == "bitext" else "documents.jsonl.zst")
        self.sha256 = self.report["files"][path.name]
        check_sha256(path, self.sha256, self.folder / "report.json")
        self.sources, self.references = [], []
        if self.report["kind"] == "bitext":
            with open(path, "rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
                for line in io.TextIOWrapper(stream, encoding="utf-8"):
                    pair = json.loads(line)
                    self.sources.append(pair["source"])
                    self.references.append(pair["target"])

    def scorer(self, count: int) -> Scorer:
        """Of the first `count` references."""
        if count > len(self.references):
            raise UserError(
                f"task {self.name}: {count} predictions, but {self.folder} has {len(self.references)} test pairs. Evaluate again."
            )
        if count not in self._scorers:
            self._scorers[count] = Scorer(self.references[:count], self.settings, self.target)
        return self._scorers[count]

    def alignment(self, languages: dict[str, float]) -> float | None:
        """Isik et al. 2024 (arXiv 2402.04177), eq. 2: P_source P_target + 0.7 P_source + 0.8 P_target, P a language's share."""
        if self.source is None or not languages:
            return None
        source, target = languages.get(self.source, 0.0), languages.get(self.target, 0.0)
        return source * target + 0.7 * source + 0.8 * target

    def removed(self, reports: list[str]) -> int:
        """Training and pretraining items that were removed for an overlap with this task's dev or test items."""
        total = 0
        for report in [self.report, *map(read_json, reports)]:
            for where, counts in report.get("contamination", {}).items():
                if where.rpartition(".")[0] == self.report["name"]:
                    total += counts["documents"]
        return total


def curve_rows(evaluation: dict, predictions: pd.DataFrame, task: Task, mixture: dict) -> list[tuple[dict, pd.DataFrame]]:
    """A measurement and its per-sentence statistics for every (seed, rung) of one curve."""
    curve = evaluation["curve"]
    head = {name: curve[name] for name in ("task", "kind", "model", "mixture", "finetuning_size")}
    head |= {name: curve[name] for name in ("parameters_non_embedding", "parameters_total")}
    head["finetuning_unit"] = "pairs" if curve["kind"] == "translation" else "tokens"
    head["alignment"] = task.alignment(mixture["languages"])
    head["contamination_removed"] = task.removed(mixture["reports"])
    if weights := mixture.get("weights"):
        head["mixture_weights"] = canonical_json(weights)
    groups = dict(list(predictions.query("split == 'test'").groupby(["seed", "pretraining_tokens"])))
    result = []
    for replica in curve["replicas"]:
        test = groups[replica["seed"], replica["pretraining_tokens"]].sort_values("index")
        scores, statistics = _scores(test, task) if curve["kind"] == "translation" else ({}, {})
        nats = test["nll"].sum()
        row = head | _pretraining(replica) | _finetuning(replica) | scores
        row |= {
            "cross_entropy": nats / test["tokens"].sum(),
            "cross_entropy_per_character": nats / test["characters"].sum(),
            "test_items": len(test),
            "test_tokens": int(test["tokens"].sum()),
            "test_sha256": task.sha256,
        }
        if curve["kind"] == "translation":
            row |= _cut(curve, replica, evaluation["cut"]["test"], test)
        frame = test[["seed", "pretraining_tokens", "index", "nll", "tokens", "characters"]].assign(
            **{name: head[name] for name in ("task", "model", "mixture", "finetuning_size")}, **statistics
        )
        result.append((row, frame))
    return result


def _cut(curve: dict, replica: dict, counts: dict, test: pd.DataFrame) -> dict:
    """What limits of length took away, split by split."""
    row = {f"finetuning_{name}": replica["cut"][name] for name in ("sources_cut", "targets_cut")}
    row |= {f"dev_{name}": curve["dev_cut"][name] for name in ("sources_cut", "targets_cut")}
    row |= {f"test_{name}": counts[name] for name in ("sources_cut", "targets_cut", "references_cut")}
    return row | {"test_hypotheses_cut": int(test["hypothesis_cut"].sum())}


def _scores(test: pd.DataFrame, task: Task) -> tuple[dict, dict]:
    bleu, chrf = task.scorer(len(test)).score(test["hypothesis"].tolist())
    row = {"bleu": bleu.value, "bleu_noise": bleu.noise, "bleu_signature": bleu.signature}
    row |= {"chrf": chrf.value, "chrf_noise": chrf.noise, "chrf_signature": chrf.signature}
    statistics = {"bleu_statistics": list(bleu.statistics), "chrf_statistics": list(chrf.statistics)}
    if task.comet:
        each = task.comet.score(task.sources[: len(test)], test["hypothesis"].tolist(), task.references[: len(test)])
        noise = float((task.scorer(len(test)).resamples @ each / len(each)).std(ddof=1))
        row |= {"comet": float(each.mean()), "comet_noise": noise, "comet_signature": task.comet.signature}
        statistics["comet"] = each
    return row, statistics


def _pretraining(replica: dict) -> dict:
    rung = replica["pretraining"] or {}
    row = {"seed": replica["seed"], "pretraining_tokens": replica["pretraining_tokens"]}
    unknown = None if rung else 0  # an adopted checkpoint does not say how it was made
    row |= {
        f"pretraining_{name}": rung.get(name, unknown) for name in ("steps", "positions", "characters", "unique_tokens", "flops")
    }
    row["pretraining_epochs"] = max(rung["epochs"].values()) if rung.get("epochs") else unknown
    row["annealed"] = rung.get("annealed", None if rung else False)
    row["upstream_cross_entropy"] = rung.get("upstream_cross_entropy", np.nan)
    return row


def _finetuning(replica: dict) -> dict:
    names = ("pairs", "tokens", "positions", "characters", "epochs", "flops")
    row = {f"finetuning_{name}": replica[name] for name in names}
    row["finetuning_steps"], row["finetuning_stopped"] = replica["best_step"], replica["stopped"]
    return row | {name: replica[name] for name in ("learning_rate", "dev_cross_entropy", "status")}
