"""Every law by name: its equation, which rows of a measurement table it reads, and how they are grouped into curves."""

from dataclasses import dataclass
from typing import Literal

from transferlaws.laws import neighbours, posynomial, score
from transferlaws.laws.form import Form

CURVE = ("task", "model", "mixture", "finetuning_size", "finetuning_unit")
SURFACE = ("task", "model", "mixture", "finetuning_unit")


@dataclass(frozen=True)
class Law:
    """A form and its place in the measurement table."""

    form: Form
    kind: Literal["score", "loss"]
    """Scores are read upward, losses downward."""
    group: tuple[str, ...]
    """Columns whose every combination is fitted alone; those that are an x of the law are left out."""
    rows: Literal["pretrained", "scratch", "all"] = "pretrained"
    held_out_rungs: int = 1
    delta: float = 1e-3
    """Huber threshold on log residuals; Isik et al., appendix A.2, have 0.1 for scores and 1e-3 for cross-entropy."""


LAWS: dict[str, Law] = {
    law.form.name: law
    for law in (
        Law(score.SCORE_LOG, "score", CURVE, delta=0.1),
        Law(posynomial.CROSS_ENTROPY_POWER, "loss", CURVE),
        Law(posynomial.TRANSFER_GAP, "loss", SURFACE),
        Law(
            score.EFFECTIVE_DATA, "loss", ("task", "mixture", "pretraining_tokens", "finetuning_unit"), held_out_rungs=0, delta=0.1
        ),
        Law(posynomial.CHINCHILLA, "loss", ("task", "mixture", "finetuning_size", "finetuning_unit")),
        Law(neighbours.KAPLAN, "loss", ("task", "finetuning_unit"), rows="scratch"),
        Law(posynomial.ZHANG_MULTIPLICATIVE, "loss", SURFACE),
        Law(posynomial.ZHANG_ADDITIVE, "loss", SURFACE),
        Law(neighbours.RECTIFIED, "loss", ("task", "model", "mixture", "pretraining_tokens", "finetuning_unit"), rows="all"),
        Law(neighbours.REPEATED_DATA, "loss", CURVE),
        Law(score.SCORE_FROM_LOSS, "score", ("task", "model"), rows="all", held_out_rungs=0, delta=0.1),
    )
}
