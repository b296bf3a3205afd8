"""Every law by name: its equation, which rows of a measurement table it reads, how they are grouped and fitted."""

import pandas as pd

from transferlaws.laws.effective_data import fit_effective_data
from transferlaws.laws.estimate import Fitted, Unfitted, fit_groups
from transferlaws.laws.forms import neighbours, posynomial, score
from transferlaws.laws.groups import groups_of, metrics_of
from transferlaws.laws.law import Law
from transferlaws.laws.settings import FitSettings

CURVE = ("task", "model", "mixture", "finetuning_size", "finetuning_unit")
SURFACE = ("task", "model", "mixture", "finetuning_unit")
SIZES = ("task", "mixture", "finetuning_size", "finetuning_unit")
TRANSFER = ("task", "mixture", "pretraining_tokens", "finetuning_unit")
TUNING = ("task", "model", "mixture", "pretraining_tokens", "finetuning_unit")

LAWS: dict[str, Law] = {
    law.form.name: law
    for law in (
        Law(score.SCORE_LOG, "score", CURVE, fit_groups, delta=0.1),
        Law(posynomial.CROSS_ENTROPY_POWER, "loss", CURVE, fit_groups),
        Law(posynomial.TRANSFER_GAP, "loss", SURFACE, fit_groups),
        Law(
            score.EFFECTIVE_DATA,
            "loss",
            TRANSFER,
            fit_effective_data,
            held_out_rungs=0,
            delta=0.1,
        ),
        Law(posynomial.CHINCHILLA, "loss", SIZES, fit_groups),
        Law(neighbours.KAPLAN, "loss", ("task", "finetuning_unit"), fit_groups, rows="scratch"),
        Law(posynomial.ZHANG_MULTIPLICATIVE, "loss", SURFACE, fit_groups),
        Law(posynomial.ZHANG_ADDITIVE, "loss", SURFACE, fit_groups),
        Law(
            neighbours.RECTIFIED,
            "loss",
            TUNING,
            fit_groups,
            rows="all",
        ),
        Law(neighbours.REPEATED_DATA, "loss", CURVE, fit_groups),
        Law(score.SCORE_FROM_LOSS, "score", ("task", "model"), fit_groups, rows="all", held_out_rungs=0, delta=0.1),
    )
}


def fit_table(table: pd.DataFrame, *, law: Law, settings: FitSettings) -> list[Fitted | Unfitted]:
    """Fit a law, in its own way, to every curve of a validated table; `settings` are resolved (`protocols.resolve`)."""
    groups = [
        group
        for metric in metrics_of(table, law, settings.metrics)
        for group in groups_of(table, law=law, metric=metric, settings=settings)
    ]
    return law.fitter(groups, law=law, settings=settings)
