"""Progress of long work: a bar by hand, timed lines under the workflow, silence where nobody looks; and the log they go to."""

import logging
import os
import sys
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from transferlaws.format import printable, short_number

LINES_EVERY = 5.0  # seconds

logger = logging.getLogger("transferlaws")


class Progress:
    """A progress display of `total` units of work, 0 where nobody knows how many; a context manager.

    By hand on a terminal it is a tqdm bar. Beside it, and alone where several jobs share a terminal (`TRANSFERLAWS_PROGRESS=lines`,
    set by the workflow), a line every few seconds goes to the log, which shows it on the terminal and keeps it in the log file.
    `place` is the bar's line where several processes show one each.
    """

    def __init__(self, label: str, total: float, unit: str = "it", place: int = 0) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0.0
        self.note = ""
        self.start = self.printed = time.monotonic()
        self.first = 0.0  # work done before this process (resumed), left out of the rate
        hidden = not sys.stderr.isatty() or os.environ.get("TRANSFERLAWS_PROGRESS") == "lines"
        self.bar = tqdm(total=total or None, desc=label, unit=unit, unit_scale=True, disable=hidden, leave=False, position=place)

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
        if time.monotonic() - self.printed >= LINES_EVERY:
            self.printed = time.monotonic()
            logger.info(self.line())

    @property
    def rate(self) -> float:
        """Units a second in this process."""
        return (self.done - self.first) / max(time.monotonic() - self.start, 1e-9)

    def line(self) -> str:
        """One line: label, share, amount, rate, time left, note."""
        note, rate = f", {self.note}" if self.note else "", f"{short_number(self.rate)} {self.unit}/s"
        if not self.total:
            return f"[{self.label}] {short_number(self.done)} {self.unit}, {rate}{note}"
        left = (self.total - self.done) / self.rate if self.rate else float("inf")
        clock = f"{int(left) // 60}:{int(left) % 60:02d}" if left != float("inf") else "?"
        counts = f"{self.done / self.total:4.0%} {short_number(self.done)}/{short_number(self.total)} {self.unit}"
        return f"[{self.label}] {counts}, {rate}, {clock} left{note}"

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.close()
        if error is None:
            logger.info("[%s] done: %s %s in %.0f s", self.label, short_number(self.done), self.unit, time.monotonic() - self.start)


class _Printable(logging.Formatter):
    """Lines without control characters, which names in data may hold."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def configure_log(path: Path | None, mode: str = "w") -> None:
    """The package's log: everything to the file; to the terminal progress lines under the workflow, and warnings always.

    Args:
        path: the file; None for none.
        mode: "w" begins the file anew, also as `name.1.log`, `name.2.log` and so on, which Snakemake does not delete before the
            next attempt; "a" is for the other processes of a stage.
    """
    logger.setLevel(logging.INFO)
    logger.propagate = False
    terminal = logging.StreamHandler()
    lines = sys.stderr.isatty() and os.environ.get("TRANSFERLAWS_PROGRESS") == "lines"
    terminal.setLevel(logging.INFO if lines else logging.WARNING)
    terminal.setFormatter(_Printable())
    logger.handlers = [terminal]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if mode == "w":
            path.unlink(missing_ok=True)  # not only emptied: an earlier attempt's log may be the same file
        path.open(mode).close()
        if mode == "w":
            with suppress(OSError):  # a file system without links
                os.link(path, next(kept for number in count(1) if not (kept := _attempt(path, str(number))).exists()))
        file = logging.FileHandler(path, mode="a", encoding="utf-8")  # processes append, none writes over another's lines
        file.setFormatter(_Printable("%(asctime)s %(levelname)s %(message)s"))
        logger.handlers.append(file)


def forget_attempt(path: Path) -> None:
    """Leave the log its one name: it is no failed attempt's."""
    for kept in path.parent.glob(_attempt(path, "*").name):
        with suppress(OSError):
            if kept.samefile(path):
                kept.unlink()


def _attempt(path: Path, number: str) -> Path:
    return path.with_suffix(f".{number}{path.suffix}")
