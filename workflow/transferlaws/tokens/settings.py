"""Settings of the vocabulary."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from transferlaws.options import OwnFiles


class VocabularySettings(BaseModel):
    """The vocabulary that all models of a study share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(4096, ge=320, le=1 << 20, multiple_of=64, description="Ids in all, sentinels included; a multiple of 64.")
    sentinels: int = Field(
        64, ge=1, le=1000, description="Ids that stand for masked spans; a tokenizer.json keeps its own <extra_id_N>."
    )
    sample_characters: int = Field(
        4_000_000, ge=1000, description="Characters to train on, shared fairly by languages and, within each, by corpora."
    )
    corpora: list[str] | None = Field(
        None,
        min_length=1,
        description="Corpora and bitexts to train on; left out: the corpora in use, and of the tasks' bitexts the languages that "
        "no such corpus has. Named, the vocabulary stays when other corpora join or leave the study.",
    )
    character_coverage: float = Field(
        0.9999, ge=0.9, le=1, description="Share of characters that get pieces; bytes spell the rest."
    )
    model: Annotated[str, OwnFiles(elsewhere=True)] = Field(
        "",
        description="An existing tokenizer to use instead: a sentencepiece model (.model) or a Hugging Face tokenizer.json, a "
        "folder that has one, or owner/name@commit on the Hugging Face hub. Its size then counts; `size` serves the plan of costs "
        "alone, of a tokenizer on the hub.",
    )
    pad_token: str = Field("<pad>", min_length=1, description="Token of a tokenizer.json that pads; its id becomes 0.")
    eos_token: str = Field("</s>", min_length=1, description="Token of a tokenizer.json that ends a text; its id becomes 1.")

    @model_validator(mode="after")
    def _room(self) -> "VocabularySettings":
        # 3 special pieces, 256 bytes
        if self.size < self.sentinels + 259 + 32:
            raise ValueError(f"size {self.size} leaves no room beside {self.sentinels} sentinels, 256 bytes and 3 special pieces")
        return self
