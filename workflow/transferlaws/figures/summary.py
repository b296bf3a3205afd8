"""Stage `summary`: one self-contained page from which a reader can say what helps, by how much, and how sure that is."""

import argparse
import base64
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from transferlaws import __version__
from transferlaws.errors import UserError
from transferlaws.figures import answers, overview, style
from transferlaws.figures.inputs import LEVEL, PANEL, Fit, read_fits, read_table
from transferlaws.figures.page import render
from transferlaws.figures.settings import FigureSettings
from transferlaws.files import atomic, read_json, sha256
from transferlaws.format import count, percent, short_number
from transferlaws.measurements.significance import definitions
from transferlaws.measurements.table import diverged
from transferlaws.measurements.test_noise import with_sentences


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `transferlaws summary`."""
    parser.add_argument("--measurements", required=True, metavar="CSV", help="measurements.csv")
    parser.add_argument("--laws", nargs="*", default=[], metavar="JSON", help="fits written by `transferlaws fit`")
    parser.add_argument("--advice", metavar="JSON", help="advice.json written by `transferlaws advise`")
    parser.add_argument("--sentences", metavar="PARQUET", help="sentences.parquet, if the advice was given with it")
    parser.add_argument("--study", metavar="JSON", help="study.json: the resolved study")
    parser.add_argument("--reports", nargs="*", default=[], metavar="JSON", help="report.json of every corpus and bitext")
    parser.add_argument("--output", required=True, metavar="HTML")


def run(arguments: argparse.Namespace) -> None:
    """Write the page."""
    table = read_table(arguments.measurements)
    fits = read_fits(arguments.laws, arguments.measurements)
    study = read_json(arguments.study) if arguments.study else {}
    level, advice = read_advice(arguments.advice) if arguments.advice else (LEVEL, [])
    # the noise and the level of the advice: the page cannot say another thing than it
    found = answers.blocks(with_sentences(table, arguments.sentences) if arguments.sentences else table, fits, level)
    if not found:
        raise UserError(f"{arguments.measurements}: no pretrained row has a value in {', '.join(answers.NAMES)}.")
    for block in found:
        block["advice"] = [entry for entry in advice if all(entry[key] == value for key, value in block["keys"].items())]
    context = {
        "study": study.get("study") or _only(table, "study") or "unnamed",
        "version": __version__,
        "rows": len(table),
        "sha256": sha256(arguments.measurements),
        "blocks": found,
        "image": image(table, fits),
        "remarks": remarks(table, level),
        "measured": measured(table),
        "mixtures": [{"name": name, "weights": _counts(weights)} for name, weights in study.get("mixtures", {}).items()],
        "data": [data(read_json(path), path) for path in arguments.reports],
        "laws": [law(read_json(path), read_fits([path], arguments.measurements)) for path in arguments.laws],
        "resolved": json.dumps(study, indent=1, ensure_ascii=False) if study else "",
    }
    with atomic(arguments.output) as temporary:
        temporary.write_text(render(context), encoding="utf-8", errors="replace")


CUT = {
    "finetuning_sources_cut": ("fine-tuning sources", "finetuning_pairs"),
    "finetuning_targets_cut": ("fine-tuning targets", "finetuning_pairs"),
    "test_sources_cut": ("test sources", "test_items"),
    "test_targets_cut": ("test targets", "test_items"),
    "test_references_cut": ("references that no hypothesis can reach", "test_items"),
    "test_hypotheses_cut": ("hypotheses", "test_items"),
}


def cut_off(table: pd.DataFrame) -> list[str]:
    """A sentence a task on what limits of length took away where it is more than 1 % of anything, the worst row of each."""
    texts = []
    for task, rows in table.groupby("task", sort=False):
        shares = {}
        for column, (words, whole) in CUT.items():
            if column in rows and whole in rows:
                share = (rows[column] / rows[whole]).max()
                if share > 0.01:
                    shares[words] = share
        if shares:
            lost = ", ".join(f"{percent(share)} of {words}" for words, share in shares.items())
            texts.append(
                f"{task}: cut off by the limits of length, at most: {lost}. "
                "Losses are of what was left, and BLEU and chrF suffer: raise finetuning.length, evaluation.length and "
                "evaluation.max_length, or train the vocabulary on the task's languages."
            )
    return texts


def read_advice(path: str) -> tuple[float, list[dict]]:
    """The level of the advice's intervals, and each answer with the (model, task, D_f) it is about."""
    names = (*PANEL, "mixture", "answer", "because")
    try:
        advice = read_json(path)
        return advice["settings"]["confidence"], [{name: entry[name] for name in names} for entry in advice["answers"]]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not advice: {error!r}. Run `transferlaws advise` again.") from None


def image(table: pd.DataFrame, fits: list[Fit]) -> str:
    """The summary figure as base64 PNG; empty where the table has nothing from scratch to compare with."""
    settings = FigureSettings()
    with style.styled(), tempfile.TemporaryDirectory() as folder:
        try:
            figure = overview.summary(table, fits, settings)
        except UserError:
            return ""
        paths = style.save(figure, Path(folder, "summary"), title="summary", description="", dpi=150)
        return base64.b64encode(next(p for p in paths if p.suffix == ".png").read_bytes()).decode()


def remarks(table: pd.DataFrame, level: float) -> list[str]:
    """How the intervals are made, what the words mean that follow from them, and what they leave out."""
    texts = [
        "Improvements are at each mixture's largest number of pretraining tokens: score up, cross-entropy down; means over seeds "
        "are geometric, here as in laws, advice and figures. "
        f"Their {percent(level)} intervals hold the noise between seeds, pooled over all mixtures, rungs and D_f of a task; "
        "noise of the test set that all share cancels.",
        definitions(level),
        "A law that is rejected, or could not be fitted, predicts nothing. Where parameters are not identified the points do not "
        "fix them, though predictions near the points may still be good.",
    ]
    ends = table[table["pretraining_tokens"] > 0].groupby("mixture")["pretraining_tokens"].max()
    shorter = [f"{mixture} at {short_number(end)}" for mixture, end in ends.items() if end < ends.max()]
    if shorter:
        texts.append(
            f"Not every mixture goes as far as {short_number(ends.max())} pretraining tokens; these end earlier: "
            f"{', '.join(shorter)}. Their last rungs are compared with more pretraining than they had."
        )
    texts += cut_off(table)
    lost = int(diverged(table).sum())
    if lost:
        texts.append(f"{lost} of {len(table)} runs diverged at every learning rate; they are left out of means and figures.")
    return texts


def measured(table: pd.DataFrame) -> dict:
    """One row a (model, task, D_f): sizes, seeds, rungs, test set, signatures."""
    head = ["task", "model", "non-embedding parameters", "fine-tuning size", "pretraining tokens", "seeds", "runs"]
    head += ["learning rates chosen", "test items", "signatures", "SHA-256 of the test set"]
    rows = []
    for keys, part in table.groupby(PANEL, sort=False):
        task = dict(zip(PANEL, keys, strict=True))
        rungs = sorted(part["pretraining_tokens"].unique())
        rows.append(
            [
                f"{task['task']}" + (f" ({kind})" if (kind := _only(part, "kind")) else ""),
                task["model"],
                _numbers(part, "parameters_non_embedding"),
                f"{count(task['finetuning_size'])} {task['finetuning_unit']}",
                ", ".join(map(short_number, rungs)),
                ", ".join(f"{seed:g}" for seed in sorted(part["seed"].unique())),
                str(len(part)),
                _numbers(part, "learning_rate"),
                _numbers(part, "test_items", count),
                "; ".join(filter(None, (_only(part, f"{metric}_signature") for metric in ("bleu", "chrf")))) or "not recorded",
                _only(part, "test_sha256") or "not recorded",
            ]
        )
    notes = [
        "Pretraining tokens 0: trained from scratch, once for all mixtures. Scores are sacrebleu corpus scores of the test set."
    ]
    if "pretraining_epochs" in table and table["pretraining_epochs"].max() > 1:
        notes.append(f"Some corpora were repeated: up to {table['pretraining_epochs'].max():.3g} passes over one.")
    if "contamination_removed" in table:
        counts = table.groupby("task")["contamination_removed"].max()
        notes.append(
            "Training and pretraining items removed for overlap with dev or test: "
            + ", ".join(f"{task} {count(removed)}" for task, removed in counts.dropna().items())
            + "."
        )
    return {"head": head, "rows": rows, "notes": notes}


def data(report: dict, path: str) -> dict:
    """One corpus or bitext, from its report."""
    try:
        return {
            "name": report["name"],
            "kind": report["kind"],
            "languages": ", ".join(report["languages"]),
            "source": report["source"],
            "version": report["version"],
            "licence": report["licence"] or "not stated",
            "read": count(report["read"]),
            "kept": count(report["kept"]) + (" pairs" if report["kind"] == "bitext" else " documents"),
            "characters": count(report["characters"]),
            "removed": _counts(report["removed"]) or "nothing",
            "contamination": _counts({where: counts["documents"] for where, counts in report["contamination"].items()}) or "none",
            "files": sorted(report["files"].items()),
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a report of a corpus or bitext: {error!r}. Build it again.") from None


def law(document: dict, fits: list[Fit]) -> dict:
    """One law with its fits, from its JSON."""
    return {
        "name": document["law"],
        "equation": document.get("equation", ""),
        "source": document.get("source", ""),
        "protocol": _protocol(document.get("protocol", {}), document.get("provenance", {})),
        "fits": [_fit(fit) for fit in fits],
    }


def _protocol(protocol: dict, provenance: dict) -> str:
    kept = {
        key: protocol[key]
        for key in ("protocol", "delta", "held_out_rungs", "level", "bootstraps", "resampling")
        if key in protocol
    }
    text = "; ".join(f"{key.replace('_', ' ')} {value}" for key, value in kept.items())
    return f"Fit: {text}. Fitted by transferlaws {provenance.get('version', 'of unknown version')}, seed {provenance.get('seed')}."


def _fit(fit: Fit) -> dict:
    roles = [point["role"] for point in fit.points]
    error = (fit.document.get("held_out") or {}).get("are")
    return {
        "group": ", ".join(f"{key.replace('_', ' ')} {count(v) if isinstance(v, float) else v}" for key, v in fit.group.items()),
        "metric": fit.metric,
        "parameters": [
            {"name": name, "identified": p["identified"]}
            | {part: _significant(p.get(part)) for part in ("estimate", "low", "high")}
            for name, p in fit.parameters.items()
        ],
        "points": f"{roles.count('fit')}, {roles.count('held-out')}",
        "held_out": percent(error) if error is not None else "",
        "verdict": fit.verdict.get("text") or fit.status,
    }


def _significant(value: float | None) -> str:
    return "unbounded" if value is None else f"{value:.4g}".replace("-", "−")


def _only(table: pd.DataFrame, column: str) -> str | None:
    """The distinct values of a text column, joined; None where it is absent or empty."""
    if column not in table:
        return None
    return ", ".join(dict.fromkeys(str(value) for value in table[column].dropna() if value != "")) or None


def _numbers(table: pd.DataFrame, column: str, written: Callable[[float], str] = short_number) -> str:
    if column not in table or table[column].isna().all():
        return "not recorded"
    return ", ".join(written(value) for value in sorted(table[column].dropna().unique()))


def _counts(counts: dict) -> str:
    """`{name: number}` as text, zeros left out."""
    return ", ".join(f"{name} {count(number)}" for name, number in counts.items() if number)
