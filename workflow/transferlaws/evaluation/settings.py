"""Evaluation's part of a study's config. Imports no torch: parsing the workflow reads it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class EvaluationSettings(BaseModel):
    """How fine-tuned states are decoded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    beam: int = Field(1, ge=1, le=32, description="Beam size; 1 is greedy.")
    length_penalty: float = Field(1.0, description="A finished hypothesis scores log-probability / length ** length_penalty.")
    max_length: int = Field(
        128, ge=2, description="Most tokens of a hypothesis, its end mark included; longer ones are cut off, and counted."
    )
    length: int = Field(128, ge=4, description="Longest source or target read, in tokens; longer ones are cut off, and counted.")
    batch: int = Field(128, ge=1, description="Sentences a batch and replica.")
    test_items: int | None = Field(None, ge=1, description="Use the first so many test items; left out: all.")
    group: int = Field(0, ge=0, description="Most states of a curve decoded at once; 0: all on a GPU, 12 on a CPU.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Type of computation; auto: bf16 on a GPU, fp32 on a CPU."
    )


class ScoreSettings(BaseModel):
    """How hypotheses are scored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokenize: Literal["auto", "13a", "intl", "none", "char", "zh", "ja-mecab", "ko-mecab", "flores101", "flores200"] = Field(
        "auto",
        description="sacrebleu's tokenizer of BLEU. auto: by the target language: zh for Chinese; char for Japanese, Korean, Thai, "
        "Lao, Khmer, Burmese and others written without spaces; 13a else.",
    )
    chrf_word_order: int = Field(0, ge=0, le=2, description="0: chrF; 2: chrF++.")
    bootstrap: int = Field(1000, ge=2, description="Resamples of the test set for the noise of a score.")
    seed: int = Field(1, description="Seed of the resampling: the same resamples for every system, which pairs them.")
    comet: str | None = Field(None, description="A COMET model name or path (needs the `comet` extra); left out: none.")
