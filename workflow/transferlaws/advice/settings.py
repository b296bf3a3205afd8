"""Settings of the advice."""

from pydantic import BaseModel, ConfigDict, Field


class AdviceSettings(BaseModel):
    """What the advice assumes about aims and prices."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str | None = Field(
        None,
        description="column that decides; null: of bleu, chrf, comet, rouge, cross_entropy the first that is never 0 in a task",
    )
    worthwhile: float | None = Field(
        None,
        gt=0,
        description="smallest improvement of the deciding metric, in its own unit, that is worth a longer pretraining; null: 1 for "
        "scores of 0-100, 0.01 for scores of 0-1, 0.02 for losses in nats",
    )
    target_score: float | None = Field(None, gt=0, description="score to be reached; null: none, every worthwhile gain counts")
    target_pretraining_tokens: float | None = Field(
        None, gt=0, description="largest D_p that can be afforded; null: four times the largest rung"
    )
    pretraining_token_price: float | None = Field(None, gt=0, description="price of seeing one pretraining token")
    finetuning_unit_price: float | None = Field(None, gt=0, description="price of one pair or token of fine-tuning data")
    budget: float | None = Field(None, gt=0, description="money to split between pretraining and fine-tuning data")
    confidence: float = Field(
        0.9,
        gt=0.5,
        lt=1,
        description="level of intervals: a difference is called sure where its interval leaves out 0, else probable from this "
        "probability on",
    )
