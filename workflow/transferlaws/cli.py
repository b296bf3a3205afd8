"""`transferlaws <stage> ...`: every stage runs by hand exactly as the workflow's rule runs it."""

import argparse
import importlib
import logging
import os
import sys
from pathlib import Path

from transferlaws import __version__, store
from transferlaws.errors import PassingError, UserError
from transferlaws.files import remedy
from transferlaws.fingerprint import fingerprint
from transferlaws.progress import configure_log, forget_attempt
from transferlaws.scheduling import refusal

# stage -> (module with add_arguments and run, one line of help); imported only when asked for
STAGES = {
    "plan": ("transferlaws.costs.stage", "a study's config -> what it costs: jobs, operations, hours, disk, text"),
    "fetch": ("transferlaws.fetch", "a study's config -> downloads in the caches, for machines without a network"),
    "bitext": ("transferlaws.corpora.bitext", "a source of sentence pairs -> cleaned, split pairs"),
    "corpus": ("transferlaws.corpora.corpus", "a source of text -> cleaned documents without dev and test items"),
    "check": ("transferlaws.corpora.check", "reports of corpora and bitexts -> whether they hold what the tasks need"),
    "vocabulary": ("transferlaws.tokens.vocabulary_stage", "corpora -> the shared vocabulary"),
    "tokens": ("transferlaws.tokens.shards_stage", "documents or pairs -> memory-mapped token shards"),
    "pretrain": ("transferlaws.training.pretrain", "a mixture -> a checkpoint per rung"),
    "adopt": ("transferlaws.training.adopt", "existing checkpoints -> a trajectory, in place of pretraining"),
    "finetune": ("transferlaws.training.finetune", "all rungs, seeds and learning rates of a curve, in lockstep"),
    "evaluate": ("transferlaws.evaluation.evaluate", "fine-tuned states -> token losses and hypotheses"),
    "score": ("transferlaws.evaluation.score", "predictions of every curve -> measurements.csv"),
    "fit": ("transferlaws.laws.stage", "a measurement table -> a fitted law"),
    "advise": ("transferlaws.advice.stage", "a measurement table and fits -> verdicts and advice"),
    "mixture": ("transferlaws.mixtures.stage", "tables of weights and losses -> laws over mixtures, the best mixture as a set"),
    "propose": ("transferlaws.mixtures.propose_stage", "tables of weights and losses -> the mixtures to train next"),
    "coverage": ("transferlaws.validation.coverage", "simulated studies -> how often the intervals of every law hold the truth"),
    "figure": ("transferlaws.figures.stage", "measurements and fits -> a figure"),
    "summary": ("transferlaws.figures.summary", "measurements, fits, advice and data reports -> one page with the answer"),
}


def code(stage: str) -> str:
    """The identity of a stage's code."""
    return fingerprint(STAGES[stage][0])


def _log(argv: list[str]) -> Path | None:
    """The log file, which mistakes in the other options are written to."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--log", type=Path)
    try:
        return parser.parse_known_args(argv)[0].log
    except argparse.ArgumentError:
        return None


def main(argv: list[str] | None = None) -> int:
    """Run one stage; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="transferlaws", description="Which pretraining data, and how much of it, is worth having?"
    )
    parser.add_argument("--version", action="version", version=f"transferlaws {__version__}")
    stages = parser.add_subparsers(dest="stage", required=True, metavar="stage")
    argv = sys.argv[1:] if argv is None else argv
    for name, (module, text) in STAGES.items():
        stage = stages.add_parser(name, help=text, description=text)
        stage.add_argument("--log", type=Path, help="file that progress and errors are written to, beside the terminal")
        if argv[:1] == [name]:
            importlib.import_module(module).add_arguments(stage)
    logger, log = logging.getLogger("transferlaws"), _log(argv)
    try:
        configure_log(log, "a" if "WORLD_SIZE" in os.environ else "w")  # under torchrun a log has begun
        if log:
            refusal(log).unlink(missing_ok=True)
        arguments = parser.parse_args(argv)
        module = STAGES[arguments.stage][0]
        store.through(arguments.stage, module, arguments, importlib.import_module(module).run)
    except UserError as error:
        logger.error("transferlaws %s: %s", argv[0], error)
        if log and not isinstance(error, PassingError):
            refusal(log).touch()
        return 1
    except Exception as error:
        if advice := remedy(error):
            logger.error("transferlaws %s: %s. %s", argv[0], error, advice)
            return 1
        logger.exception("transferlaws %s: unexpected error", argv[0])
        return 2
    if log:
        forget_attempt(log)
    return 0
