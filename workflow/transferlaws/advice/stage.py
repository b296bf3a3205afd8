"""Stage `advise`: a measurement table and fitted laws -> answers per mixture, comparisons of mixtures and of laws."""

import argparse

import pandas as pd

import transferlaws
from transferlaws.advice.budget import model_size, no_split, splits
from transferlaws.advice.comparison import compare, compare_laws
from transferlaws.advice.context import Context, deciding_metric, with_worthwhile
from transferlaws.advice.decide import answer
from transferlaws.advice.forecast import Candidate, standing
from transferlaws.advice.page import page
from transferlaws.advice.settings import AdviceSettings
from transferlaws.errors import UserError
from transferlaws.files import atomic, read_json, sha256, write_json
from transferlaws.laws.estimate import Fitted, Unfitted
from transferlaws.laws.groups import groups_of
from transferlaws.laws.protocols import resolve
from transferlaws.laws.registry import LAWS, fit_table
from transferlaws.laws.settings import FitSettings
from transferlaws.measurements.columns import SCORES
from transferlaws.measurements.means import TableMeans
from transferlaws.measurements.table import read_measurements
from transferlaws.measurements.test_noise import with_sentences
from transferlaws.options import add_json

SCHEMA = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `transferlaws advise`."""
    parser.add_argument("--measurements", required=True, help="measurements.csv that the laws were fitted to")
    parser.add_argument("--laws", required=True, nargs="*", help="files that `transferlaws fit` wrote")
    parser.add_argument("--sentences", help="sentences.parquet, if the laws were fitted with it")
    parser.add_argument(
        "--max-epochs",
        type=float,
        help="most passes over any corpus, as in pretraining.max_epochs; left out: text repeats without end",
    )
    add_json(parser, "--settings", AdviceSettings, default="{}", help="advice settings; see docs/laws.md")
    parser.add_argument("--output", required=True, help="advice.json")
    parser.add_argument("--markdown", required=True, help="advice.md")


def run(arguments: argparse.Namespace) -> None:
    """Write the advice as JSON and as a page."""
    settings: AdviceSettings = arguments.settings
    table = read_measurements(arguments.measurements)
    if arguments.sentences:
        table = with_sentences(table, arguments.sentences)
    if arguments.max_epochs is not None and "pretraining_epochs" not in table.columns:
        raise UserError(
            f"{arguments.measurements}: no column pretraining_epochs, so --max-epochs cannot say where text ends. Leave it out."
        )
    documents = {}
    for path in arguments.laws:
        document = read_json(path)
        if "fits" not in document or document.get("law") not in LAWS:
            raise UserError(f"{path}: not a fit. Pass the files that `transferlaws fit` wrote.")
        if document["provenance"]["measurements_sha256"] != sha256(arguments.measurements):
            raise UserError(f"{path}: was fitted to another table than {arguments.measurements}. Fit it again.")
        documents[document["law"]] = document
    advice = {
        "schema": SCHEMA,
        "settings": settings.model_dump(),
        "provenance": {
            "version": transferlaws.__version__,
            "measurements": str(arguments.measurements),
            "measurements_sha256": sha256(arguments.measurements),
        },
        **_answers(table, documents, settings, arguments.max_epochs),
        "laws": compare_laws(documents),
        "budget": _budget(table, documents, settings),
        "model_size": model_size(documents),
    }
    write_json(arguments.output, advice)
    with atomic(arguments.markdown) as temporary:
        temporary.write_text(page(advice), encoding="utf-8")


def _fitted(table: pd.DataFrame, document: dict, metric: str | None = None) -> list[tuple[Fitted | Unfitted, dict]]:
    """Every curve of a law document with its bootstrap, which the document does not hold: the same settings give the same draws."""
    law, settings = LAWS[document["law"]], FitSettings.model_validate(document["protocol"])
    results = fit_table(table, law=law, settings=settings)
    pairs = zip(results, document["fits"], strict=True)
    return [(result, report) for result, report in pairs if metric in (None, report["metric"])]


def _answers(table: pd.DataFrame, documents: dict, settings: AdviceSettings, max_epochs: float | None) -> dict:
    answers, comparisons, notes = [], [], []
    means = TableMeans(table)
    for task, rows in table.groupby("task"):
        metric, said = deciding_metric(rows, settings)
        own_settings = with_worthwhile(settings, metric, rows[metric].dropna())
        if settings.worthwhile is None:
            said = [*said, f"{task}: a gain of {own_settings.worthwhile:g} in {metric} is called worthwhile"]
        notes += said
        name = "score-log" if metric in SCORES else "cross-entropy-power"
        candidates = [c for c in _candidates(table, documents, name, metric) if c.key["task"] == task]
        for model in sorted({c.key["model"] for c in candidates}):
            own = [c for c in candidates if c.key["model"] == model]
            context = Context(means.of(task=task, model=model, metric=metric), own_settings, max_epochs)
            for size in sorted({float(c.key["finetuning_size"]) for c in own}):
                measured = [c for c in own if c.key["finetuning_size"] == size and context.means.rungs(c.key["mixture"], size)]
                rivals, pairs = [standing(c, context) for c in measured], compare(context, size)
                answers += [answer(one, rivals, pairs, context) for one in rivals]
                if metric in SCORES and _measured(rows, "cross_entropy"):
                    # a small test set's score is the noisier witness by far
                    pairs = pairs + compare(Context(means.of(task=task, model=model, metric="cross_entropy"), settings), size)
                comparisons += [{"task": task, "model": model, **pair} for pair in pairs]
    return {"notes": notes, "answers": answers, "comparisons": comparisons}


def _measured(rows: pd.DataFrame, metric: str) -> bool:
    return metric in rows.columns and bool(rows[metric].notna().any())


def _candidates(table: pd.DataFrame, documents: dict, name: str, metric: str) -> list[Candidate]:
    """Every curve of a metric with its law; without a forecast where the law was not fitted to the metric."""
    law = LAWS[name]
    if name in documents and any(fit["metric"] == metric for fit in documents[name]["fits"]):
        return [Candidate(law, result, report) for result, report in _fitted(table, documents[name], metric)]
    reason = f"{name} was not fitted to {metric}"
    groups = groups_of(table, law=law, metric=metric, settings=resolve(law, FitSettings()))
    report = {"status": None, "held_out": None, "verdict": {"text": f"{reason}."}}
    return [Candidate(law, Unfitted(group, reason), report) for group in groups]


def _budget(table: pd.DataFrame, documents: dict, settings: AdviceSettings) -> dict:
    reason = no_split(documents, settings)
    return {"splits": [], "reason": reason} if reason else splits(_fitted(table, documents["transfer-gap"]), settings)
