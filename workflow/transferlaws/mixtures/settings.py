"""What is asked of a mixture law."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from transferlaws.mixtures.forms import FORMS

LawName = Literal["constant", "log-linear", "exponential", "additive", "power", "exposure", "joint"]
assert set(LawName.__args__) == set(FORMS), "every law can be named"


class MixtureSettings(BaseModel):
    """How mixture laws are fitted, and which mixtures are allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    laws: list[LawName] | None = Field(None, min_length=1, description="laws to compare; null: all that the table's columns allow")
    law: LawName | None = Field(None, description="law that answers; null: the one with the smallest error at held-out mixtures")
    folds: int = Field(10, ge=2, description="parts in which mixtures are held out; as many as mixtures leaves out one at a time")
    level: float = Field(0.9, gt=0.5, lt=1, description="coverage aimed at by intervals and sets")
    draws: int = Field(1000, ge=100, description="draws of the parameters")
    candidates: int = Field(2000, ge=100, description="allowed mixtures that are tried for the set of the best")
    minimum_share: dict[str, float] = Field({}, description="corpus -> smallest share allowed")
    maximum_share: dict[str, float] = Field({}, description="corpus -> largest share allowed")
    available_tokens: dict[str, float] = Field({}, description="corpus -> tokens that exist; left out: without end")
    passes: float = Field(1.0, gt=0, description="most passes over a corpus whose available_tokens are given")
    target_tokens: float | None = Field(
        None, gt=0, description="tokens that the mixture is to be trained on; null: the largest in the table"
    )
    worthwhile: float = Field(
        0.01, gt=0, description="smallest improvement, in the target's unit, that is worth another run; `propose` stops below it"
    )
    run_cost: float = Field(1.0, gt=0, description="cost of one run, such as the GPU-hours that `plan` tells")
    corpus_cost: dict[str, float] = Field(
        {}, description="corpus -> cost of using it alone for a run, added in proportion to its share"
    )
    seed: int = Field(0, ge=0, description="seed of folds, draws and candidates")
