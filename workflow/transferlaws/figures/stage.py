"""Stage `figure`: measurements and fits in, one SVG and one PNG out."""

import argparse
from collections.abc import Callable

from matplotlib.figure import Figure

from transferlaws import __version__
from transferlaws.errors import UserError
from transferlaws.figures import alignment, downstream, effective_data, losses, overview, style, transfer_gap
from transferlaws.figures.inputs import read_advice, read_table
from transferlaws.figures.settings import GAINS, FigureSettings
from transferlaws.files import sha256
from transferlaws.laws.document import read_documents
from transferlaws.options import add_json

FIGURES: dict[str, tuple[str, Callable[..., Figure]]] = {
    "summary": ("What each mixture is worth", overview.summary),
    "downstream": ("Score and cross-entropy against pretraining tokens", downstream.downstream),
    "score-vs-loss": ("Score against cross-entropy", losses.score_vs_loss),
    "upstream": ("Upstream loss against pretraining tokens", losses.upstream),
    "alignment": ("Mixtures by their alignment with the task", alignment.alignment),
    "transfer-gap": ("Loss against pretraining and fine-tuning data, and the transfer gap", transfer_gap.transfer_gap),
    "effective-data": ("Effective data transferred", effective_data.effective_data),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `transferlaws figure`."""
    parser.add_argument("name", choices=FIGURES, help="; ".join(f"{name}: {title}" for name, (title, _) in FIGURES.items()))
    parser.add_argument("--measurements", required=True, metavar="CSV", help="measurements.csv")
    parser.add_argument("--laws", nargs="*", default=[], metavar="JSON", help="fits written by `transferlaws fit`")
    parser.add_argument("--advice", nargs="?", metavar="JSON", help=f"advice.json, which {' and '.join(GAINS)} draw the gains of")
    add_json(parser, "--settings", FigureSettings, default="{}", help="figure settings")
    parser.add_argument("--output-prefix", required=True, metavar="PREFIX", help="writes PREFIX.svg and PREFIX.png")


def run(arguments: argparse.Namespace) -> None:
    """Draw one figure."""
    settings: FigureSettings = arguments.settings
    table = read_table(arguments.measurements)
    title, draw = FIGURES[arguments.name]
    if arguments.name in GAINS and not arguments.advice:
        raise UserError(f"figure {arguments.name} draws the gains of the advice: pass --advice, the file of `transferlaws advise`.")
    advice = [read_advice(arguments.advice, arguments.measurements)] if arguments.name in GAINS else []
    with style.styled():
        figure = draw(table, read_documents(arguments.laws, arguments.measurements), settings, *advice)
        style.save(
            figure,
            arguments.output_prefix,
            title=title,
            description=f"transferlaws {__version__}; measurements sha256 {sha256(arguments.measurements)}",
            dpi=settings.dpi,
        )
