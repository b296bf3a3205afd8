"""What a law is to a measurement table: its equation, the rows that it reads, how they are grouped, how it is fitted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from transferlaws.laws.forms.form import Form


@dataclass(frozen=True)
class Law:
    """A form and its place in the measurement table."""

    form: Form
    kind: Literal["score", "loss"]
    """Scores are read upward, losses downward."""
    group: tuple[str, ...]
    """Columns whose every combination is fitted alone; those that are an x of the law are left out."""
    fitter: Callable[..., list]
    """`fitter(groups, law=law, settings=settings)` fits every group, the settings resolved: an estimate, or why there is none."""
    rows: Literal["pretrained", "scratch", "all"] = "pretrained"
    held_out_rungs: int = 1
    delta: float = 1e-3
    """Huber threshold on log residuals; Isik et al., appendix A.2, have 0.1 for scores and 1e-3 for cross-entropy."""
