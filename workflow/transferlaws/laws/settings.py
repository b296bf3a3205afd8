"""Settings of law fits."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from transferlaws.measurements.columns import SCORES

LAWS = (
    "score-log",
    "cross-entropy-power",
    "transfer-gap",
    "effective-data",
    "chinchilla",
    "kaplan",
    "zhang-multiplicative",
    "zhang-additive",
    "rectified",
    "repeated-data",
    "score-from-loss",
)
SCORE_LAWS = ("score-log", "score-from-loss")
"""Laws of scores; all others are of losses."""
LEAST_DISTINCT: dict[str, dict[str, int]] = {
    "score-log": {"pretraining_tokens": 3},
    "cross-entropy-power": {"pretraining_tokens": 3},
    "transfer-gap": {"pretraining_tokens": 3, "finetuning_size": 3},
    "effective-data": {"finetuning_size": 2, "parameters_non_embedding": 2},
    "chinchilla": {"parameters_non_embedding": 3, "pretraining_tokens": 3},
    "kaplan": {"parameters_non_embedding": 2, "finetuning_size": 3},
    "zhang-multiplicative": {"pretraining_tokens": 2, "finetuning_size": 3},
    "zhang-additive": {"pretraining_tokens": 3, "finetuning_size": 3},
    "rectified": {"finetuning_size": 4},
    "repeated-data": {"pretraining_tokens": 4, "pretraining_unique_tokens": 1},
    "score-from-loss": {"cross_entropy": 3},
}
"""Each law's x columns, with the smallest number of different values; the forms have them too, but are slow to import."""
PROTOCOL_LAWS: dict[str, tuple[str, ...]] = {
    "isik": ("score-log", "cross-entropy-power"),
    "barnett": ("transfer-gap",),
    "hernandez": ("effective-data",),
    "chinchilla": ("chinchilla",),
}
"""The laws that a paper's own protocol fits; `default` fits all."""
LawName = Literal[LAWS]
ProtocolName = Literal["default", "isik", "barnett", "hernandez", "chinchilla"]


class FitSettings(BaseModel):
    """How a law is fitted. Everything left at null takes the law's or the protocol's own value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    protocol: ProtocolName = Field("default", description="named procedure: this project's default, or a paper's own")
    metrics: list[str] | None = Field(
        None, description="columns of measurements.csv to fit; null: every score, or the cross-entropy, as the law asks"
    )
    columns: list[str] | None = Field(
        None, description="x columns of measurements.csv in the order of the law's equation; null: the law's own"
    )
    delta: float | None = Field(
        None, gt=0, description="Huber threshold on log residuals; null: 0.001 for cross-entropy, 0.1 for scores"
    )
    held_out_rungs: int | None = Field(
        None,
        ge=0,
        description="how many of the largest values of the law's first x column are predicted, not fitted; null: 1 (0 for laws "
        "without rungs). Fewer are held out where too few would be left to fit",
    )
    fitted_rungs: int | None = Field(
        None,
        ge=2,
        description="fit only this many smallest values of the first x column, hold out all others; null: see held_out_rungs",
    )
    across: list[str] | None = Field(
        None,
        description="columns whose values are fitted together where the law fits each alone; [pretraining_tokens] for "
        "effective-data of sizes that were each pretrained on a D_p of their own; null: none",
    )
    level: float = Field(0.9, gt=0, lt=1, description="coverage aimed at by intervals and bands")
    bootstraps: int = Field(2000, ge=100, description="bootstrap replicates")
    resampling: Literal["noise", "runs"] | None = Field(
        None,
        description="noise: simulate run, residual and test-set noise with small-sample corrections (any number of seeds); "
        "runs: draw whole runs with replacement (20 runs or more); null: noise, or the protocol's own",
    )
    pool_noise: bool = Field(
        True, description="estimate run and residual noise from all curves of a task, model and metric together, in log units"
    )
    extrapolation: float = Field(4.0, ge=1, description="bands reach this many times beyond the largest fitted or held-out rung")
    identified_ratio: float = Field(
        2.0,
        gt=1,
        description="a parameter is identified if its interval is bounded and its ends are within this factor of each other",
    )
    significance: float = Field(0.05, gt=0, lt=1, description="level of the tests of monotony and of fit")
    low_data_share: float = Field(
        0.1, gt=0, description="effective-data: keep D_F up to this share of D(N), the data for 99 % of infinite-data performance"
    )
    seed: int = Field(0, ge=0, description="seed of the bootstrap")


def law_of(metric: str) -> str:
    """The law of a curve of one metric against D_p, the one that figures draw and advice asks."""
    return "score-log" if metric in SCORES else "cross-entropy-power"
