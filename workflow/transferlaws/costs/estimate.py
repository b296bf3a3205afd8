"""What a study costs, from its config (and the size of a tokenizer that it takes over): operations, hours, disk, memory, text.

What the config does not tell is assumed (the constants below), and nothing stops early. Neither torch nor data is imported, because
the workflow asks for every job's memory and time limit here.
"""

from typing import NamedTuple

import numpy as np

from transferlaws.config import SCRATCH
from transferlaws.layout import Curve, Layout
from transferlaws.tokens.settings import VocabularySettings
from transferlaws.training.schedules import evaluation_steps

BYTES_PER_TOKEN = 4.0  # of text, UTF-8; between 3 (small vocabularies) and 5 (large ones, English)
SENTENCE_TOKENS = 32  # of one side of a pair: general sentences; longer where `length` is what counts
TEST_ITEMS = 3000  # a WMT test set
TRAINING_BYTES = 20  # a parameter of a replica in training: weight, gradient, two moments, best weights, 4 bytes each
STATE_BYTES = 16  # the same on disk: all but the gradient
DECODING_SHARE = 0.1  # of training's utilisation, that decoding token by token reaches
TEXT_RATE = 1.0e6  # bytes a second that a core cleans or tokenises


class Device(NamedTuple):
    """Peak operations a second in training's number format, bytes of memory, and the share of the peak reached by model width."""

    peak: float
    memory: float
    utilisation: dict[int, float]


# Measured with this engine: utilisation of an H100 with eight replicas, of a CPU core with one. The A100's is taken to be equal.
GPU_UTILISATION = {128: 0.08, 256: 0.159, 512: 0.266, 1024: 0.387}
DEVICES = {
    "cpu": Device(1.0e11, float("inf"), {64: 0.14, 128: 0.28, 256: 0.58}),
    "a100": Device(3.12e14, 80e9, GPU_UTILISATION),
    "h100": Device(9.89e14, 80e9, GPU_UTILISATION),
    "h200": Device(9.89e14, 141e9, GPU_UTILISATION),
}


class Cost(NamedTuple):
    """What one job costs. `flops` and `seconds` of training alone; bytes of everything it writes and keeps."""

    flops: float = 0.0
    seconds: float = 0.0
    tokens: float = 0.0  # text tokens read
    download_bytes: float = 0.0
    disk_bytes: float = 0.0
    device_bytes: float = 0.0  # on the device at once, without activations
    devices: int = 1  # that the job keeps to itself
    processes: int = 1  # of it that train


def vocabulary_size(settings: VocabularySettings) -> int:
    """Ids of the study's vocabulary: of the tokenizer taken over where its file is on this machine, else `vocabulary.size`."""
    if not settings.model:
        return settings.size
    try:  # only here: Snakemake may run beside the jobs' environment and lack them
        from transferlaws.tokens.vocabulary import local_model, open_processor, taken_over_size
    except ImportError:
        return settings.size
    path = local_model(settings.model)
    if path is None:  # on the hub: nothing is downloaded for a plan
        return settings.size
    return taken_over_size(open_processor(path, settings.pad_token, settings.eos_token), settings.sentinels)[0]


class Costs:
    """The cost of every job of a study."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.study = layout, layout.study
        self.vocabulary = vocabulary_size(self.study.vocabulary)
        self.rungs = len(self.study.pretraining.ladder)
        self.seeds = len(self.study.pretraining.seeds)

    def utilisation(self, model: str) -> float:
        """The share of the device's peak that training this model reaches."""
        compute = self.study.compute
        if compute.mfu is not None:
            return compute.mfu
        table = DEVICES[compute.device].utilisation
        width = self.study.models[model].d_model
        narrowest = min(table)
        if width < narrowest:
            return table[narrowest] * width / narrowest
        return float(np.interp(np.log(width), np.log(list(table)), list(table.values())))

    def _seconds(self, flops: float, model: str, devices: float | None = None, share: float = 1.0) -> float:
        compute = self.study.compute
        return flops / (DEVICES[compute.device].peak * (devices or compute.devices) * self.utilisation(model) * share)

    def pretrain(self, model: str) -> Cost:
        """One trajectory."""
        settings, shape = self.study.pretraining, self.study.models[model]
        length, last = settings.length, settings.ladder[-1]
        masked = settings.mask_density * length
        spans = masked / settings.mean_span
        source, target = {
            "next-token": (0, length + 1),
            "infilling": (length - masked + spans + 1, length + 1),
            "span-corruption": (length - masked + spans + 1, masked + spans + 1),
        }[settings.objective]
        tokens = last + settings.anneal_share * sum(settings.ladder)
        flops = shape.flops(source, target, 1, self.vocabulary) * tokens / length
        parameters = shape.parameters_total(self.vocabulary)
        # every rung is kept twice: as state to go on from, and as output
        disk = parameters * (2 * 4 * self.rungs + STATE_BYTES)
        seconds = self._seconds(flops, model)
        return Cost(flops, seconds, tokens, 0.0, disk, parameters * TRAINING_BYTES, self.study.compute.devices)

    def _starts(self, curve: Curve) -> int:
        return self.seeds * (1 if curve.mixture == SCRATCH else self.rungs)

    def _flops(self, curve: Curve, length: int, items: float) -> float:
        """One training step on `items` pairs or segments."""
        translation = self.study.tasks[curve.task].kind == "translation"
        target = min(length, SENTENCE_TOKENS) if translation else length
        return self.study.models[curve.model].flops(target if translation else 0, target, items, self.vocabulary)

    def finetune(self, curve: Curve, processes: int | None = None) -> Cost:
        """One curve, every replica to its last step.

        On a CPU its groups go side by side in `processes`, one each if left out, on a core each. A GPU takes one after another.
        """
        settings, task = self.study.finetuning, self.study.tasks[curve.task]
        items = curve.finetuning_size if task.kind == "translation" else curve.finetuning_size / settings.length
        steps = settings.most_steps(max(-(-items // settings.batch), 1))[0]
        steps_and_checks = steps * settings.batch + len(evaluation_steps(settings, steps)) * settings.dev_items / 3
        on_cpu, starts, rates = self.study.compute.device == "cpu", self._starts(curve), len(settings.learning_rates)
        flops = starts * rates * self._flops(curve, settings.length, steps_and_checks)
        groups = settings.groups(starts, on_cpu)
        processes = min(processes or len(groups), len(groups)) if on_cpu else 1
        devices = processes if on_cpu else self.study.compute.devices
        # the first process gets the largest group of every round
        seconds = self._seconds(flops, curve.model, starts / sum(groups[::processes]) if on_cpu else devices)
        parameters = self.study.models[curve.model].parameters_total(self.vocabulary)
        together = sum(groups[:processes]) * len(settings.rates_together()[0])
        disk = parameters * (2 * 4 * starts + STATE_BYTES * together)
        tokens = steps * settings.batch * min(settings.length, SENTENCE_TOKENS)
        return Cost(flops, seconds, tokens, 0.0, disk, together * parameters * TRAINING_BYTES, devices, processes)

    def evaluate(self, curve: Curve) -> Cost:
        """One curve's dev and test losses, and its hypotheses."""
        settings, starts = self.study.evaluation, self._starts(curve)
        items = settings.test_items or TEST_ITEMS
        forward = starts * self._flops(curve, settings.length, items) / 3
        decoding = settings.beam * forward if self.study.tasks[curve.task].kind == "translation" else 0.0
        seconds = self._seconds(2 * forward, curve.model) + self._seconds(decoding, curve.model, share=DECODING_SHARE)
        parameters = self.study.models[curve.model].parameters_total(self.vocabulary)
        tokens = 2 * items * min(settings.length, SENTENCE_TOKENS)
        disk = 2 * starts * (24 * items + BYTES_PER_TOKEN * tokens / 4)
        together = min(settings.group or starts, starts)
        return Cost(2 * forward + decoding, seconds, tokens, 0.0, disk, together * parameters * 4, self.study.compute.devices)

    def corpus_tokens(self, corpus: str) -> float:
        """Text tokens that a corpus must hold if no mixture is to repeat it."""
        used = {run.mixture for run in self.layout.trajectories}
        weights = [self.study.mixtures[mixture].get(corpus, 0.0) for mixture in used]
        fine_tuned = [float(task.largest) for task in self.study.tasks.values() if task.kind == "lm" and task.corpus == corpus]
        return max([self.study.pretraining.ladder[-1] * weight for weight in weights] + fine_tuned, default=0.0)

    def corpus(self, corpus: str) -> Cost:
        """One corpus: its download, its cleaned text and its tokens."""
        settings, tokens = self.study.corpora[corpus], self.corpus_tokens(corpus)
        return self._text(tokens, settings.max_bytes if settings.source == "hub" else 0.0)

    def bitext(self, bitext: str) -> Cost:
        """One bitext: its download, its cleaned pairs and its tokens."""
        settings = self.study.bitexts[bitext]
        pairs = max(task.largest for task in self.study.tasks.values() if task.kind == "translation" and task.bitext == bitext)
        tokens = 2.0 * pairs * SENTENCE_TOKENS
        return self._text(tokens, settings.max_bytes if settings.source == "hub" else 0.0)

    def sentences(self) -> int:
        """Test items of all fine-tuned models together: rows of `sentences.parquet`."""
        return (self.study.evaluation.test_items or TEST_ITEMS) * sum(self._starts(curve) for curve in self.layout.curves)

    def _text(self, tokens: float, most: float) -> Cost:
        raw = tokens * BYTES_PER_TOKEN
        # zstd keeps about 0.4 of text; shards take 2 or 4 bytes a token
        disk = 0.4 * raw + tokens * (2 if self.vocabulary <= 1 << 16 else 4)
        return Cost(seconds=raw / TEXT_RATE, tokens=tokens, download_bytes=min(raw, most), disk_bytes=disk)
