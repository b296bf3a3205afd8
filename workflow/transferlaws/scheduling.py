"""What the workflow asks of Snakemake itself: which steps run beside it, what grows with an attempt, what is not tried again."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

REFUSED = "[refused] the same input would be refused again, so this is not tried again"
TAIL = 4096  # bytes of a log that hold its last line


def run_beside(workflow: Any, names: Iterable[str]) -> None:
    """Run rules where Snakemake runs instead of in a queue, also those that the profile puts into a group."""
    names = list(names)
    for name in names:
        workflow.get_rule(name).group = None
    workflow.localrules(*names)


def grow(settings: Any, growing: Iterable[tuple[str, str, str]]) -> None:
    """Let plain numbers of `set-resources` grow with the attempt, as the rules' own do: (rule, resource, expression)."""
    from snakemake.resources import Resources

    for rule, name, expression in growing:
        resources = settings.overwrite_resources[rule]
        resources.update(Resources.parse([f"{name}={expression}"], allow_expressions=True))


def give_up_on_refusals() -> None:
    """Let `retries` repeat what a cluster did to a job, and not what the job refused: bad input stays bad."""
    from snakemake.jobs import GroupJob, Job

    for kind in (Job, GroupJob):
        _limit_retries(kind)


def _limit_retries(kind: type) -> None:
    before = kind.restart_times

    def restart_times(self: Any) -> int:
        jobs = getattr(self, "jobs", [self])
        return 0 if any(refused(log) for job in jobs for log in job.log) else before.fget(self)

    kind.restart_times = property(restart_times)


def refused(log: str | Path) -> bool:
    """Whether a stage's log ends with the mark of a `UserError` that no other attempt can mend."""
    try:
        with open(log, "rb") as file:
            file.seek(max(os.path.getsize(log) - TAIL, 0))
            last = file.read().decode(errors="replace").rstrip().rpartition("\n")[2]
    except OSError:
        return False
    return last.endswith(REFUSED)
