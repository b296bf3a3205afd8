"""The study as the workflow sees it: the only place that enumerates trajectories and curves and names their paths."""

import hashlib
import re
import shlex
from pathlib import Path, PurePath
from typing import NamedTuple

from transferlaws.config import SCRATCH, Study, load_study
from transferlaws.config_checks import crossings
from transferlaws.corpora.languages import primary
from transferlaws.corpora.readers.paths import named
from transferlaws.files import canonical_json
from transferlaws.options import files_by_key

_BRACES = re.compile(r"[{}]")


class Trajectory(NamedTuple):
    """One pretraining run."""

    model: str
    mixture: str
    seed: int


class Curve(NamedTuple):
    """All rungs, seeds and learning rates of one (model, mixture, task, D_f)."""

    model: str
    mixture: str
    task: str
    finetuning_size: int


class Layout:
    """What a study computes, and where each artifact lies.

    Attributes with wildcards in braces are path patterns for the rules; methods answer a rule's `input` and `params`.
    """

    def __init__(self, config: dict) -> None:
        self.study: Study = load_study(config)
        root = self.study.results
        self.root = root
        self.state = f"{root}/.state"
        self.bitext = f"{root}/bitexts/{{bitext}}"
        self.corpus = f"{root}/corpora/{{corpus}}"
        self.vocabulary = f"{root}/vocabulary"
        self.checked = f"{root}/data.json"
        self.corpus_tokens = f"{root}/tokens/corpora/{{corpus}}"
        self.bitext_tokens = f"{root}/tokens/bitexts/{{bitext}}"
        self.pretrain = f"{root}/pretrain/{{model}}/{{mixture}}/seed_{{seed}}"
        self.finetune = f"{root}/finetune/{{model}}/{{mixture}}/{{task}}/{{finetuning_size}}"
        self.evaluate = f"{root}/evaluate/{{model}}/{{mixture}}/{{task}}/{{finetuning_size}}"
        self.measurements = f"{root}/measurements.csv"
        self.sentences = f"{root}/sentences.parquet"
        self.law = f"{root}/laws/{{law}}.json"
        self.draws = f"{root}/laws/{{law}}.npz"
        self.figure = f"{root}/figures/{{figure}}"
        self.logs = f"{root}/logs"

    # what there is

    @property
    def trajectories(self) -> list[Trajectory]:
        """Every pretraining run that a curve needs."""
        runs = {(curve.model, curve.mixture) for curve in self.curves if curve.mixture != SCRATCH}
        return [Trajectory(*run, seed) for run in sorted(runs) for seed in self.study.pretraining.seeds]

    @property
    def curves(self) -> list[Curve]:
        """Every curve, the from-scratch one of each (model, task, D_f) first."""
        crossed: dict[tuple[str, str], list[str]] = {}
        for model, mixture, task in crossings(self.study):
            crossed.setdefault((model, task), []).append(mixture)
        curves = []
        for (model, task), mixtures in crossed.items():
            for size in self._sizes(task):
                scratch = [SCRATCH] if size in self.study.tasks[task].scratch_sizes else []
                pretrained = mixtures if size in self.study.tasks[task].sizes else []
                curves += [Curve(model, mixture, task, size) for mixture in scratch + pretrained]
        return curves

    def _sizes(self, task: str) -> list[int]:
        """Every D_f of a task, with or without pretraining."""
        return sorted({*self.study.tasks[task].sizes, *self.study.tasks[task].scratch_sizes})

    @property
    def corpora(self) -> list[str]:
        """Corpora that a trajectory or an `lm` task reads."""
        mixtures = {run.mixture for run in self.trajectories}
        used = {corpus for mixture in mixtures for corpus in self.study.mixtures[mixture]}
        tasks = {curve.task for curve in self.curves}
        return sorted(used | {self.study.tasks[task].corpus for task in tasks if self.study.tasks[task].kind == "lm"})

    @property
    def bitexts(self) -> list[str]:
        """Bitexts that a task reads; every corpus is cleaned of their dev and test items."""
        tasks = {curve.task for curve in self.curves}
        return sorted({self.study.tasks[task].bitext for task in tasks if self.study.tasks[task].kind == "translation"})

    # where it lies

    def corpus_side(self, wildcards: object) -> str:
        """The CLI option for the bitext that a corpus is a side of; empty for others."""
        corpus = self.study.corpora[wildcards.corpus]
        return f"--bitext {self.bitext.format(bitext=corpus.bitext)}" if corpus.source == "bitext" else ""

    def against(self, wildcards: object) -> list[str]:
        """The folders of the bitexts that a corpus must not share a sentence with."""
        return [self.bitext.format(bitext=name) for name in self.bitexts]

    def corpus_inputs(self, wildcards: object) -> list[str]:
        """Bitexts that a corpus must not share a sentence with, and the one it is a side of."""
        corpus = self.study.corpora[wildcards.corpus]
        side = [corpus.bitext] if corpus.source == "bitext" else []
        return [f"{self.bitext.format(bitext=name)}/report.json" for name in sorted({*self.bitexts, *side})]

    def own_files(self, kind: str, name: str) -> dict[str, list[str]]:
        """The user's own paths and patterns that a corpus or bitext reads, by the key of the config that names them."""
        return files_by_key(getattr(self.study, kind)[name], elsewhere=False)

    def local_inputs(self, kind: str, name: str) -> list[str]:
        """The user's own files that a corpus or bitext reads; a pattern without a match stays, and Snakemake misses it."""
        return [path for path in self._local_files(kind, name) if not _BRACES.search(path)]

    def files_in_braces(self, kind: str, name: str) -> list[list]:
        """Own files whose names Snakemake would take for wildcards: path, size and time, so that a change is seen all the same."""
        found = [Path(path) for path in self._local_files(kind, name) if _BRACES.search(path)]
        return [[str(path), *((path.stat().st_size, path.stat().st_mtime_ns) if path.exists() else ())] for path in found]

    def _local_files(self, kind: str, name: str) -> list[str]:
        patterns = [path for paths in self.own_files(kind, name).values() for path in paths]
        return [path for pattern in patterns for path in named(pattern) or [pattern]]

    def vocabulary_corpora(self, wildcards: object) -> list[str]:
        """The corpora that the vocabulary is trained on: those that `vocabulary.corpora` names, or all in use."""
        named = self.study.vocabulary.corpora
        return self._reports(self.corpora if named is None else [name for name in named if name in self.study.corpora], self.corpus)

    def vocabulary_bitexts(self, wildcards: object) -> list[str]:
        """The bitexts that `vocabulary.corpora` names."""
        named = self.study.vocabulary.corpora or []
        return self._reports([name for name in named if name not in self.study.corpora], self.bitext)

    def vocabulary_cover(self, wildcards: object) -> list[str]:
        """Bitexts of tasks in languages that no corpus of the vocabulary has; none where `vocabulary.corpora` names what counts."""
        if self.study.vocabulary.corpora is not None:
            return []
        known = {primary(self.study.corpora[name].language) for name in self.corpora}
        return self._reports(
            [name for name in self.bitexts if {primary(code) for code in self.study.bitexts[name].languages} - known], self.bitext
        )

    @staticmethod
    def _reports(names: list[str], pattern: str) -> list[str]:
        return [re.sub(r"\{\w+\}", lambda _, name=name: name, pattern) + "/report.json" for name in names]

    def mixture_tokens(self, wildcards: object) -> list[str]:
        """The token indices of the corpora that a trajectory reads."""
        return [f"{self.corpus_tokens.format(corpus=name)}/index.json" for name in self.study.mixtures[wildcards.mixture]]

    def task_tokens(self, wildcards: object) -> str:
        """The token index of the text that a task is fine-tuned on."""
        task = self.study.tasks[wildcards.task]
        if task.kind == "lm":
            return f"{self.corpus_tokens.format(corpus=task.corpus)}/index.json"
        return f"{self.bitext_tokens.format(bitext=task.bitext)}/index.json"

    def curve_trajectories(self, wildcards: object) -> list[str]:
        """The trajectories whose rungs a curve starts from: one a seed, none from scratch."""
        if wildcards.mixture == SCRATCH:
            return []
        return [
            f"{self.pretrain.format(model=wildcards.model, mixture=wildcards.mixture, seed=seed)}/trajectory.json"
            for seed in self.study.pretraining.seeds
        ]

    def data_reports(self) -> list[str]:
        """The reports of every corpus and bitext in use."""
        corpora = [self.corpus.format(corpus=name) for name in self.corpora]
        return [f"{folder}/report.json" for folder in [*corpora, *(self.bitext.format(bitext=name) for name in self.bitexts)]]

    def needs(self) -> str:
        """JSON for `check`: the folders of data in use -> what tasks and pretraining take of them."""
        needs: dict[str, dict] = {self.corpus.format(corpus=name): {} for name in self.corpora}
        needs |= {self.bitext.format(bitext=name): {} for name in self.bitexts}
        for run in self.trajectories:
            for name in self.study.mixtures[run.mixture]:
                needs[self.corpus.format(corpus=name)]["valid"] = 1
        for curve in self.curves:
            task = self.study.tasks[curve.task]
            if task.kind == "translation":
                folder = self.bitext.format(bitext=task.bitext)
                needs[folder] |= {"dev": 1, "test": 1, "train": max(task.sizes)}
            else:
                needs[self.corpus.format(corpus=task.corpus)]["valid"] = 2  # dev and test
        return canonical_json(needs)

    def each_curve(self, pattern: str) -> list[str]:
        """`pattern` filled in for every curve."""
        return [pattern.format(**curve._asdict()) for curve in self.curves]

    def targets(self) -> list[str]:
        """What `snakemake` without a target builds."""
        laws = [self.law.format(law=law) for law in self.study.laws]
        figures = [f"{self.figure.format(figure=figure)}.{kind}" for figure in self.study.figures for kind in ("svg", "png")]
        return [
            f"{self.root}/study.json",
            self.measurements,
            *laws,
            f"{self.root}/laws/advice.json",
            *figures,
            f"{self.root}/summary.html",
        ]

    # what a stage is told

    @property
    def cache_option(self) -> str:
        """The CLI option for the download cache; empty leaves the stage's default."""
        return f"--cache {shlex.quote(str(Path(self.study.cache).expanduser()))}" if self.study.cache else ""

    @property
    def epochs_option(self) -> str:
        """The CLI option for the most passes over a corpus; empty where text repeats without end."""
        most = self.study.pretraining.max_epochs
        return "" if most is None else f"--max-epochs {most:g}"

    def settings(self, *path: str, leave_out: tuple[str, ...] = ()) -> str:
        """Canonical JSON of one part of the study, such as `("models", "mini")`."""
        value = self.study
        for part in path:
            value = value[part] if isinstance(value, dict) else getattr(value, part)
        if isinstance(value, dict | list):
            return canonical_json(value)
        return canonical_json(value.model_dump(mode="json", exclude=set(leave_out)))

    def scored_mixtures(self) -> str:
        """JSON for `score`: each mixture's weights and share of each language, and the reports of its corpora."""
        mixtures = {}
        for name in {run.mixture for run in self.trajectories}:
            share: dict[str, float] = {}
            for corpus, weight in self.study.mixtures[name].items():
                language = self.study.corpora[corpus].language
                share[language] = share.get(language, 0) + weight
            reports = [self.corpus.format(corpus=corpus) + "/report.json" for corpus in self.study.mixtures[name]]
            mixtures[name] = {"languages": share, "reports": reports, "weights": self.study.mixtures[name]}
        return canonical_json(mixtures)

    def expected_curves(self) -> str:
        """JSON for `score`: what every curve must say of itself to be this study's."""
        study, runs = self.study, {curve.model for curve in self.curves}
        return canonical_json(
            {
                "curves": [list(curve) for curve in self.curves],
                "seeds": study.pretraining.seeds,
                "ladder": study.pretraining.ladder,
                "models": {name: study.models[name].model_dump(mode="json") for name in runs},
                "finetuning": study.finetuning.model_dump(mode="json", exclude={"state_seconds", "group"}),
                "evaluation": study.evaluation.model_dump(mode="json", exclude={"group"}),
            }
        )

    def scored_tasks(self) -> str:
        """JSON for `score`: the folder of each task's data, and its languages."""
        tasks = {}
        for name in {curve.task for curve in self.curves}:
            task = self.study.tasks[name]
            if task.kind == "translation":
                source, target = self.study.bitexts[task.bitext].languages
                tasks[name] = {"data": self.bitext.format(bitext=task.bitext), "source": source, "target": target}
            else:
                tasks[name] = {"data": self.corpus.format(corpus=task.corpus)}
        return canonical_json(tasks)

    def resolved(self) -> str:
        """The study with every default filled in, as JSON, without this machine's folders of downloads and store."""
        return canonical_json(self.study.model_dump(mode="json", exclude={"cache", "store"}))

    def identity(self) -> str:
        """A hash of the resolved study; where its files lie is no part of it."""
        what = self.study.model_dump(mode="json", exclude={"results", "cache", "store"})
        return hashlib.sha256(canonical_json(what).encode()).hexdigest()[:16]


def folders(manifests: object) -> list[str]:
    """The folders that manifests lie in: what the stages' options name."""
    return [str(PurePath(manifest).parent) for manifest in ([manifests] if isinstance(manifests, str) else manifests)]


def names_pattern(names: object) -> str:
    """A wildcard constraint that matches exactly the given names."""
    return "|".join(re.escape(str(name)) for name in sorted(map(str, names), key=len, reverse=True)) or r"(?!)"
