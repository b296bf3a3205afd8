"""A stage in miniature: counts, saves how far it got every half second and when asked to stop, and goes on from there.

It does not end before the file `finish` is beside its state: the test decides how long there is something to disturb.
"""

import argparse
import os
import signal
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--name", required=True)
parser.add_argument("--steps", type=int, required=True)
parser.add_argument("--state", type=Path, required=True)
parser.add_argument("--output", type=Path, required=True)
arguments = parser.parse_args()

arguments.state.mkdir(parents=True, exist_ok=True)
state, history = arguments.state / arguments.name, arguments.state / f"{arguments.name}.history"
step = int(state.read_text()) if state.exists() else 0
with open(history, "a") as file:
    file.write(f"{os.getpid()} {step}\n")


def save() -> None:
    temporary = state.with_suffix(".new")
    temporary.write_text(str(step))
    temporary.rename(state)


def stop(number: int, frame: object) -> None:
    time.sleep(1)  # a state of some size
    save()
    (arguments.state / f"{arguments.name}.stopped").touch()
    raise SystemExit(128 + number)


signal.signal(signal.SIGTERM, stop)
while step < arguments.steps or not (arguments.state / "finish").exists():
    time.sleep(0.05)
    step = min(step + 1, arguments.steps)
    if step % 10 == 0:
        save()
arguments.output.write_text(f"{arguments.name} {sum(range(step + 1))}\n")
