"""Stage `mixture`: tables of weights and losses -> laws compared, the best mixture as a set, worth of each corpus."""

import argparse

import transferlaws
from transferlaws.errors import UserError
from transferlaws.files import atomic, sha256, write_json
from transferlaws.measurements.columns import SCORES
from transferlaws.mixtures.page import page
from transferlaws.mixtures.settings import MixtureSettings
from transferlaws.mixtures.study_answer import Answered, answer, document
from transferlaws.mixtures.table import Study, read_tables, studies
from transferlaws.options import add_json
from transferlaws.progress import Progress

SCHEMA = 1


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say where a table's weights and values stand."""
    parser.add_argument("tables", nargs="+", metavar="TABLE", help="CSV or Parquet; several are joined by --index")
    parser.add_argument(
        "--weights",
        nargs="+",
        default=["mixture_weights"],
        help="columns of the shares, one prefix of them, or one column of JSON (default: the measurement table's, mixture_weights)",
    )
    parser.add_argument("--targets", nargs="+", required=True, help="columns of the values to predict, or one prefix of them")
    parser.add_argument(
        "--scores",
        nargs="*",
        default=list(SCORES),
        help="targets of which more is better (default: %(default)s); others are losses",
    )
    parser.add_argument("--by", nargs="*", default=[], help="columns that part the table: each group has laws of its own")
    parser.add_argument("--index", default="index", help="column that joins several tables (default: %(default)s)")
    parser.add_argument("--tokens", help="column of the pretraining tokens, if they vary")
    parser.add_argument("--size", help="column of the model size, if it varies")
    parser.add_argument("--unique", nargs="+", help="columns of the distinct tokens of each corpus, in the order of --weights")
    add_json(parser, "--settings", MixtureSettings, default="{}", help="JSON of the mixture settings; see docs/mixtures.md")


def answers_of(arguments: argparse.Namespace, settings: MixtureSettings) -> list[Answered]:
    """Every group and target of the tables."""
    table = read_tables(arguments.tables, arguments.index)
    found: list[Study] = studies(
        table,
        arguments.tables[0],
        weights=arguments.weights,
        targets=arguments.targets,
        by=arguments.by,
        tokens=arguments.tokens,
        size=arguments.size,
        unique=arguments.unique,
    )
    results = []
    with Progress("mixture laws", sum(len(study.targets) for study in found), unit="target") as progress:
        for study in found:
            for target, name in enumerate(study.targets):
                results.append(answer(study, target, score=name in arguments.scores, settings=settings))
                progress.update(1)
    return results


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `transferlaws mixture`."""
    add_table_arguments(parser)
    parser.add_argument("--output", required=True, help="mixtures.json")
    parser.add_argument("--markdown", help="mixtures.md, the same for readers")


def run(arguments: argparse.Namespace) -> None:
    """Write the answers as JSON and as a page."""
    settings = arguments.settings
    if settings.law and settings.laws and settings.law not in settings.laws:
        raise UserError(f"--settings: law {settings.law} is none of laws {', '.join(settings.laws)}. Add it, or leave laws out.")
    answers = [document(found, settings) for found in answers_of(arguments, settings)]
    result = {
        "schema": SCHEMA,
        "settings": settings.model_dump(),
        "by": arguments.by,
        "provenance": {
            "version": transferlaws.__version__,
            "tables": [{"path": str(path), "sha256": sha256(path)} for path in arguments.tables],
        },
        "answers": answers,
    }
    write_json(arguments.output, result)
    if arguments.markdown:
        with atomic(arguments.markdown) as temporary:
            temporary.write_text(page(result), encoding="utf-8")
