"""What a profile, or the command line, asks for beside the rules, and what Snakemake is told of it."""

import re
from collections.abc import Iterable
from typing import Any

GROWING = ("mem_mb", "runtime")
LOCAL = "local_minutes"  # in Snakemake's `config`, where a profile says it; no part of a study


class Requests:
    """`set-resources` and `default-resources` of this call of Snakemake.

    Beside the resources that a cluster knows, a profile may state `runtime_limit` (minutes) and `mem_mb_limit`: no job asks
    for more, whatever its attempt.
    """

    def __init__(self, rules: dict[str, dict[str, Any]] | None = None, defaults: dict[str, Any] | None = None) -> None:
        self._rules, self._defaults = rules or {}, defaults or {}

    def of(self, rule: str, name: str) -> int | str | None:
        """A resource as it was written: a number, or text; None where nobody set it."""
        return self._rules.get(rule, {}).get(name, self._defaults.get(name))

    def gpus(self, rule: str) -> int:
        """GPUs of a job of the rule on a node."""
        # gpu: of the whole job; gres: gpu:a100:4, of each node
        return -(-_number(self.of(rule, "gpu")) // self._nodes(rule)) or _count(self.of(rule, "gres"), "gpu")

    def _nodes(self, rule: str) -> int:
        return max(_number(self.of(rule, "nodes")), 1)

    def processes(self, rule: str) -> int:
        """Processes that a job of the rule starts on a node: one a GPU, without GPUs one a task."""
        return self.gpus(rule) or max(_number(self.of(rule, "tasks")) // self._nodes(rule), 1)

    def at_most(self, rule: str, name: str, amount: int) -> int:
        """An amount of `runtime` or `mem_mb`, held to the limit that the profile states for it."""
        limit = _number(self.of(rule, f"{name}_limit"))
        return min(amount, limit) if limit else amount

    def growing(self) -> Iterable[tuple[str, str, str]]:
        """Rule, resource and expression for each plain number that was set for one that grows with the attempt."""
        for rule, resources in self._rules.items():
            for name in GROWING:
                if number := _number(resources.get(name)):
                    limit = _number(self.of(rule, f"{name}_limit"))
                    yield rule, name, f"min({number} * attempt, {limit})" if limit else f"{number} * attempt"


def requests(settings: Any) -> Requests:
    """Those of Snakemake's `workflow.resource_settings`."""

    def raw(resources: Any) -> dict[str, Any]:
        return {name: getattr(value, "raw", value) for name, value in (resources.items() if resources else ())}

    rules = {rule: raw(resources) for rule, resources in settings.overwrite_resources.items()}
    return Requests(rules, raw(settings.default_resources))


def _number(value: object) -> int:
    """A whole number, also one in quotes; 0 for anything else."""
    found = re.fullmatch(r"\s*['\"]?(\d+)['\"]?\s*", str(value))
    return int(found[1]) if found else 0


def _count(value: object, word: str) -> int:
    """The count of `gpu:4`, `gpu:a100:4` or `gpu:a100` in a list of such; 0 where `word` is not in it."""
    counts = [part.strip(" '\"").split(":") for part in str(value or "").split(",")]
    return sum(int(parts[-1]) if parts[-1].isdigit() else 1 for parts in counts if parts[0] == word)
