"""The last words of a run that failed: the line of each stage that says what to do, once, and nothing else."""

import re
from pathlib import Path

LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ (?P<level>[A-Z]+) (?P<text>.*)$")
SHOWN = 5


def last_words(logs: str, since: float) -> list[str]:
    """The distinct errors that stages logged after `since` (seconds since the epoch), each with the log that has the rest.

    A stage's error may have several lines; a traceback belongs to the log.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(Path(logs).rglob("*.log")):
        if path.stat().st_mtime >= since and (text := _error(path)):
            found.setdefault(text, []).append(path)
    lines = [
        f"{text} ({paths[0]}{f' and {len(paths) - 1} more logs' if len(paths) > 1 else ''})"
        for text, paths in list(found.items())[:SHOWN]
    ]
    return lines + ([f"... and {len(found) - SHOWN} other errors"] if len(found) > SHOWN else [])


def _error(path: Path) -> str:
    """The last error in a log, with the lines that go on with it; empty where its last entry is none."""
    entries: list[list[str]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if LINE.match(line):
            entries.append([line])
        elif entries:
            entries[-1].append(line)
    entry = entries[-1] if entries else [""]
    head = LINE.match(entry[0])
    if head is None or head["level"] != "ERROR":
        return ""
    traceback = next((number for number, line in enumerate(entry) if line.startswith("Traceback ")), None)
    more = entry[1:] if traceback is None else [entry[-1]]
    return "\n".join([head["text"], *more])
