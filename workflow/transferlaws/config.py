"""The whole study's config: one schema, every mistake found before any job starts.

The JSON schema in `workflow/schemas/` and the table in the docs are generated from `Study`.
"""

from decimal import Decimal
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from transferlaws.advice.settings import AdviceSettings
from transferlaws.compute import ComputeSettings
from transferlaws.config_checks import contradictions
from transferlaws.config_errors import describe, explain
from transferlaws.corpora.settings import BitextSettings, CorpusSettings
from transferlaws.errors import UserError
from transferlaws.evaluation.settings import EvaluationSettings, ScoreSettings
from transferlaws.evaluation.tokenizers import problems as scoring_problems
from transferlaws.figures.settings import FigureName, FigureSettings
from transferlaws.laws.settings import FitSettings, LawName
from transferlaws.mixtures.design_settings import in_schema, with_design
from transferlaws.model.settings import ModelSettings
from transferlaws.tokens.settings import VocabularySettings
from transferlaws.training.settings import FinetuningSettings, PretrainingSettings

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


class Pretraining(PretrainingSettings):
    """How models are pretrained, and up to where."""

    ladder: Ladder = Field(
        description="Rungs: pretraining tokens D_p at which each trajectory is checkpointed. Rung 0 is always there."
    )
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(distinct)] = Field(
        [1], description="Seeds of pretraining and fine-tuning, from 0 up; each is a run of its own."
    )


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


class Curves(Section):
    """What is crossed with what."""

    models: Literal["all"] | list[Name] = Field("all", description="Models to cross, or `all`.")
    mixtures: Literal["all"] | list[Name] = Field("all", description="Mixtures to cross, or `all`.")
    tasks: Literal["all"] | list[Name] = Field("all", description="Tasks to cross, or `all`.")
    leave_out: list[dict[Literal["model", "mixture", "task"], Name]] = Field(
        [], description="Crossings to leave out, such as `{mixture: fr, task: en-de}`."
    )


class Study(Section):
    """A study: which models, pretrained on which mixtures, fine-tuned for which tasks, and what is fitted to the outcome."""

    study: Name = Field(description="Name of the study; it stands in every row of the table.")
    results: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/+-]+$"), AfterValidator(own_folder)] = Field(
        "results", description="Folder that everything computed goes to."
    )
    cache: Place | None = Field(
        None, description="Folder for downloads, shared by checkouts; empty: `transferlaws` in the user's cache folder."
    )
    store: Place | None = Field(
        None,
        description="Folder where corpora, bitexts, vocabularies, tokens and trajectories are kept for other checkouts, by a hash "
        "of all they depend on; left out: nowhere.",
    )
    corpora: dict[Name, CorpusSettings] = Field(description="Monolingual text, by name.")
    bitexts: dict[Name, BitextSettings] = Field({}, description="Sentence pairs, by name.")
    vocabulary: VocabularySettings = Field(VocabularySettings(), description="The vocabulary, shared by all models.")
    mixtures: dict[Name, dict[Name, Annotated[float, Field(gt=0, le=1)]]] = Field(
        description="Pretraining distributions: weights over corpora that sum to 1; `design` makes several (docs/mixtures.md).",
        json_schema_extra=in_schema,
    )
    models: dict[Name, ModelSettings] = Field(min_length=1, description="Models, by name.")
    pretraining: Pretraining = Field(description="How models are pretrained, and up to where.")
    tasks: dict[Name, Annotated[Translation | LanguageModelling, Field(discriminator="kind")]] = Field(
        min_length=1, description="What is fine-tuned for, by name."
    )
    finetuning: FinetuningSettings = Field(FinetuningSettings(), description="How curves are fine-tuned.")
    evaluation: EvaluationSettings = Field(EvaluationSettings(), description="How fine-tuned models are measured.")
    scoring: ScoreSettings = Field(ScoreSettings(), description="How hypotheses are scored.")
    curves: Curves = Field(Curves(), description="What is crossed with what.")
    laws: dict[LawName, FitSettings] = Field(description="Laws to fit, each with its settings (`{}` for the defaults).")
    advice: AdviceSettings = Field(AdviceSettings(), description="What the advice assumes.")
    compute: ComputeSettings = Field(ComputeSettings(), description="The machines that jobs are planned for.")
    figures: dict[FigureName, FigureSettings] = Field(
        description="Figures to draw, each with its settings (`{}` for the defaults)."
    )

    @field_validator("mixtures", mode="before")
    @classmethod
    def _designed(cls, mixtures: object) -> object:
        return with_design(mixtures)

    @model_validator(mode="after")
    def _refers(self) -> "Study":
        problems = [*self._reference_problems(), *contradictions(self)]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _reference_problems(self) -> Any:
        """Names that nothing bears, and values that contradict one another."""

        def known(key: str, name: str, names: Any) -> Any:
            if name not in names:
                yield explain(key, name, names)

        for mixture, weights in self.mixtures.items():
            if mixture == SCRATCH:
                yield f"mixtures.{mixture}: the name `{SCRATCH}` is kept for rung 0. Choose another."
            for corpus in weights:
                yield from known(f"mixtures.{mixture}", corpus, self.corpora)
            if abs(sum(weights.values()) - 1) > 1e-6:
                yield f"mixtures.{mixture}: the weights sum to {sum(weights.values()):g}, expected 1. Change one: {weights}."
        for name, corpus in self.corpora.items():
            if corpus.source == "bitext":
                yield from known(f"corpora.{name}.bitext", corpus.bitext, self.bitexts)
                if corpus.bitext in self.bitexts:
                    yield from known(f"corpora.{name}.language", corpus.language, self.bitexts[corpus.bitext].languages)
        for name, task in self.tasks.items():
            if task.kind == "translation":
                yield from known(f"tasks.{name}.bitext", task.bitext, self.bitexts)
                bitext = self.bitexts.get(task.bitext)
                if bitext and bitext.pairs is not None and task.largest > bitext.pairs:
                    key = "pairs" if task.largest == task.pairs[-1] else "scratch"
                    yield (
                        f"tasks.{name}.{key}: {task.largest} is more than the {bitext.pairs} training pairs of bitext "
                        f"{task.bitext} (bitexts.{task.bitext}.pairs). Choose a smaller D_f."
                    )
            else:
                yield from known(f"tasks.{name}.corpus", task.corpus, self.corpora)
        yield from self._data_problems()
        for key, names in (("models", self.models), ("mixtures", self.mixtures), ("tasks", self.tasks)):
            chosen = getattr(self.curves, key)
            for name in [] if chosen == "all" else chosen:
                yield from known(f"curves.{key}", name, names)
            for position, crossing in enumerate(self.curves.leave_out):
                if key[:-1] in crossing:
                    yield from known(f"curves.leave_out.{position}.{key[:-1]}", crossing[key[:-1]], names)

    def _data_problems(self) -> Any:
        """Names in the vocabulary, and splits without a share: what is trained there would have nothing to be measured on."""
        for name in self.vocabulary.corpora or []:
            if name not in self.bitexts and name not in self.corpora:
                yield explain("vocabulary.corpora", name, [*self.corpora, *self.bitexts])
        for name, task in self.tasks.items():
            bitext = self.bitexts.get(task.bitext) if task.kind == "translation" else None
            for split in ("dev", "test") if bitext else ():
                if not getattr(bitext, split) and split not in bitext.prescribed:
                    yield (
                        f"bitexts.{task.bitext}.{split}: found 0, and task {name} needs a {split} set. Give a share, or "
                        "a set of your own."
                    )
        measured = {corpus: f"mixtures.{mixture}" for mixture, weights in self.mixtures.items() for corpus in weights}
        measured |= {task.corpus: f"tasks.{name}" for name, task in self.tasks.items() if task.kind == "lm"}
        for name, where in measured.items():
            if name in self.corpora and not self.corpora[name].valid:
                yield f"corpora.{name}.valid: found 0, and {where} is measured on it. Give a share, as valid: 0.01."


COMPARED = ("mixtures", "models", "tasks", "laws", "figures")  # what a study is about


def overlay(base: dict, study: dict) -> dict:
    """A study file laid over `config.yaml`.

    What a study compares (mixtures, models, tasks, laws, figures) replaces the default's whole; corpora and bitexts are added by
    name; every other section is merged key by key.
    """
    merged = dict(base)
    for key, value in study.items():
        if key in COMPARED or not isinstance(value, dict) or not isinstance(base.get(key), dict):
            merged[key] = value
        elif key in ("corpora", "bitexts"):
            merged[key] = {**base[key], **value}
        else:
            merged[key] = _merged(base[key], value)
    return merged


def _merged(base: dict, over: dict) -> dict:
    both = {
        key: _merged(base[key], over[key])
        for key in base.keys() & over.keys()
        if isinstance(base[key], dict) and isinstance(over[key], dict)
    }
    return {**base, **over, **both}


def load_study(config: dict) -> Study:
    """Validate a config.

    Raises:
        UserError: every mistake on a line of its own: key, value, what is allowed, nearest valid spelling.
    """
    try:
        study = Study.model_validate(config)
    except ValidationError as error:
        lines = describe(error, Study)
    else:
        tasks = {name: task for name, task in study.tasks.items() if task.kind == "translation"}
        lines = [*scoring_problems(study.scoring, {name: study.bitexts[task.bitext].languages[1] for name, task in tasks.items()})]
        if not lines:
            return study
    raise UserError("the config is not valid:\n" + "\n".join(f"  - {line}" for line in lines)) from None
