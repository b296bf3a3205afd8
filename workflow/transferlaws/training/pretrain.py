"""Stage: a mixture -> one trajectory, a checkpoint per rung.

`D_p` counts the text tokens that training has consumed: every token of a corpus once each time it enters a batch, whichever side
it appears on. Sentinels, end-of-sequence marks and padding are not counted. A rung is taken at the first step that reaches it.
"""

import argparse
from contextlib import nullcontext
from pathlib import Path

from transferlaws.files import exclusive
from transferlaws.model.settings import ModelSettings
from transferlaws.options import add_json, folder_of, specification
from transferlaws.training.device import choose_device
from transferlaws.training.distributed import World
from transferlaws.training.launch import relaunch
from transferlaws.training.mixture_text import MixtureText, Pretraining
from transferlaws.training.settings import PretrainingSettings
from transferlaws.training.trajectory import TrajectoryRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the stage."""
    parser.add_argument(
        "--tokens", type=folder_of, nargs="+", required=True, metavar="DIR", help="token shards of the mixture's corpora"
    )
    add_json(parser, "--weights", dict[str, int | float], required=True, help="corpus -> weight")
    parser.add_argument("--vocabulary", type=folder_of, required=True, metavar="DIR")
    add_json(parser, "--model", ModelSettings, required=True, help="the model's settings")
    add_json(parser, "--settings", PretrainingSettings, required=True, help="the pretraining settings")
    add_json(parser, "--ladder", list[int], required=True, help="increasing text tokens at which a rung is saved")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--model-name", required=True, metavar="NAME")
    parser.add_argument("--mixture", required=True, metavar="NAME")
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="where resumable state lives")
    parser.add_argument("--output", type=folder_of, required=True, metavar="DIR")
    parser.add_argument("--code", default="", help="fingerprint of the stage's code: state made by other code is not used")


def run(arguments: argparse.Namespace) -> None:
    """Train, or continue, one trajectory, on all GPUs of the job."""
    relaunch()
    pretrain(specification(Pretraining, arguments))


def pretrain(asked: Pretraining) -> None:
    """Train, or continue, one trajectory, and write its checkpoints, its log and `trajectory.json`.

    Raises:
        UserError: what is asked contradicts itself or the text, or a gradient is not finite.
    """
    text = MixtureText.open(asked)
    world = World.join(choose_device())
    trajectory = TrajectoryRun(asked, text, world)
    with exclusive(trajectory.state / "lock") if world.first else nullcontext():
        world.wait()
        trajectory.train()
