"""What in a config contradicts itself: values that are each allowed and cannot work together. Found before any job starts.

A check yields one line a contradiction: the key, the value, what it meets, the remedy. Names that nothing bears are another matter
(`Study` reports them); here they are passed over.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise, product
from typing import TYPE_CHECKING

from transferlaws.laws.settings import LEAST_DISTINCT, PROTOCOL_LAWS, SCORE_LAWS
from transferlaws.measurements.columns import LOSSES

if TYPE_CHECKING:
    from transferlaws.config import Study

SCORES = ("bleu", "chrf", "comet")  # what `score` measures
NEEDS_SCORES = ("score-vs-loss", "alignment")  # figures
NEEDS_LAW = ("transfer-gap", "effective-data")  # figures that draw the law of their name


def contradictions(study: "Study") -> Iterator[str]:
    """Every contradiction of a config whose sections are valid each by itself."""
    for check in (_finite, _crossings, _forms, _ladder, _data, _laws, _figures, _advice):
        yield from check(study)


def crossings(study: "Study") -> Iterator[tuple[str, str, str]]:
    """Every (model, mixture, task) that is trained, in the order of the config."""
    chosen = study.curves
    axes = []
    for wanted, names in ((chosen.models, study.models), (chosen.tasks, study.tasks), (chosen.mixtures, study.mixtures)):
        axes.append(list(names) if wanted == "all" else [name for name in wanted if name in names])
    for model, task, mixture in product(*axes):
        crossing = {"model": model, "mixture": mixture, "task": task}
        if not any(crossing | pattern == crossing for pattern in chosen.leave_out):
            yield model, mixture, task


def _finite(study: "Study") -> Iterator[str]:
    def walk(key: str, value: object) -> Iterator[str]:
        if isinstance(value, dict | list | tuple):
            for name, part in value.items() if isinstance(value, dict) else enumerate(value):
                yield from walk(f"{key}.{name}" if key else str(name), part)
        elif isinstance(value, float) and not math.isfinite(value):
            yield f"{key}: found `{value}`, expected a finite number. Leave the key out if you want no limit."

    yield from walk("", study.model_dump())


def _crossings(study: "Study") -> Iterator[str]:
    for key in ("models", "mixtures", "tasks"):
        chosen = getattr(study.curves, key)
        if chosen != "all" and len(set(chosen)) != len(chosen):
            yield f"curves.{key}: names something twice: {chosen}."
    if not any(True for _ in crossings(study)):
        yield "curves: nothing is left to train. Name at least one model, mixture and task, and leave out less in curves.leave_out."


def _forms(study: "Study") -> Iterator[str]:
    """Translation wants an encoder, language modelling and next-token pretraining want none."""
    pairs = dict.fromkeys((model, task) for model, _, task in crossings(study))
    for model, task in pairs:
        layers, kind = study.models[model].encoder_layers, study.tasks[task].kind
        if (kind == "lm") != (layers == 0):
            yield (
                f"tasks.{task}.kind: {kind} with models.{model}, which has {_encoder(layers)}: translation needs an encoder, "
                f"an lm task wants none. Set models.{model}.encoder_layers, or leave the crossing out: curves.leave_out: "
                f"[{{model: {model}, task: {task}}}]."
            )
    for model in dict.fromkeys(model for model, _ in pairs):
        layers, objective = study.models[model].encoder_layers, study.pretraining.objective
        if (objective == "next-token") != (layers == 0):
            yield (
                f"pretraining.objective: {objective} with models.{model}, which has {_encoder(layers)}: next-token is for models "
                "without an encoder, infilling and span-corruption are for models with one. Change it or "
                f"models.{model}.encoder_layers."
            )
    for name, model in study.models.items():
        if model.relative_buckets // 2 >= model.relative_distance:
            yield (
                f"models.{name}.relative_buckets: {model.relative_buckets}, half of which count positions one by one, do not fit "
                f"into models.{name}.relative_distance {model.relative_distance}. Choose fewer than "
                f"{2 * model.relative_distance} buckets."
            )


def _encoder(layers: int) -> str:
    return f"{layers} encoder layer{'s' * (layers != 1)}" if layers else "no encoder (encoder_layers: 0)"


def _ladder(study: "Study") -> Iterator[str]:
    step = study.pretraining.batch_tokens
    for before, rung in pairwise([0, *study.pretraining.ladder]):
        if rung - before < step:
            yield (
                f"pretraining.ladder: rung {rung} is less than one step (pretraining.batch_tokens: {step}) after "
                f"{before or 'the start'}: a step would overrun it. Choose rungs at least {step} apart, or a smaller batch_tokens."
            )


def _data(study: "Study") -> Iterator[str]:
    """Splits that something reads and that are set to hold nothing."""
    pretrained, tuned, paired = set(), set(), set()
    for _, mixture, name in crossings(study):
        task = study.tasks[name]
        pretrained |= set(study.mixtures[mixture]) & set(study.corpora)
        (tuned if task.kind == "lm" else paired).add(task.corpus if task.kind == "lm" else task.bitext)
    for name in sorted(pretrained | (tuned & set(study.corpora))):
        corpus = study.corpora[name]
        if not 0 < corpus.valid < 1:
            use = "the upstream loss is measured on" if name in pretrained else "an lm task takes dev and test text from"
            yield f"corpora.{name}.valid: {corpus.valid:g} leaves nothing that {use}, or to train on. Set a share between 0 and 1."
        bitext = study.bitexts.get(corpus.bitext) if corpus.source == "bitext" else None
        if bitext and not bitext.monolingual:
            yield (
                f"bitexts.{corpus.bitext}.monolingual: 0, but corpora.{name} is a side of that part. Set the share of the pairs "
                "whose sides serve as monolingual text."
            )
    for name in sorted(paired & set(study.bitexts)):
        bitext = study.bitexts[name]
        for split in ("dev", "test"):
            if not getattr(bitext, split) and split not in bitext.prescribed:
                yield (
                    f"bitexts.{name}.{split}: 0 leaves no {split} pairs, which every translation task needs. Give a share"
                    + {"files": f", or {split}_paths.", "hub": f", or a {split}_split."}.get(bitext.source, ".")
                )


def _measured(study: "Study") -> list[str]:
    """The metrics that the study's table will have a value in."""
    translates = any(study.tasks[task].kind == "translation" for _, _, task in crossings(study))
    scores = [score for score in SCORES if translates and (score != "comet" or study.scoring.comet)]
    return [*scores, *LOSSES]


def _not_measured(key: str, metric: str, measured: list[str]) -> str:
    why = " Scores are of translation tasks." if metric in SCORES and "bleu" not in measured else ""
    why = " It needs scoring.comet, the name of a model." if metric == "comet" and "bleu" in measured else why
    return f"{key}: `{metric}` is not measured in this study.{why} Measured are {', '.join(measured)}."


def _laws(study: "Study") -> Iterator[str]:
    measured = _measured(study)
    for law, fit in study.laws.items():
        known = SCORES if law in SCORE_LAWS else LOSSES
        if law in SCORE_LAWS and "bleu" not in measured:
            yield f"laws.{law}: it is a law of scores, and no translation task is trained. Leave it out: a loss has other laws."
        for metric in fit.metrics or []:
            if metric not in known:
                yield f"laws.{law}.metrics: `{metric}` is nothing that this law can be fitted to. Allowed: {', '.join(known)}."
            elif metric not in measured and "bleu" in measured:
                yield _not_measured(f"laws.{law}.metrics", metric, measured)
        if law not in (allowed := PROTOCOL_LAWS.get(fit.protocol, (law,))):
            yield f"laws.{law}.protocol: {fit.protocol} is a way of fitting {', '.join(allowed)}. Use default."
        if fit.fitted_rungs is not None and fit.held_out_rungs is not None:
            yield f"laws.{law}: fitted_rungs and held_out_rungs both say what is held out. Give one of them."
        least = LEAST_DISTINCT[law]
        if fit.columns is not None and len(fit.columns) != len(least):
            yield f"laws.{law}.columns: it is a function of {len(least)} columns ({', '.join(least)}), found {len(fit.columns)}."
        else:
            yield from _too_few(study, law, dict(zip(fit.columns or least, least.values(), strict=True)))


def _too_few(study: "Study", law: str, least: dict[str, int]) -> Iterator[str]:
    """Fewer different values of an x of the law than tell it from its neighbours, in every task."""
    models: dict[tuple[str, str], set[int]] = {}
    for model, mixture, task in crossings(study):
        models.setdefault((task, mixture), set()).add(study.models[model].parameters_non_embedding)
    words = {"pretraining_tokens": "rungs", "finetuning_size": "fine-tuning sizes", "parameters_non_embedding": "model sizes"}
    keys = {"pretraining_tokens": "pretraining.ladder", "finetuning_size": "tasks.{task}", "parameters_non_embedding": "models"}
    short: list[str] = []
    for (task, _), sizes in models.items():
        own = study.tasks[task]
        found = {
            "pretraining_tokens": len(study.pretraining.ladder),
            "finetuning_size": len(own.scratch_sizes if law == "kaplan" else own.sizes),
            "parameters_non_embedding": len(sizes),
        }
        missing = [(column, count) for column, count in least.items() if found.get(column, count) < count]
        if not missing:
            return
        lines = [
            f"laws.{law}: it takes at least {count} {words[column]}, and there are {found[column]} "
            f"({keys[column].format(task=task)}). Add some, or leave the law out."
            for column, count in missing
        ]
        short = lines if not short or len(lines) < len(short) else short
    yield from short


def _figures(study: "Study") -> Iterator[str]:
    measured = _measured(study)
    for name, figure in study.figures.items():
        if name in NEEDS_SCORES and "bleu" not in measured:
            yield f"figures.{name}: it draws scores, and no translation task is trained. Leave it out."
        elif figure.score not in measured and "bleu" in measured:
            yield _not_measured(f"figures.{name}.score", figure.score, measured)
        if name in NEEDS_LAW and name not in study.laws:
            yield f"figures.{name}: it draws the law of that name, which is not fitted. Add laws.{name}, or leave the figure out."


def _advice(study: "Study") -> Iterator[str]:
    measured, advice = _measured(study), study.advice
    if advice.metric is not None and advice.metric not in measured:
        yield _not_measured("advice.metric", advice.metric, measured)
    if advice.budget is not None:
        missing = [f"advice.{key}" for key in ("pretraining_token_price", "finetuning_unit_price") if getattr(advice, key) is None]
        missing += ["laws.transfer-gap"] if "transfer-gap" not in study.laws else []
        if missing:
            yield f"advice.budget: it is split by prices under the law transfer-gap. Give {_and(missing)} too, or leave it out."


def _and(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
