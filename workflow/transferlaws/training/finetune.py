"""Stage: one curve -> the best fine-tuned state of every (seed, rung), its learning rate chosen on dev."""

import argparse
import logging
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import torch

from transferlaws.files import check_sha256, exclusive, read_json, write_json
from transferlaws.model.checkpoint import copy_checkpoint
from transferlaws.model.settings import ModelSettings
from transferlaws.options import add_json
from transferlaws.progress import configure_log
from transferlaws.training import cut
from transferlaws.training.curve import Curve
from transferlaws.training.group import train_group
from transferlaws.training.launch import relaunch
from transferlaws.training.log import write_lines
from transferlaws.training.processes import run_in_processes
from transferlaws.training.settings import FinetuningSettings

logger = logging.getLogger("transferlaws")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the stage."""
    parser.add_argument("--tokens", required=True, metavar="DIR", help="token shards of the task's bitext or corpus")
    parser.add_argument(
        "--trajectory", action="append", default=[], metavar="FILE", help="trajectory.json, one a seed; none: scratch"
    )
    parser.add_argument("--vocabulary", required=True, metavar="DIR")
    add_json(parser, "--model", ModelSettings, required=True, help="the model's settings")
    parser.add_argument("--model-name", default="", metavar="NAME")
    add_json(parser, "--settings", FinetuningSettings, required=True, help="the fine-tuning settings")
    parser.add_argument("--finetuning-size", required=True, type=int, help="D_f: pairs, or tokens of an lm task")
    add_json(parser, "--seeds", list[int], required=True, help="list of seeds")
    parser.add_argument("--task", required=True, metavar="NAME")
    parser.add_argument("--mixture", required=True, metavar="NAME")
    parser.add_argument("--state", required=True, metavar="DIR", help="where finished replicas and resumable state live")
    parser.add_argument("--output", required=True, metavar="DIR")
    parser.add_argument("--processes", type=int, default=1, help="groups of replicas trained at a time on a CPU, one on a core")
    parser.add_argument("--code", default="", help="fingerprint of the stage's code: state made by other code is not used")


def run(arguments: argparse.Namespace) -> None:
    """Fine-tune what is not finished yet, then write the outputs."""
    relaunch()
    curve = Curve(arguments)
    with exclusive(curve.running / "lock") if curve.world.first else nullcontext():
        curve.world.wait()
        _train(curve)
        curve.world.wait()
        if curve.world.first:
            _write(curve)
            for leftover in curve.running.glob("*.safetensors"):  # of groups that other settings made
                leftover.unlink()


def _train(curve: Curve) -> None:
    """Train the starts that no earlier run has finished, group by group.

    On a CPU, groups train side by side, each in a process of its own. Under torchrun, each process takes a share of the starts.
    """
    pending = curve.pending()
    pending = pending[curve.world.rank :: curve.world.size]
    sizes = curve.settings.groups(len(pending), curve.device.type == "cpu")
    left = iter(pending)
    groups = [(list(islice(left, size)), f"group {number}/{len(sizes)}") for number, size in enumerate(sizes, 1)]
    processes = curve.arguments.processes if curve.device.type == "cpu" and curve.world.size == 1 else 1
    if processes > 1 and len(groups) > 1:
        run_in_processes(_train_alone, [(curve.arguments, *group) for group in groups], processes)
    else:
        for starts, name in groups:
            train_group(curve, starts, name)


def _train_alone(arguments: argparse.Namespace, starts: list[dict], name: str, place: int) -> None:
    """One group in a process of its own, on one core."""
    torch.set_num_threads(1)
    configure_log(arguments.log, "a")
    train_group(Curve(arguments), starts, name, place)


def _set_size(curve: Curve, seed: int) -> dict:
    """The fine-tuning set in every unit."""
    examples = curve.train_sets[seed]
    source = 0 if examples.sources is None else examples.sources.sizes + 1
    flops = curve.shape.flops(source, examples.targets.sizes + 1, 1, curve.vocabulary.size).sum() / curve.batches
    return {
        "pairs": len(examples) if curve.kind == "translation" else None,
        "tokens": int(examples.targets.sizes.sum()),
        "positions": int(examples.lengths.sum()),
        "cut": cut.counts(examples),
        "characters": sum(map(len, curve.vocabulary.decode(examples.target_ids()))),
        "flops_a_step": float(flops),
    }


def _write(curve: Curve) -> None:
    output = Path(curve.arguments.output)
    sizes = {seed: _set_size(curve, seed) for seed in curve.seeds}
    dev = cut.counts(curve.dev)
    for name, counts in (*((f"fine-tuning set of seed {seed}", sizes[seed]["cut"]) for seed in curve.seeds), ("dev", dev)):
        limit = f"finetuning.length ({curve.settings.length} tokens)"
        cut.say(name, counts["items"], {"sources": counts["sources_cut"], "targets": counts["targets_cut"]}, limit)
    rows, log = [], []
    for start in curve.starts:
        finished = curve.finished(start)
        result = read_json(finished / "result.json")
        path = f"seed_{start['seed']}/rung_{start['pretraining_tokens']}"
        copy_checkpoint(finished, output / path)
        check_sha256(output / path / "model.safetensors", result["sha256"], finished / "result.json")
        names = {"seed": start["seed"], "pretraining_tokens": start["pretraining_tokens"]}
        log += [names | line for line in read_json(finished / "log.json")]
        size = dict(sizes[start["seed"]])
        counts = {"epochs": result["best_step"] / curve.batches, "flops": result["best_step"] * size.pop("flops_a_step")}
        row = {
            "seed": start["seed"],
            "pretraining_tokens": start["pretraining_tokens"],
            **result,
            **counts,
            **size,
            "path": path,
        }
        rows.append(row | {"pretraining": start["pretraining"]})
    bound = [row for row in rows if row["stopped"].startswith("max_")]
    if bound:
        limits = ", ".join(sorted({row["stopped"] for row in bound}))
        logger.info(f"{len(bound)} of {len(rows)} starts were still improving, or not yet given up, when {limits} ended them")
    write_lines(output / "log.jsonl", log)
    write_json(
        output / "curve.json",
        {
            "model": curve.arguments.model_name,
            "mixture": curve.arguments.mixture,
            "task": curve.arguments.task,
            "kind": curve.kind,
            "finetuning_size": curve.arguments.finetuning_size,
            "shape": curve.shape.model_dump(),
            "parameters_total": curve.shape.parameters_total(curve.vocabulary.size),
            "parameters_non_embedding": curve.shape.parameters_non_embedding,
            "replicas": rows,
            "dev_cut": dev,
            "settings": curve.settings.model_dump(),
        },
    )
