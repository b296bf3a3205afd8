"""What every job asks of the machine: threads, memory, time. It follows from what the job costs and from what the profile says."""

import os
from collections.abc import Callable
from types import SimpleNamespace

from transferlaws.costs.estimate import STATE_BYTES, TRAINING_BYTES, Cost, Costs
from transferlaws.costs.requests import Requests
from transferlaws.layout import Curve

TEXT = ("bitext", "corpus", "vocabulary", "corpus_tokens", "bitext_tokens")
ANSWERS = ("score", "fit", "advise", "figure", "summary")
# MB of the packages that a step imports, and minutes that no job asks less than
BASE = {"score": (1000, 10), "fit": (1000, 5), "advise": (1000, 5), "figure": (1000, 5), "summary": (1000, 5)}
CURVE_MB = 1.0  # of a page or a fit, measured: 2,000 curves take 1.6 GB
SENTENCE_MB = {"score": 1.5e-3}  # its counts of n-grams are lists of numbers until they are written
OTHER_SENTENCE_MB = 3e-4
SENTENCE_SECONDS = 1e-3  # both scores, on one core
CURVE_SECONDS = {"fit": 1.2e-3, "advise": 0.3, "figure": 0.05, "summary": 0.3}  # of a fit: a bootstrap
COMET_MB, COMET_MINUTES = 8000, 60


class Jobs:
    """Threads, `mem_mb` and `runtime` of the rules: functions that Snakemake calls for each job and attempt."""

    def __init__(self, costs: Costs, requests: Requests | None = None) -> None:
        self.costs, self.requests = costs, requests or Requests()
        self.study, self.layout = costs.study, costs.layout

    def memory(self, rule: str, cost: Cost) -> int:
        """Main memory of a job, MB: on a CPU the training itself, beside a GPU the copy of the state that is saved."""
        if not cost.device_bytes:
            return 4000
        parameters = cost.device_bytes / TRAINING_BYTES
        together = self.requests.processes(rule)
        if self.study.compute.device == "cpu":
            return round(3000 * max(cost.processes, together) + together * parameters * TRAINING_BYTES / 1e6)
        return round(together * (6000 + parameters * (STATE_BYTES + 4) / 1e6))

    def minutes(self, cost: Cost) -> int:
        """Time limit of a job."""
        return round(20 + self.study.compute.margin * cost.seconds / 60)

    def _cost(self, rule: str, wildcards: object, threads: int | None = None) -> Cost:
        if rule in ("corpus", "corpus_tokens"):
            return self.costs.corpus(wildcards.corpus)
        if rule in ("bitext", "bitext_tokens"):
            return self.costs.bitext(wildcards.bitext)
        if rule == "pretrain":
            return self.costs.pretrain(wildcards.model)
        curve = Curve(wildcards.model, wildcards.mixture, wildcards.task, int(wildcards.finetuning_size))
        return self.costs.finetune(curve, threads) if rule == "finetune" else self.costs.evaluate(curve)

    def _answer(self, rule: str, wildcards: object) -> tuple[float, float]:
        """MB and seconds of a step that reads the measurements: they follow from the plan's curves."""
        curves, sentences = len(self.layout.curves), self.costs.sentences()
        megabytes = BASE[rule][0] + CURVE_MB * curves + SENTENCE_MB.get(rule, OTHER_SENTENCE_MB) * sentences
        if rule == "score":
            comet = self.study.scoring.comet is not None
            return megabytes + comet * COMET_MB, SENTENCE_SECONDS * sentences + comet * 60 * COMET_MINUTES
        each = CURVE_SECONDS[rule]
        if rule == "fit":
            each *= getattr(self.study.laws[wildcards.law], "bootstraps", 2000)
        return megabytes, each * curves

    def threads(self, rule: str) -> Callable[..., int]:
        """A rule's `threads`: one for every process that trains; on GPUs one for each of them."""
        on_cpu = self.study.compute.device == "cpu"

        def threads(wildcards: object) -> int:
            gpus = self.requests.gpus(rule)
            return max(self._cost(rule, wildcards).processes if on_cpu else 1, gpus)

        return threads

    def mem_mb(self, rule: str) -> Callable[..., int]:
        """A rule's `mem_mb` on each node: grows with every attempt, up to the profile's limit."""

        def megabytes(wildcards: object, threads: int, attempt: int) -> int:
            if rule in ANSWERS:
                amount = round(self._answer(rule, wildcards)[0])
            else:
                amount = 4000 if rule == "vocabulary" else self.memory(rule, self._cost(rule, wildcards, threads))
            return self.requests.at_most(rule, "mem_mb", attempt * amount)

        return megabytes

    def runtime(self, rule: str) -> Callable[..., int]:
        """A rule's `runtime` in minutes: grows with every attempt, up to the profile's limit."""

        def minutes(wildcards: object, threads: int, attempt: int) -> int:
            if rule in ANSWERS:
                amount = round(BASE[rule][1] + self.study.compute.margin * self._answer(rule, wildcards)[1] / 60)
            else:
                amount = 30 if rule == "vocabulary" else self.minutes(self._cost(rule, wildcards, threads))
            return self.requests.at_most(rule, "runtime", attempt * amount)

        return minutes

    def beside_snakemake(self, minutes: float) -> list[str]:
        """Rules whose every job takes less than so many minutes on a core, and little memory: the queue would take longer."""
        if minutes <= 0:
            return []
        return [rule for rule in (*TEXT, *ANSWERS) if self._seconds(rule) < 60 * minutes]

    def _seconds(self, rule: str) -> float:
        """The longest job of a rule of text or answers."""
        if rule in ANSWERS:
            laws = self.study.laws if rule == "fit" else [""]
            found = [self._answer(rule, SimpleNamespace(law=law)) for law in laws]
            return max((seconds if megabytes < 4000 else float("inf") for megabytes, seconds in found), default=0.0)
        if rule == "vocabulary":
            return self.study.vocabulary.sample_characters / 2e5
        kind = "bitext" if rule.startswith("bitext") else "corpus"
        names = self.layout.bitexts if kind == "bitext" else self.layout.corpora
        read = 0.0
        if rule == kind:  # a stage reads its files to the end, however much of them the study uses
            kinds = "bitexts" if kind == "bitext" else "corpora"
            files = [path for name in names for path in self.layout.local_inputs(kinds, name) if os.path.isfile(path)]
            read = max((os.path.getsize(path) for path in files), default=0) / 2e5
        return max([read, *(self._cost(rule, SimpleNamespace(**{kind: name})).seconds for name in names)])
