"""What the sections of a study's config are made of: names, counts, ladders, folders; and its tasks."""

from decimal import Decimal
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

NAME = r"^[A-Za-z0-9][A-Za-z0-9+._-]*$"
SCRATCH = "scratch"

Name = Annotated[str, Field(pattern=NAME, max_length=80)]


def count(value: object) -> object:
    """Accept `64k`, `1M`, `2.5G` beside plain integers; a unit that leaves a fraction is refused."""
    if isinstance(value, str):
        number, factor = value.strip(), 1
        for suffix, scale in (("k", 10**3), ("M", 10**6), ("G", 10**9), ("T", 10**12)):
            if number.endswith(suffix):
                number, factor = number[: -len(suffix)], scale
        try:
            scaled = Decimal(number) * factor  # in binary, 8.2 million is no whole number
            whole = int(scaled)
        except (ArithmeticError, ValueError):
            raise ValueError("expected a whole number, or one with k, M, G or T behind it (64k, 1M)") from None
        if not abs(scaled) < 2**63:
            raise ValueError("expected a number below 2^63")
        if scaled != whole:
            raise ValueError("expected a whole number of tokens or pairs")
        return whole
    return value


OF_THE_PROJECT = ("workflow", "profiles", "envs", "studies", "config", "tests", "docs", "benchmarks", ".git", ".snakemake")


def own_folder(path: str) -> str:
    """A folder that may be filled and emptied: not the project's own, not above it, not one that every program has a use for."""
    parts = PurePosixPath(path).parts
    if ".." in parts or any(part.startswith("-") for part in parts):
        raise ValueError("no part of it may be `..` or begin with `-`. Name a folder below this one, or an absolute path")
    if not parts or (path.startswith("/") and len(parts) < 3) or parts[0] in OF_THE_PROJECT or {".git", ".snakemake"} & set(parts):
        raise ValueError("this folder has another use. Name one of its own, such as `results`")
    return path


def place(path: str) -> str:
    """A folder's name that a command line can hold."""
    if not path.strip() or path.startswith("-") or not path.isprintable():
        raise ValueError("expected the name of a folder, which does not begin with `-`")
    return path


Place = Annotated[str, AfterValidator(place)]


def increasing(values: list[int]) -> list[int]:
    """Refuse a list that does not strictly increase."""
    for before, after in pairwise(values):
        if after <= before:
            raise ValueError(f"must increase: {after} follows {before}")
    return values


def distinct(values: list) -> list:
    """Refuse a list that names something twice."""
    if len(set(values)) != len(values):
        raise ValueError(f"names something twice: {values}")
    return values


COUNT_SCHEMA = {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "string", "pattern": r"^[0-9.]+[kMGT]?$"}]}
Count = Annotated[int, BeforeValidator(count), Field(gt=0), WithJsonSchema(COUNT_SCHEMA)]
Ladder = Annotated[list[Count], Field(min_length=1), AfterValidator(increasing)]


class Section(BaseModel):
    """A part of the config: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Task(Section):
    """What every task has: fine-tuning sizes, and those of training from scratch."""

    @property
    def scratch_sizes(self) -> list[int]:
        """D_f of each curve without pretraining."""
        return self.sizes if self.scratch is None else self.scratch

    @property
    def largest(self) -> int:
        """The largest D_f of any curve."""
        return max(self.sizes[-1], self.scratch_sizes[-1])


class Translation(Task):
    """Fine-tuning for translation."""

    kind: Literal["translation"] = Field(description="What is fine-tuned for.")
    bitext: Name = Field(
        description="The bitext with the pairs to train on, the dev set and the test set; translated in the order of its languages."
    )
    pairs: Ladder = Field(description="Fine-tuning sizes D_f, in sentence pairs; each is a curve.")
    scratch: Ladder | None = Field(
        None, description="Sizes that models without pretraining are trained at, in pairs; left out: those of `pairs`."
    )

    @property
    def sizes(self) -> list[int]:
        """D_f of each curve after pretraining."""
        return self.pairs


class LanguageModelling(Task):
    """Fine-tuning a decoder-only model on a target corpus."""

    kind: Literal["lm"] = Field(description="What is fine-tuned for.")
    corpus: Name = Field(description="The target corpus.")
    tokens: Ladder = Field(description="Fine-tuning sizes D_f, in tokens; each is a curve.")
    scratch: Ladder | None = Field(
        None,
        description="Sizes that models without pretraining are trained at, in tokens; left out: those of `tokens`. Effective data "
        "is read off the curve of these losses: let them reach a decade beyond `tokens`, or it ends where they do.",
    )

    @property
    def sizes(self) -> list[int]:
        """D_f of each curve after pretraining."""
        return self.tokens
