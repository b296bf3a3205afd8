"""Stage: a mixture -> one trajectory, a checkpoint per rung.

`D_p` counts the text tokens that training has consumed: every token of a corpus once each time it enters a batch, whichever side
it appears on. Sentinels, end-of-sequence marks and padding are not counted. A rung is taken at the first step that reaches it.
"""

import argparse
import json
from contextlib import nullcontext

from transferlaws.errors import UserError
from transferlaws.files import exclusive
from transferlaws.training.launch import relaunch
from transferlaws.training.trajectory import Trajectory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the stage."""
    parser.add_argument("--tokens", nargs="+", required=True, metavar="DIR", help="token shards of the mixture's corpora")
    parser.add_argument("--weights", required=True, metavar="JSON", help="corpus -> weight")
    parser.add_argument("--vocabulary", required=True, metavar="DIR")
    parser.add_argument("--model", required=True, metavar="JSON", help="the model's settings")
    parser.add_argument("--settings", required=True, metavar="JSON", help="the pretraining settings")
    parser.add_argument("--ladder", required=True, metavar="JSON", help="increasing text tokens at which a rung is saved")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--model-name", required=True, metavar="NAME")
    parser.add_argument("--mixture", required=True, metavar="NAME")
    parser.add_argument("--state", required=True, metavar="DIR", help="where resumable state lives")
    parser.add_argument("--output", required=True, metavar="DIR")
    parser.add_argument("--code", default="", help="fingerprint of the stage's code: state made by other code is not used")


def run(arguments: argparse.Namespace) -> None:
    """Train, or continue, one trajectory."""
    relaunch()
    ladder = json.loads(arguments.ladder)
    if not ladder or ladder[0] <= 0 or ladder != sorted(set(ladder)):
        raise UserError(f"--ladder {arguments.ladder}: expected increasing positive numbers of tokens.")
    trajectory = Trajectory(arguments, ladder)
    with exclusive(trajectory.state / "lock") if trajectory.world.first else nullcontext():
        trajectory.world.wait()
        trajectory.train()
