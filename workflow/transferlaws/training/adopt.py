"""Stage: existing checkpoints -> a trajectory, in place of pretraining: a public T5 or mT5, or one made elsewhere."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from transferlaws.errors import UserError
from transferlaws.files import sha256, write_json
from transferlaws.hub import local_or_hub
from transferlaws.model.checkpoint import load_checkpoint, read_settings, save_checkpoint
from transferlaws.model.settings import ModelSettings
from transferlaws.model.transformer import Transformer
from transferlaws.options import add_json, folder_of, specification
from transferlaws.tokens.vocabulary import FILES, Vocabulary


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """What the checkpoints are, and where the trajectory goes."""

    checkpoints: dict[int, str]
    """Pretraining tokens -> a checkpoint's folder, or its id on the hub with @revision."""
    vocabulary: Path
    model: ModelSettings
    """The shape that every checkpoint must have."""
    seed: int
    model_name: str
    mixture: str
    output: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the stage."""
    add_json(
        parser,
        "--checkpoints",
        dict[int, str],
        required=True,
        help="pretraining tokens -> checkpoint folder, or a hub id with @revision",
    )
    parser.add_argument("--vocabulary", type=folder_of, required=True, metavar="DIR")
    add_json(parser, "--model", ModelSettings, required=True, help="the model's settings, which every checkpoint must have")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--model-name", required=True, metavar="NAME")
    parser.add_argument("--mixture", required=True, metavar="NAME")
    parser.add_argument("--output", type=folder_of, required=True, metavar="DIR")


def run(arguments: argparse.Namespace) -> None:
    """Adopt what the command line names."""
    adopt(specification(Adoption, arguments))


def adopt(asked: Adoption) -> None:
    """Check each checkpoint, rewrite it in the study's own form, and write `trajectory.json`.

    Raises:
        UserError: a checkpoint of another vocabulary or shape, or one that is not pinned.
    """
    vocabulary, rungs = Vocabulary.load(asked.vocabulary), []
    for tokens, place in sorted(asked.checkpoints.items()):
        folder = local_or_hub(place, "checkpoint", ["config.json", "model.safetensors", *FILES])
        _check_vocabulary(folder, vocabulary)
        model = Transformer(asked.model, vocabulary.size)
        load_checkpoint(model, 0, folder)
        path = f"rung_{tokens}"
        digest = save_checkpoint(model, 0, asked.output / path)
        rungs.append({"pretraining_tokens": tokens, "path": path, "sha256": digest, "origin": place})
    write_json(
        asked.output / "trajectory.json",
        {
            "model": asked.model_name,
            "mixture": asked.mixture,
            "seed": asked.seed,
            "corpora": {},
            "rungs": rungs,
            "left_out": [],
            "settings": None,
            "parameters_total": asked.model.parameters_total(vocabulary.size),
            "parameters_non_embedding": asked.model.parameters_non_embedding,
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
