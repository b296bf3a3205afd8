"""Training logs: records for `log.jsonl`, and for TensorBoard where the user asks for it."""

import math
import os
import time
from pathlib import Path

import torch

from transferlaws.errors import UserError
from transferlaws.files import atomic, canonical_json

TENSORBOARD = "TRANSFERLAWS_TENSORBOARD"  # environment variable: folder of event files


class Log:
    """Records of one job, in order. `lines` may be restored from an earlier process."""

    def __init__(self, name: str, lines: list[dict] | None = None) -> None:
        self.lines = lines or []
        self.writer = _writer(name) if os.environ.get(TENSORBOARD) else None

    def add(self, step: int, record: dict, label: str = "") -> None:
        """Keep a record; its finite numbers also go to TensorBoard, below `label`."""
        self.lines.append({**record, "time": time.time()})
        for key, value in record.items() if self.writer else ():
            if isinstance(value, int | float) and math.isfinite(value):
                self.writer.add_scalar(f"{label}/{key}" if label else key, value, step)


def write_lines(path: Path, lines: list[dict]) -> None:
    """Write JSON lines atomically."""
    with atomic(path) as temporary:
        temporary.write_text("".join(canonical_json(line) + "\n" for line in lines), encoding="utf-8")


def _writer(name: str):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError(f"{TENSORBOARD} is set, but the package tensorboard is not installed: pip install tensorboard.") from None
    return SummaryWriter(str(Path(os.environ[TENSORBOARD]) / name.replace(" ", "/")))


class Utilisation:
    """Model FLOP utilisation since the last reading, as a share of the device's measured bf16 matrix rate; None on a CPU."""

    def __init__(self, device: torch.device) -> None:
        self.rate = _matrix_rate(device) if device.type == "cuda" else None
        self.flops, self.time = 0.0, time.monotonic()

    def since(self, flops: float) -> float | None:
        """MFU between the last call and this one; `flops` counts from the start of the run."""
        now, share = time.monotonic(), None
        if self.rate and self.flops and now > self.time:
            share = (flops - self.flops) / (now - self.time) / self.rate
        self.flops, self.time = flops, now
        return share


def _matrix_rate(device: torch.device) -> float:
    size, calls = 4096, 20
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    for call in range(calls + 5):
        if call == 5:
            start.record()
        a @ a
    end.record()
    end.synchronize()
    return calls * 2 * size**3 / (start.elapsed_time(end) / 1e3)
