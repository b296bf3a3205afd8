"""Settings of cleaning: which rules run on documents and on pairs."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Base: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Share = Annotated[float, Field(ge=0, le=1)]

_RATIO = (
    "Most that one side's characters + 10 may be of the other's + 10; 0: no limit. A Han character counts for three, kana and "
    "Hangul for two."
)
_WORDS = "; without spaces between words, two Han characters or three other letters are one."


class Cleaning(Settings):
    """Which cleaning rules run. Each is counted in report.json under its name."""

    unicode: bool = Field(True, description="Normalise to Unicode NFC; Romanian cedillas become commas below.")
    control_characters: bool = Field(True, description="Remove control and invisible characters and directional overrides.")
    whitespace: bool = Field(True, description="Collapse runs of spaces, trim lines.")
    markup: bool = Field(False, description="Remove tags and character entities; remove items with plural or select messages.")
    accelerators: bool = Field(False, description="Remove the accelerator marks & and _ of interface strings.")
    placeholders: bool = Field(True, description="Remove pairs whose two sides have different format placeholders.")
    identical: bool = Field(True, description="Remove pairs whose two sides are the same but for case.")
    duplicates: bool = Field(True, description="Keep one of the items that are equal once normalised (letters only, lower case).")
    language: bool = Field(
        True, description="Remove texts of five words or more that are, with 90 % confidence, in another language."
    )
    near_duplicates: Share = Field(
        0.0, description="Keep one of the items whose word 3-grams (of the source) overlap at least this much, as 0.8; 0: off."
    )
    repeated_sources: bool = Field(False, description="Keep one pair of those with the same normalised source.")
    min_words: int = Field(1, ge=1, description="Fewest words of a text (of each side of a pair)" + _WORDS)
    max_words: int = Field(100_000, ge=1, description="Most words of a text (of each side of a pair).")
    max_characters: int = Field(1_000_000, ge=1, description="Most characters of a text (of each side of a pair).")
    min_letters: Share = Field(0.0, description="Least share of letters, with their marks, among a text's characters.")
    max_ratio: float = Field(0.0, ge=0, description=_RATIO)
    held_out: bool = Field(
        True, description="Refuse files and splits, and remove pairs of origins, that are named as a test set of the field."
    )


class BitextCleaning(Cleaning):
    """Cleaning with the defaults of sentence pairs."""

    max_words: int = Field(200, ge=1, description="Most words of each side.")
    max_characters: int = Field(2_000, ge=1, description="Most characters of each side.")
    min_letters: Share = Field(0.5, description="Least share of letters, with their marks, among a side's characters.")
    max_ratio: float = Field(2.5, ge=0, description=_RATIO)
