"""Stage `advise`: a measurement table and fitted laws -> answers per mixture, comparisons of mixtures and of laws."""

import argparse

import transferlaws
from transferlaws.advice.advise import Laws, advise
from transferlaws.advice.page import page
from transferlaws.advice.settings import AdviceSettings
from transferlaws.errors import UserError
from transferlaws.files import atomic, sha256, write_json
from transferlaws.laws.document import read_documents
from transferlaws.measurements.means import TableMeans
from transferlaws.measurements.table import read_measurements
from transferlaws.measurements.test_noise import with_sentences
from transferlaws.options import add_json

SCHEMA = 2


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
    documents = read_documents(arguments.laws, arguments.measurements)
    laws = Laws(dict(zip(documents, arguments.laws, strict=True)), documents)
    advice = {
        "schema": SCHEMA,
        "settings": settings.model_dump(),
        "provenance": {
            "version": transferlaws.__version__,
            "measurements": str(arguments.measurements),
            "measurements_sha256": sha256(arguments.measurements),
        },
        **advise(TableMeans(table), laws, settings, arguments.max_epochs),
    }
    write_json(arguments.output, advice)
    with atomic(arguments.markdown) as temporary:
        temporary.write_text(page(advice), encoding="utf-8")
