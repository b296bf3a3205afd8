"""Stage: fill every cache that a study's jobs read, where there is a network: packages, datasets, tokenizer, COMET."""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from transferlaws.corpora import sources
from transferlaws.corpora.stage import default_cache
from transferlaws.costs.stage import add_config, read
from transferlaws.evaluation.comet import Comet
from transferlaws.layout import Layout
from transferlaws.progress import Progress

DOWNLOADED = ("packages", "debian", "hub")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the stage."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> None:
    """Download what is not there yet; nothing is cleaned, and nothing is written beside the caches."""
    layout = Layout(read(arguments.config))
    study = layout.study
    cache = Path(study.cache).expanduser() if study.cache else default_cache()
    texts = [(sources.documents, study.corpora[name]) for name in layout.corpora]
    texts += [(sources.pairs, study.bitexts[name]) for name in layout.bitexts]
    texts = [(open_source, settings) for open_source, settings in texts if settings.source in DOWNLOADED]
    with tempfile.TemporaryDirectory() as scratch, Progress("fetch", len(texts) + 2, "sources") as progress:
        for number, (open_source, settings) in enumerate(texts):
            # a source downloads when it is opened, and reads when it is iterated
            open_source(settings, sources.Context(cache, Path(scratch, str(number)), Counter()))
            progress.update(1, settings.source)
        if study.vocabulary.model:
            from transferlaws.tokens.vocabulary_stage import existing_model

            existing_model(study.vocabulary.model)
        progress.update(1, "tokenizer")
        if study.scoring.comet:
            Comet(study.scoring.comet)
        progress.update(1, "COMET")
