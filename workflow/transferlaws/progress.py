"""Progress of long work: a bar by hand, timed lines under the workflow, silence where nobody looks."""

import os
import sys
import time
from types import TracebackType

from tqdm import tqdm

LINES_EVERY = 5.0  # seconds


class Progress:
    """A progress display of `total` units of work; a context manager.

    On a terminal it is a tqdm bar. Where several jobs share a terminal (`TRANSFERLAWS_PROGRESS=lines`, set by the workflow) it is
    one line every few seconds. Where standard error is no terminal it prints nothing.
    """

    def __init__(self, label: str, total: float, unit: str = "it") -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0.0
        self.note = ""
        self.start = self.printed = time.monotonic()
        self.first = 0.0  # work done before this process (resumed), left out of the rate
        terminal = sys.stderr.isatty()
        self.lines = terminal and os.environ.get("TRANSFERLAWS_PROGRESS") == "lines"
        self.bar = tqdm(total=total, desc=label, unit=unit, unit_scale=True, disable=not terminal or self.lines, leave=False)

    def resume(self, done: float) -> None:
        """Count work that an earlier process did."""
        self.first = self.done = done
        self.bar.n = done
        self.bar.refresh()

    def update(self, amount: float, note: str = "") -> None:
        """Add finished work; `note` is shown beside it (a loss, say)."""
        self.done += amount
        self.note = note
        self.bar.update(amount)
        if note:
            self.bar.set_postfix_str(note, refresh=False)
        if self.lines and time.monotonic() - self.printed >= LINES_EVERY:
            self.printed = time.monotonic()
            print(self.line(), file=sys.stderr, flush=True)

    @property
    def rate(self) -> float:
        """Units a second in this process."""
        return (self.done - self.first) / max(time.monotonic() - self.start, 1e-9)

    def line(self) -> str:
        """One line: label, share, amount, rate, time left, note."""
        share = self.done / self.total if self.total else 1.0
        left = (self.total - self.done) / self.rate if self.rate else float("inf")
        clock = f"{int(left) // 60}:{int(left) % 60:02d}" if left != float("inf") else "?"
        counts = f"{_scaled(self.done)}/{_scaled(self.total)} {self.unit}, {_scaled(self.rate)} {self.unit}/s"
        return f"[{self.label}] {share:4.0%} {counts}, {clock} left{', ' + self.note if self.note else ''}"

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.close()


def _scaled(value: float) -> str:
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.1f}{suffix}"
    return f"{value:.0f}"
