"""The whole study's config: one schema, every mistake found before any job starts.

The JSON schema in `workflow/schemas/` and the table in the docs are generated from `Study`.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from transferlaws.advice.settings import AdviceSettings
from transferlaws.compute import ComputeSettings
from transferlaws.config_checks import contradictions
from transferlaws.config_errors import describe, explain
from transferlaws.config_parts import SCRATCH, Ladder, LanguageModelling, Name, Place, Section, Translation, distinct, own_folder
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


class Pretraining(PretrainingSettings):
    """How models are pretrained, and up to where."""

    ladder: Ladder = Field(
        description="Rungs: pretraining tokens D_p at which each trajectory is checkpointed. Rung 0 is always there."
    )
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(distinct)] = Field(
        [1], description="Seeds of pretraining and fine-tuning, from 0 up; each is a run of its own."
    )


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
