"""How much of a split was cut off, counted and said: what a length limit takes away, no other number shows."""

import logging

from transferlaws.training.examples import Examples

LOUD = 0.01  # a larger share of a split is a warning

logger = logging.getLogger("transferlaws")


def counts(examples: Examples) -> dict[str, int]:
    """Items, and how many of their sources and targets were cut; segments of an `lm` task are parted, not cut."""
    sources, targets = examples.cut()
    return {"items": len(examples), "sources_cut": int(sources.sum()), "targets_cut": int(targets.sum())}


def say(where: str, items: int, cut: dict[str, int], limit: str) -> None:
    """Log each count that is above 0, as a warning from a share of `LOUD` on.

    Args:
        where: the split, and what it belongs to.
        items: the items of the split.
        cut: what was cut -> how often.
        limit: the key of the config that sets the limit, with its value.
    """
    for what, count in cut.items():
        if count:
            level = logging.WARNING if count > LOUD * items else logging.INFO
            logger.log(level, "%s: %s of %s %s are longer than %s and cut off.", where, f"{count:,}", f"{items:,}", what, limit)
