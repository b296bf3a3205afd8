"""Stage: existing checkpoints -> a trajectory, in place of pretraining: a public T5 or mT5, or one made elsewhere."""

import argparse
import json
from pathlib import Path

from transferlaws.errors import UserError
from transferlaws.files import sha256, write_json
from transferlaws.hub import local_or_hub
from transferlaws.model.checkpoint import load_checkpoint, read_settings, save_checkpoint
from transferlaws.model.settings import ModelSettings
from transferlaws.model.transformer import Transformer
from transferlaws.tokens.vocabulary import FILES, Vocabulary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the stage."""
    parser.add_argument(
        "--checkpoints", required=True, metavar="JSON", help="pretraining tokens -> checkpoint folder, or a hub id with @revision"
    )
    parser.add_argument("--vocabulary", required=True, metavar="DIR")
    parser.add_argument("--model", required=True, metavar="JSON", help="the model's settings, which every checkpoint must have")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--model-name", required=True, metavar="NAME")
    parser.add_argument("--mixture", required=True, metavar="NAME")
    parser.add_argument("--output", required=True, metavar="DIR")
    parser.add_argument("--code", default="", help="fingerprint of the stage's code")


def run(arguments: argparse.Namespace) -> None:
    """Check and rewrite each checkpoint in the study's own form."""
    vocabulary = Vocabulary.load(arguments.vocabulary)
    shape = ModelSettings.model_validate_json(arguments.model)
    output, rungs = Path(arguments.output), []
    for tokens, place in sorted((int(tokens), place) for tokens, place in json.loads(arguments.checkpoints).items()):
        folder = local_or_hub(place, "checkpoint", ["config.json", "model.safetensors", *FILES])
        _check_vocabulary(folder, vocabulary)
        model = Transformer(shape, vocabulary.size)
        load_checkpoint(model, 0, folder)
        path = f"rung_{tokens}"
        rungs.append(
            {"pretraining_tokens": tokens, "path": path, "sha256": save_checkpoint(model, 0, output / path), "origin": place}
        )
    write_json(
        output / "trajectory.json",
        {
            "model": arguments.model_name,
            "mixture": arguments.mixture,
            "seed": arguments.seed,
            "corpora": {},
            "rungs": rungs,
            "left_out": [],
            "settings": None,
            "parameters_total": shape.parameters_total(vocabulary.size),
            "parameters_non_embedding": shape.parameters_non_embedding,
        },
    )


def _check_vocabulary(folder: Path, vocabulary: Vocabulary) -> None:
    model = folder / vocabulary.file
    if model.is_file() and sha256(model) != vocabulary.sha256:
        raise UserError(
            f"{model}: not the tokenizer of this study, so its token ids mean other pieces. Give it as the study's "
            "vocabulary.model."
        )
    if vocabulary.reordered:
        raise UserError(
            f"{folder}: the study's {vocabulary.file} has pad, eos or sentinels elsewhere than T5, so the study reorders its ids "
            "and a checkpoint's ids mean other pieces. Only checkpoints with T5's order of ids can be adopted."
        )
    size = read_settings(folder)[1]
    if size != vocabulary.size:
        raise UserError(
            f"{folder / 'config.json'}: vocab_size is {size}, the study's vocabulary has {vocabulary.size} ids. Set it to {size}."
        )
