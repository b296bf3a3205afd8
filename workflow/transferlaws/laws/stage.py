"""Stage `fit`: a measurement table -> one law fitted to each of its curves."""

import argparse
import logging

import pandas as pd

from transferlaws.format import some
from transferlaws.laws.describe import describe
from transferlaws.laws.estimate import Unfitted
from transferlaws.laws.groups import Group
from transferlaws.laws.law_fit import write_fits
from transferlaws.laws.protocols import resolve
from transferlaws.laws.registry import LAWS, fit_table
from transferlaws.laws.settings import FitSettings
from transferlaws.measurements.table import read_measurements
from transferlaws.measurements.test_noise import with_sentences
from transferlaws.options import add_json
from transferlaws.progress import Progress

logger = logging.getLogger("transferlaws")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `transferlaws fit`."""
    parser.add_argument("--measurements", required=True, help="measurements.csv, or any CSV with its documented columns")
    parser.add_argument("--law", required=True, choices=sorted(LAWS), help="the law to fit")
    add_json(parser, "--settings", FitSettings, default="{}", help="fit settings; see docs/laws.md")
    parser.add_argument("--sentences", help="sentences.parquet, for the test-set noise shared between points")
    parser.add_argument("--output", required=True, help="laws/<law>.json; the draws go into laws/<law>.npz")


def say_excluded(law: str, groups: list[Group]) -> None:
    """Say how many points are left out of the fits, by reason; the law's JSON names every row."""
    for metric in dict.fromkeys(group.metric for group in groups):
        points = pd.concat([group.points for group in groups if group.metric == metric]).drop_duplicates(["row", "role", "reason"])
        excluded = points[points.role == "excluded"]
        if len(excluded):
            reasons = excluded.groupby("reason", sort=True).row.unique()
            words = "; ".join(f"{len(rows)}: {reason} (row {some(sorted(map(int, rows)))})" for reason, rows in reasons.items())
            total, left = points.row.nunique(), excluded.row.nunique()
            logger.warning("%s, %s: %d of %d rows are left out. %s.", law, metric, left, total, words)


def run(arguments: argparse.Namespace) -> None:
    """Fit the law and write its document, with the draws beside it."""
    law = LAWS[arguments.law]
    settings = resolve(law, arguments.settings)
    table = read_measurements(arguments.measurements)
    if arguments.sentences:
        table = with_sentences(table, arguments.sentences)
    fitted = fit_table(table, law=law, settings=settings)
    say_excluded(law.form.name, [result.group if isinstance(result, Unfitted) else result.curve.group for result in fitted])
    fits = []
    with Progress(f"{law.form.name}: profiles and bands", len(fitted), unit="curve") as progress:
        for result in fitted:
            fits.append(describe(result, law=law, settings=settings))
            progress.update(1)
    write_fits(arguments.output, law=law, settings=settings, fits=fits, measurements=arguments.measurements)
