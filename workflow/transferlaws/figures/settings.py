"""Settings of the figures."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FIGURES = (
    "summary",
    "downstream",
    "score-vs-loss",
    "upstream",
    "alignment",
    "transfer-gap",
    "effective-data",
)
GAINS = ("summary", "alignment")
"""Figures that draw the gains of the advice."""
FigureName = Literal[FIGURES]


class FigureSettings(BaseModel):
    """How figures are drawn; nothing here changes a measurement or a fit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    score: Literal["bleu", "chrf"] = Field("bleu", description="score that is drawn beside cross-entropy")
    width: float = Field(7.0, ge=3, le=20, description="width of a figure, inches")
    panel_height: float = Field(2.1, ge=1, le=10, description="height of one panel, inches")
    columns: int = Field(3, ge=1, le=8, description="panels side by side before a new row starts")
    dpi: int = Field(200, ge=50, le=600, description="resolution of the PNG, dots per inch")
