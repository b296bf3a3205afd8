"""What the workflow asks of Snakemake itself: which steps run beside it, what grows with an attempt, what is not tried again."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any


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
        return 0 if any(refusal(log).exists() for job in jobs for log in job.log) else before.fget(self)

    kind.restart_times = property(restart_times)


def refusal(log: str | Path) -> Path:
    """The file beside a stage's log that stands for a `UserError` which no other attempt can mend."""
    return Path(log).with_suffix(".refused")
