"""Stage `advise`: a measurement table and fitted laws -> answers per mixture, comparisons of mixtures and of laws."""

import argparse

import pandas as pd

import transferlaws
from transferlaws.errors import UserError
from transferlaws.files import atomic, read_json, sha256, write_json
from transferlaws.laws.advice import answer
from transferlaws.laws.allocation import best_split
from transferlaws.laws.comparison import compare
from transferlaws.laws.context import Context, context_of
from transferlaws.laws.estimate import Fitted, Unfitted, fit_groups
from transferlaws.laws.forecast import Candidate, standing
from transferlaws.laws.markdown import page
from transferlaws.laws.measured import Quantity
from transferlaws.laws.protocols import resolve
from transferlaws.laws.registry import LAWS
from transferlaws.laws.settings import AdviceSettings, FitSettings
from transferlaws.laws.shared_noise import with_sentences
from transferlaws.laws.table import LOSSES, SCORES, groups_of, metrics_of, read_measurements
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
        "model_size": _model_size(documents),
    }
    write_json(arguments.output, advice)
    with atomic(arguments.markdown) as temporary:
        temporary.write_text(page(advice), encoding="utf-8")


def _metric(table: pd.DataFrame, settings: AdviceSettings) -> tuple[str, list[str]]:
    """The metric that decides for a task's rows, and what must be said about the choice.

    Without a metric in the settings it is the first score of the table that is positive in every row, because a score of 0 has no
    logarithm and a mean without the zeros would flatter.
    """
    task = table.task.iloc[0]
    if "status" in table.columns:
        table = table[table.status.astype(str) != "diverged"]
    present = [m for m in (*SCORES, "cross_entropy") if m in table.columns and table[m].notna().any()]
    zeros = {m: table.row[table[m] <= 0].tolist() for m in present}
    metric = settings.metric or next((m for m in present if not zeros[m]), next(iter(present), None))
    if metric is None or metric not in table.columns or not table[metric].notna().any():
        wanted = metric or " or ".join((*SCORES, "cross_entropy"))
        raise UserError(f"metric: task {task} has no value of {wanted} to decide by. Set the advice's metric.")
    if metric not in SCORES and metric not in LOSSES:
        raise UserError(f"metric: {metric!r} is neither a score ({', '.join(SCORES)}) nor a loss ({', '.join(LOSSES)}).")
    notes = [
        f"{task}: {m} is 0 in row {_some(zeros[m])}, so {metric} decides" for m in present[: present.index(metric)] if zeros[m]
    ]
    if zeros.get(metric):
        notes.append(f"{task}: {metric} is 0 in row {_some(zeros[metric])}; means leave these rows out and flatter")
    return metric, notes


def _some(rows: list[int]) -> str:
    return ", ".join(map(str, rows[:5])) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def _fitted(table: pd.DataFrame, document: dict, metric: str | None = None) -> list[tuple[Fitted, dict]]:
    """Every curve of a law document with its bootstrap, which the document does not hold: the same settings give the same draws."""
    law, settings = LAWS[document["law"]], FitSettings.model_validate(document["protocol"])
    groups = [
        group
        for name in metrics_of(table, law, settings.metrics)
        for group in groups_of(table, law=law, metric=name, settings=settings)
    ]
    results = fit_groups(groups, law=law, settings=settings)
    pairs = zip(results, document["fits"], strict=True)
    return [(result, report) for result, report in pairs if metric in (None, report["metric"])]


def _answers(table: pd.DataFrame, documents: dict, settings: AdviceSettings, max_epochs: float | None) -> dict:
    answers, comparisons, notes = [], [], []
    for task, rows in table.groupby("task"):
        metric, said = _metric(rows, settings)
        notes += said
        name, direction = ("score-log", 1) if metric in SCORES else ("cross-entropy-power", -1)
        candidates = [c for c in _candidates(table, documents, name, metric) if c.key["task"] == task]
        for model in sorted({c.key["model"] for c in candidates}):
            own = [c for c in candidates if c.key["model"] == model]
            aims = {"settings": settings, "max_epochs": max_epochs}
            context = context_of(table, task=task, model=model, metric=metric, direction=direction, **aims)
            for size in sorted({float(c.key["finetuning_size"]) for c in own}):
                measured = [c for c in own if c.key["finetuning_size"] == size and context.rungs(c.key["mixture"], size)]
                rivals, pairs = [standing(c, context) for c in measured], compare(context, size)
                answers += [answer(one, rivals, pairs, context) for one in rivals]
                comparisons += [{"task": task, "model": model, **pair} for pair in pairs]
                comparisons += [{"task": task, "model": model, **pair} for pair in _by_loss(rows, context, size, task, model)]
    return {"notes": notes, "answers": answers, "comparisons": comparisons}


def _by_loss(rows: pd.DataFrame, context: Context, size: float, task: str, model: str) -> list[dict]:
    """The comparisons by cross-entropy, beside those by a score: a small test set's score is the noisier witness by far."""
    if context.metric not in SCORES or "cross_entropy" not in rows.columns or not rows.cross_entropy.notna().any():
        return []
    loss = context_of(rows, task=task, model=model, metric="cross_entropy", direction=-1, settings=context.settings)
    return compare(loss, size)


def _candidates(table: pd.DataFrame, documents: dict, name: str, metric: str) -> list[Candidate]:
    """Every curve of a metric with its law; without a forecast where the law was not fitted to the metric."""
    law = LAWS[name]
    if name in documents and any(fit["metric"] == metric for fit in documents[name]["fits"]):
        return [Candidate(law, result, report) for result, report in _fitted(table, documents[name], metric)]
    reason = f"{name} was not fitted to {metric}"
    groups = groups_of(table, law=law, metric=metric, settings=resolve(law, FitSettings()))
    report = {"status": "too-few-points", "held_out": None, "verdict": {"text": f"{reason}."}}
    return [Candidate(law, Unfitted(group, reason), report) for group in groups]


def compare_laws(documents: dict) -> list[dict]:
    """Laws fitted to the same points of the same metric, ordered by held-out error, then AICc."""
    same: dict[tuple, list[dict]] = {}
    for name, document in documents.items():
        for fit in document["fits"]:
            rows = tuple(tuple(sorted(p["row"] for p in fit["points"] if p["role"] == role)) for role in ("fit", "held-out"))
            entry = {"law": name, "status": fit["status"], "are": (fit["held_out"] or {}).get("are"), "aicc": fit.get("aicc")}
            same.setdefault((fit["metric"], rows), []).append(entry | {"group": fit["group"]})
    found = []
    for (metric, _), entries in same.items():
        usable = [e for e in entries if e["status"] != "too-few-points"]
        if len(usable) < 2:
            continue
        best = min((e["aicc"] for e in usable if e["aicc"] is not None), default=None)
        laws = [
            {k: e[k] for k in ("law", "status", "are", "aicc")}
            | {"delta_aicc": None if best is None or e["aicc"] is None else e["aicc"] - best}
            for e in sorted(usable, key=lambda e: (_last(e["are"]), _last(e["aicc"])))
        ]
        found.append({"group": usable[0]["group"], "metric": metric, "laws": laws})
    return found


def _last(value: float | None) -> float:
    return float("inf") if value is None else value


def _budget(table: pd.DataFrame, documents: dict, settings: AdviceSettings) -> dict:
    """Paper B's split of the budget, for every curve that the transfer-gap law was fitted to."""
    missing = [k for k in ("budget", "pretraining_token_price", "finetuning_unit_price") if getattr(settings, k) is None]
    if missing:
        return {"splits": [], "reason": f"not set: {', '.join(missing)}"}
    if "transfer-gap" not in documents:
        return {"splits": [], "reason": "the transfer-gap law was not fitted"}
    splits = []
    for result, report in _fitted(table, documents["transfer-gap"]):
        if not isinstance(result, Fitted) or report["status"] in ("rejected", "not-converged"):
            continue
        form, curve = LAWS["transfer-gap"].form, result.curve
        prices = settings.model_dump(include={"budget", "pretraining_token_price", "finetuning_unit_price"})
        point = best_split(parameters=form.natural(curve.fit.theta[None], curve.design), **prices)
        draws = best_split(parameters=form.natural(result.draws.thetas, curve.design), **prices)
        quantities = {
            name: Quantity(float(getattr(point, name)[0]), getattr(draws, name)).json(settings.confidence)
            for name in ("pretraining_tokens", "finetuning_units", "loss")
        }
        x = curve.sample.x
        beyond = [
            name
            for j, name in enumerate(("pretraining_tokens", "finetuning_units"))
            if not x[:, j].min() / 4 <= quantities[name]["estimate"] <= 4 * x[:, j].max()
        ]
        splits.append({"group": report["group"], **quantities, "beyond_measured": beyond})
    return {"splits": splits, "reason": "" if splits else "no curve determines the transfer-gap law"}


def _model_size(documents: dict) -> list[dict]:
    """Paper C: how much larger a model would have to be to be worth ten times the fine-tuning data."""
    fits = documents.get("effective-data", {"fits": []})["fits"]
    return [
        {"group": fit["group"], "status": fit["status"], **fit["parameters"]["model_size_for_10x_data"]}
        for fit in fits
        if fit["status"] != "too-few-points"
    ]
