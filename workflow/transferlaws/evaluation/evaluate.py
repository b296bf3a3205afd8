"""Stage: the states of a curve -> token losses on dev and test, and hypotheses of test."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from transferlaws.evaluation.decode import EOS, beam_search, greedy
from transferlaws.evaluation.settings import EvaluationSettings
from transferlaws.files import atomic, check_sha256, read_json, sha256, write_json
from transferlaws.model.checkpoint import load_checkpoint
from transferlaws.model.settings import ModelSettings
from transferlaws.model.transformer import Transformer
from transferlaws.options import add_json
from transferlaws.progress import Progress
from transferlaws.tokens.vocabulary import Vocabulary
from transferlaws.training import cut
from transferlaws.training.device import choose_device
from transferlaws.training.examples import Examples, open_examples
from transferlaws.training.settings import CPU_GROUP
from transferlaws.training.step import compute_type, summed_losses


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the stage."""
    parser.add_argument("--curve", required=True, metavar="FILE", help="curve.json")
    parser.add_argument("--tokens", required=True, metavar="DIR", help="token shards of the task's bitext or corpus")
    parser.add_argument("--vocabulary", required=True, metavar="DIR")
    add_json(parser, "--settings", EvaluationSettings, required=True, help="the evaluation settings")
    parser.add_argument("--output", required=True, metavar="DIR")


def run(arguments: argparse.Namespace) -> None:
    """Evaluate every (seed, rung) of one curve."""
    settings: EvaluationSettings = arguments.settings
    vocabulary = Vocabulary.load(arguments.vocabulary)
    curve = read_json(arguments.curve)
    folder = Path(arguments.curve).parent
    splits = {name: open_examples(arguments.tokens, vocabulary, name, settings.length) for name in ("dev", "test")}
    if settings.test_items is not None:
        splits["test"] = splits["test"].subset(np.arange(min(settings.test_items, len(splits["test"]))))
    device = choose_device()
    size = settings.group or (CPU_GROUP if device.type == "cpu" else len(curve["replicas"]))
    frames = []
    work = sum(map(len, splits.values())) * len(curve["replicas"])
    with Progress(f"evaluate {curve['mixture']} {curve['task']} {curve['finetuning_size']}", work, "sentences") as progress:
        for start in range(0, len(curve["replicas"]), size):
            rows = curve["replicas"][start : start + size]
            model = Transformer(ModelSettings.model_validate(curve["shape"]), vocabulary.size, len(rows))
            for replica, row in enumerate(rows):
                check_sha256(folder / row["path"] / "model.safetensors", row["sha256"], arguments.curve)
                load_checkpoint(model, replica, folder / row["path"])
            model.to(device)
            model.dtype = compute_type(settings.precision, device)
            model.requires_grad_(False)
            for split, examples in splits.items():
                frames += _predictions(model, rows, split, examples, vocabulary, settings, progress)
    table = pd.concat(frames, ignore_index=True)
    lost = {split: _lost(table, split, examples, settings) for split, examples in splits.items()}
    output = Path(arguments.output)
    with atomic(output / "predictions.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    write_json(
        output / "evaluation.json",
        {
            **{name: curve[name] for name in ("model", "mixture", "task", "kind", "finetuning_size")},
            "curve": curve,
            "settings": settings.model_dump(),
            "cut": lost,
            "predictions_sha256": sha256(output / "predictions.parquet"),
        },
    )


def _lost(table: pd.DataFrame, split: str, examples: Examples, settings: EvaluationSettings) -> dict[str, int]:
    """What the limits of length took from a split: counts of items, and of hypotheses over all states of the curve; logged."""
    counts = cut.counts(examples)
    limit = f"evaluation.length ({settings.length} tokens)"
    where = f"split {split}"
    cut.say(where, counts["items"], {"sources": counts["sources_cut"], "targets": counts["targets_cut"]}, limit)
    if split != "test" or examples.sources is None:
        return counts
    beyond = int((examples.whole[1] + 1 > settings.max_length).sum())
    rows = table[table["split"] == split]
    ended = int(rows["hypothesis_cut"].sum())
    limit = f"evaluation.max_length ({settings.max_length} tokens)"
    cut.say(where, counts["items"], {"references": beyond}, f"a hypothesis may be by {limit}")
    cut.say(where, len(rows), {"hypotheses": ended}, limit)
    return counts | {"references_cut": beyond}


def _predictions(
    model: Transformer,
    rows: list[dict],
    split: str,
    examples: Examples,
    vocabulary: Vocabulary,
    settings: EvaluationSettings,
    progress: Progress,
) -> Iterator[pd.DataFrame]:
    """One frame a replica."""
    losses = np.zeros((len(rows), len(examples)))
    hypotheses: list[list[str | None]] = [[None] * len(examples) for _ in rows]
    unended = np.zeros(losses.shape, dtype=bool)
    translate = split == "test" and examples.sources is not None
    for indices in examples.sorted_batches(settings.batch):
        source, target = examples.batch(indices)
        losses[:, indices] = summed_losses(model, source, target).double().cpu().numpy()
        if translate:
            ids = torch.from_numpy(source).to(model.embedding.device)
            if settings.beam == 1:
                found = greedy(model, ids, settings.max_length)
            else:
                found = beam_search(model, ids, settings.max_length, settings.beam, settings.length_penalty)
            for replica, batch in enumerate(found.cpu().numpy()):
                unended[replica, indices] = ~(batch == EOS).any(axis=1)
                for index, text in zip(indices, vocabulary.decode(batch), strict=True):
                    hypotheses[replica][index] = text
        progress.update(len(indices) * len(rows))
    characters = [len(text) for text in vocabulary.decode(examples.target_ids())]
    for replica, row in enumerate(rows):
        yield pd.DataFrame(
            {
                "seed": row["seed"],
                "pretraining_tokens": row["pretraining_tokens"],
                "split": split,
                "index": np.arange(len(examples)),
                "nll": losses[replica],
                "tokens": examples.targets.sizes + 1,
                "characters": characters,
                "hypothesis": pd.array(hypotheses[replica], dtype="string"),
                "hypothesis_cut": unended[replica],
            }
        )
