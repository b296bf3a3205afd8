"""Every law by name: its equation, which rows of a measurement table it reads, and how they are grouped into curves."""

from dataclasses import dataclass
from typing import Literal

from transferlaws.laws import posynomial, score
from transferlaws.laws.form import Form

CURVE = ("task", "model", "mixture", "finetuning_size", "finetuning_unit")


@dataclass(frozen=True)
class Law:
    """A form and its place in the measurement table."""

    form: Form
    kind: Literal["score", "loss"]
    """Scores are fitted with delta 0.1 and read upward, losses with delta 0.001 and read downward (Isik et al., appendix A.2)."""
    group: tuple[str, ...]
    """Columns whose every combination is fitted alone."""
    rows: Literal["pretrained", "scratch", "all"] = "pretrained"
    held_out_rungs: int = 1


LAWS: dict[str, Law] = {
    law.form.name: law
    for law in (
        Law(score.SCORE_LOG, "score", CURVE),
        Law(posynomial.CROSS_ENTROPY_POWER, "loss", CURVE),
        Law(posynomial.TRANSFER_GAP, "loss", ("task", "model", "mixture", "finetuning_unit")),
        Law(posynomial.ZHANG_MULTIPLICATIVE, "loss", ("task", "model", "mixture", "finetuning_unit")),
        Law(posynomial.ZHANG_ADDITIVE, "loss", ("task", "model", "mixture", "finetuning_unit")),
        Law(posynomial.CHINCHILLA, "loss", ("task", "mixture", "finetuning_size", "finetuning_unit")),
        Law(score.SCORE_FROM_LOSS, "score", ("task", "model"), rows="all", held_out_rungs=0),
    )
}
DELTAS = {"score": 0.1, "loss": 1e-3}
