"""`transferlaws plan`: what a study costs, before anything is submitted. Reads no text."""

import argparse
import csv
import io
from pathlib import Path

import yaml

from transferlaws.config import overlay
from transferlaws.costs.estimate import DEVICES, SENTENCE_TOKENS, TEST_ITEMS, Cost, Costs
from transferlaws.costs.jobs import Jobs
from transferlaws.errors import UserError
from transferlaws.files import atomic
from transferlaws.format import amount
from transferlaws.layout import Layout

COLUMNS = (
    "stage",
    "model",
    "jobs",
    "flops",
    "device_hours",
    "longest_hours",
    "tokens",
    "download_bytes",
    "disk_bytes",
    "device_memory_bytes",
    "mem_mb",
    "runtime_minutes",
)


def add_config(parser: argparse.ArgumentParser) -> None:
    """The argument that names the study's files."""
    parser.add_argument(
        "config",
        nargs="*",
        default=["config.yaml"],
        help="the study's files; a later one overlays the earlier (default: config.yaml)",
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the stage."""
    add_config(parser)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table as CSV")
    parser.add_argument("--text", type=Path, metavar="FILE", help="write the table as text instead of printing it")


def run(arguments: argparse.Namespace) -> None:
    """Print the table, or write it."""
    costs = Costs(Layout(read(arguments.config)))
    rows = table(costs)
    text = render(rows, costs)
    if arguments.csv:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        with atomic(arguments.csv) as temporary:
            temporary.write_text(buffer.getvalue(), encoding="utf-8")
    if arguments.text:
        with atomic(arguments.text) as temporary:
            temporary.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


def read(paths: list[str]) -> dict:
    """The study that config files describe, each laid over the ones before it."""
    merged: dict = {}
    for path in paths:
        try:
            loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file. Name the study's config, such as config.yaml.") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not valid YAML ({error}).") from None
        if not isinstance(loaded, dict):
            raise UserError(f"{path}: expected keys and values, found {type(loaded).__name__}.")
        merged = overlay(merged, loaded)
    return merged


def table(costs: Costs) -> list[dict]:
    """One row a stage (and model, where it has one), in the order of the workflow."""
    layout = costs.layout
    rows = [
        _row("bitext", "", [costs.bitext(name) for name in layout.bitexts], costs),
        _row("corpus", "", [costs.corpus(name) for name in layout.corpora], costs),
    ]
    for model in dict.fromkeys(run.model for run in layout.trajectories):
        rows.append(_row("pretrain", model, [costs.pretrain(model) for run in layout.trajectories if run.model == model], costs))
    for stage, cost in (("finetune", costs.finetune), ("evaluate", costs.evaluate)):
        for model in dict.fromkeys(curve.model for curve in layout.curves):
            rows.append(_row(stage, model, [cost(curve) for curve in layout.curves if curve.model == model], costs))
    return [row for row in rows if row["jobs"]]


def _row(stage: str, model: str, jobs: list[Cost], costs: Costs) -> dict:
    asked = Jobs(costs)
    trained = stage not in ("bitext", "corpus")
    return {
        "stage": stage,
        "model": model,
        "jobs": len(jobs),
        "flops": sum(job.flops for job in jobs) if trained else "",
        "device_hours": sum(job.seconds * job.devices for job in jobs) / 3600 if trained else "",
        "longest_hours": max((job.seconds for job in jobs), default=0.0) / 3600 if trained else "",
        "tokens": round(sum(job.tokens for job in jobs)),
        "download_bytes": round(sum(job.download_bytes for job in jobs)),
        "disk_bytes": round(sum(job.disk_bytes for job in jobs)),
        "device_memory_bytes": round(max((job.device_bytes for job in jobs), default=0.0)) if trained else "",
        "mem_mb": max((asked.memory(stage, job) for job in jobs), default=0) if trained else "",
        "runtime_minutes": max(map(asked.minutes, jobs), default=0) if trained else "",
    }


def render(rows: list[dict], costs: Costs) -> str:
    """The table for reading, with its assumptions and totals."""
    compute = costs.study.compute
    device = f"{compute.devices} × {compute.device}" if compute.devices > 1 else compute.device
    header = (
        "stage",
        "model",
        "jobs",
        "FLOPs",
        "hours",
        "longest",
        "text tokens",
        "download",
        "disk",
        "on device",
        "memory",
        "limit",
    )
    lines = [header]
    total = {
        name: sum(row[name] or 0 for row in rows) for name in ("jobs", "flops", "device_hours", "download_bytes", "disk_bytes")
    }
    for row in [*rows, {"stage": "all", **total}]:
        lines.append(
            (
                row["stage"],
                row.get("model", ""),
                str(row["jobs"]),
                f"{row['flops']:.2e}" if row["flops"] else "",
                _hours(row["device_hours"]),
                _hours(row.get("longest_hours", "")),
                _amount(row.get("tokens")),
                _amount(row["download_bytes"], "B"),
                _amount(row["disk_bytes"], "B"),
                _amount(row.get("device_memory_bytes"), "B"),
                amount(row["mem_mb"] * 1e6, "B") if row.get("mem_mb") else "",
                _hours(row["runtime_minutes"] / 60) if row.get("runtime_minutes") else "",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    body = [
        "  ".join(
            f"{cell:<{width}}" if i < 2 else f"{cell:>{width}}" for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    models = ", ".join(
        f"{model} {costs.utilisation(model):.0%}" for model in dict.fromkeys(curve.model for curve in costs.layout.curves)
    )
    notes = [
        f"study {costs.study.study}: {len(costs.layout.trajectories)} trajectories, {len(costs.layout.curves)} curves",
        f"hours: of {device}, at a share of its peak of {models} (compute.mfu sets another)",
        f"without early stopping; sentences of {SENTENCE_TOKENS} tokens, test sets of {TEST_ITEMS:,} items where the config does "
        "not say; downloads of packages not counted",
    ]
    most = DEVICES[compute.device].memory
    for row in rows:
        if row["device_memory_bytes"] and row["device_memory_bytes"] > most:
            needs, has = amount(row["device_memory_bytes"], "B"), amount(most, "B")
            notes.append(
                f"WARNING: {row['stage']} {row['model']} needs {needs} on a device of {has}, activations not counted: "
                "lower finetuning.group and evaluation.group, or take a smaller model"
            )
    return "\n".join([*notes, "", *(line.rstrip() for line in body)]) + "\n"


def _hours(hours: float | str) -> str:
    if hours == "":
        return ""
    return f"{hours:,.0f} h" if hours >= 10 else f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"


def _amount(value: float | str | None, unit: str = "") -> str:
    return amount(value, unit) if value else ""
