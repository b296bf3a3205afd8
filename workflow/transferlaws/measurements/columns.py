"""The columns of the measurement table, said once: `score` writes by this list, the reader validates by it, the docs hold it.

Imports neither numpy nor pandas.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Column:
    """One column of `measurements.csv`."""

    name: str
    dtype: Literal["text", "whole", "number", "flag"]
    meaning: str
    unit: str = ""
    required: bool = False
    """Whether a table made elsewhere needs it, with a value in every row."""
    kind: Literal["score", "loss", ""] = ""
    """What a law can be fitted to: scores are read upward, losses downward."""
    negative: bool = False
    """Whether its numbers may be below 0."""
    optional: bool = False
    """Written only where a row has it: not every study measures it."""


def _column(name: str, dtype: str, unit: str, meaning: str, **more: object) -> Column:
    return Column(name, dtype, meaning, unit, **more)


COLUMNS = (
    _column("study", "text", "", "name of the study"),
    _column("task", "text", "", "name of the task", required=True),
    _column("kind", "text", "", "`translation` or `lm`"),
    _column("model", "text", "", "name of the model", required=True),
    _column("mixture", "text", "", "name of the mixture; `scratch` for rung 0", required=True),
    _column("alignment", "number", "", "Isik et al.'s eq. 2 for (mixture, task); empty where undefined"),
    _column("seed", "whole", "", "seed of pretraining and fine-tuning", required=True),
    _column("parameters_non_embedding", "whole", "parameters", "N, without vocabulary and position embeddings"),
    _column("parameters_total", "whole", "parameters", "all parameters"),
    _column("pretraining_tokens", "whole", "real tokens", "D_p, tokens seen in pretraining; 0 for scratch", required=True),
    _column("pretraining_steps", "whole", "steps", "optimiser steps of pretraining"),
    _column("pretraining_positions", "whole", "positions", "source and target ids seen in pretraining"),
    _column("pretraining_characters", "whole", "characters", "characters seen in pretraining"),
    _column("pretraining_unique_tokens", "whole", "real tokens", "tokens of the corpora that were seen at least once"),
    _column("pretraining_flops", "number", "FLOPs", "operations of pretraining"),
    _column("pretraining_epochs", "number", "passes", "largest number of passes over any corpus of the mixture"),
    _column("annealed", "flag", "", "true if the rung ends in a decay branch"),
    _column(
        "upstream_cross_entropy", "number", "nats/token", "validation loss of the pretraining objective", kind="loss", negative=True
    ),
    _column("finetuning_size", "whole", "finetuning_unit", "D_f as the config names it", required=True),
    _column("finetuning_unit", "text", "", "`pairs` or `tokens`", required=True),
    _column("finetuning_pairs", "whole", "pairs", "pairs in the fine-tuning set (empty for `lm`)"),
    _column("finetuning_tokens", "whole", "real tokens", "target tokens in the fine-tuning set"),
    _column(
        "finetuning_positions",
        "whole",
        "positions",
        "source and target ids of the fine-tuning set, end marks included; batches have no padding",
    ),
    _column("finetuning_characters", "whole", "characters", "target characters in the fine-tuning set"),
    _column("finetuning_steps", "whole", "steps", "until the best step"),
    _column("finetuning_epochs", "number", "passes", "until the best step"),
    _column("finetuning_flops", "number", "FLOPs", "until the best step"),
    _column(
        "finetuning_stopped",
        "text",
        "",
        "what ended the chosen replica: `early` (dev loss no longer improved), or the limit that came first, `max_steps` or "
        "`max_epochs`: a longer run may be better",
    ),
    _column("learning_rate", "number", "", "chosen on dev"),
    _column("dev_cross_entropy", "number", "nats/token", "dev, at the best step", kind="loss", negative=True),
    _column("cross_entropy", "number", "nats/token", "test", kind="loss", negative=True),
    _column("cross_entropy_per_character", "number", "nats/character", "test", kind="loss", negative=True),
    _column("bleu", "number", "0-100", "sacrebleu corpus score, test", kind="score", negative=True),
    _column("chrf", "number", "0-100", "sacrebleu corpus score, test", kind="score", negative=True),
    _column("bleu_signature", "text", "", "sacrebleu signature"),
    _column("chrf_signature", "text", "", "sacrebleu signature"),
    _column("bleu_noise", "number", "0-100", "standard deviation over bootstrap resamples of the test set"),
    _column("chrf_noise", "number", "0-100", "standard deviation over bootstrap resamples of the test set"),
    _column("test_items", "whole", "items", "size of the test set"),
    _column("test_tokens", "whole", "real tokens", "size of the test set"),
    *(
        _column(f"{split}_{side}_cut", "whole", "items", f"{side} longer than {limit}: read up to there; empty for `lm`")
        for split, limit in (("finetuning", "`finetuning.length`"), ("dev", "`finetuning.length`"), ("test", "`evaluation.length`"))
        for side in ("sources", "targets")
    ),
    _column("test_references_cut", "whole", "items", "references longer than a hypothesis may be (`evaluation.max_length`)"),
    _column("test_hypotheses_cut", "whole", "items", "hypotheses that reached `evaluation.max_length` without an end"),
    _column("test_sha256", "text", "", "checksum of the test set"),
    _column("contamination_removed", "whole", "items", "training and pretraining items removed for overlap with dev or test"),
    _column("status", "text", "", "`ok` or `diverged`"),
    _column("comet", "number", "0-1", "mean COMET of the test set", kind="score", negative=True, optional=True),
    _column("comet_noise", "number", "0-1", "standard deviation over bootstrap resamples of the test set", optional=True),
    _column("comet_signature", "text", "", "model and version of COMET", optional=True),
    _column("mixture_weights", "text", "", "JSON: the mixture's weight of each corpus; empty for `scratch`", optional=True),
    _column("rouge", "number", "0-1", "ROUGE of a table made elsewhere", kind="score", negative=True, optional=True),
)

KEY = ("task", "model", "mixture", "finetuning_size", "finetuning_unit", "seed", "pretraining_tokens")
"""What tells measurements apart: the required columns, in the order in which messages and groups name them."""
SCORES = {column.name: column.unit for column in COLUMNS if column.kind == "score"}
LOSSES = {column.name: column.unit for column in COLUMNS if column.kind == "loss"}
ORDER = ("task", "model", "mixture", "finetuning_size", "seed", "pretraining_tokens")
"""By which the rows of a written table are sorted."""
