"""Resumable state: whole or absent, checked when read, saved on SIGTERM."""

import hashlib
import json
import signal
import time
from pathlib import Path
from types import FrameType, TracebackType

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from transferlaws.files import atomic, canonical_json


def key(**parts: object) -> str:
    """A short hash of everything a result depends on; equal parts, and no others, share a result."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:24]


def _digest(tensors: dict[str, Tensor], plain: str) -> str:
    digest = hashlib.sha256(plain.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def save_state(path: Path, tensors: dict[str, Tensor], plain: dict) -> None:
    """Write tensors and plain data as one safetensors file that carries its own checksum."""
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(plain)
    with atomic(path) as temporary:
        save_file(tensors, temporary, metadata={"plain": text, "sha256": _digest(tensors, text)})


def load_state(path: Path) -> tuple[dict[str, Tensor], dict] | None:
    """What `save_state` wrote; None where there is nothing, or nothing whole (then the work starts again)."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        return None
    if metadata is None or metadata.get("sha256") != _digest(tensors, metadata.get("plain", "")):
        return None
    return tensors, json.loads(metadata["plain"])


def read_plain(path: Path) -> dict:
    """The plain data that `save_state` wrote, unchecked; empty where there is none."""
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads((file.metadata() or {}).get("plain", "{}"))
    except (SafetensorError, OSError, ValueError):
        return {}


class Terminated(BaseException):
    """Raised after the state is saved, when the process was asked to stop."""


class Checkpointer:
    """Says when to save: every `seconds`, and at once when SIGTERM (or Ctrl-C) asked the process to stop.

    A context manager that restores the signal handlers. The work calls `due()` between steps, saves if it is true, then
    `stop_if_asked()`.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.last, self.asked = seconds, time.monotonic(), 0
        self.previous: dict[int, object] = {}

    def __enter__(self) -> "Checkpointer":
        for number in (signal.SIGTERM, signal.SIGINT):
            self.previous[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, _: FrameType | None) -> None:
        # a second Ctrl-C does not wait for a step to end; SIGTERM may come twice, from SLURM and from torchrun
        if self.asked and number == signal.SIGINT:
            raise Terminated(128 + number)
        self.asked = number

    def due(self) -> bool:
        """True if the state should be saved now."""
        if not self.asked and time.monotonic() - self.last < self.seconds:
            return False
        self.last = time.monotonic()
        return True

    def stop_if_asked(self) -> None:
        """End the process with the status of the signal, after a save."""
        if self.asked:
            self.stop()

    def stop(self) -> None:
        """End the process as SIGTERM does, or whatever signal was met."""
        raise SystemExit(128 + (self.asked or signal.SIGTERM))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        if kind is Terminated:
            raise SystemExit(int(str(error)))
