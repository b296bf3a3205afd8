"""Stage `check`: the reports of all data in use -> whether each split holds what is to be trained on it, before any training."""

import argparse
import json
from pathlib import Path

from transferlaws.corpora.notices import reasons
from transferlaws.errors import UserError
from transferlaws.files import read_json, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the stage."""
    parser.add_argument("--needs", required=True, metavar="JSON", help="folder of a corpus or bitext -> {split: fewest items}")
    parser.add_argument("--output", type=Path, required=True, help="file to write")


def run(arguments: argparse.Namespace) -> None:
    """Write the splits of each corpus and bitext and what was said of it; `UserError` where one holds too little."""
    data, problems = {}, []
    for folder, needs in json.loads(arguments.needs).items():
        report = read_json(Path(folder, "report.json"))
        data[f"{report['kind']} {report['name']}"] = {"splits": report["splits"], "notices": report.get("notices", [])}
        problems += [_problem(report, split, least) for split, least in needs.items() if report["splits"][split] < least]
    if problems:
        raise UserError("\n".join(problems))
    write_json(arguments.output, data)


def _problem(report: dict, split: str, least: int) -> str:
    section = {"corpus": "corpora", "bitext": "bitexts"}[report["kind"]]
    found = f"{section}.{report['name']}: {split} holds {report['splits'][split]:,} of {report['read']:,} items read"
    removed = f"Removed were: {reasons(report['removed'])}."
    if split == "train":
        return (
            f"{found}, and a task is to be fine-tuned on {least:,}. Choose a smaller D_f (tasks.*.pairs), or keep more. {removed}"
        )
    return f"{found}, and at least {least} are needed. Give a larger share ({section}.{report['name']}.{split}). {removed}"
