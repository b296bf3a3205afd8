"""The advice on a study: everything that `advice.json` holds, from the means of the table and the fitted laws."""

from pathlib import Path

from transferlaws.advice.budget import model_size, no_split, splits
from transferlaws.advice.comparison import compare, compare_laws
from transferlaws.advice.context import Context, deciding_metric, with_worthwhile
from transferlaws.advice.decide import answer
from transferlaws.advice.forecast import Candidate, standing
from transferlaws.advice.settings import AdviceSettings
from transferlaws.advice.worth import remarks, worth
from transferlaws.laws.document import FitDocument
from transferlaws.laws.groups import one_way_of_measuring
from transferlaws.laws.law_fit import LawFit, read_fits
from transferlaws.laws.settings import law_of
from transferlaws.measurements.columns import SCORES
from transferlaws.measurements.means import TableMeans

CURVE = ["task", "model", "mixture", "finetuning_size", "finetuning_unit"]


class Laws:
    """The fitted laws of a study; the draws of each are read once, when they are asked for."""

    def __init__(self, paths: dict[str, str | Path], documents: dict[str, FitDocument]) -> None:
        self.documents = documents
        self._paths = paths
        self._known: dict[str, list[LawFit]] = {}

    def of(self, law: str, metric: str | None = None) -> list[LawFit]:
        """Every fit of a law (to a metric); none where it was not fitted."""
        if law not in self.documents:
            return []
        if law not in self._known:
            self._known[law] = read_fits(self._paths[law], self.documents[law])
        return [fit for fit in self._known[law] if metric in (None, fit.fit.metric)]


def advise(table: TableMeans, laws: Laws, settings: AdviceSettings, max_epochs: float | None = None) -> dict:
    """Answers, comparisons, what each mixture is worth, laws and budget, each number and sentence once."""
    reason = no_split(laws.documents, settings)
    return {
        **_answers(table, laws, settings, max_epochs),
        "worth": worth(table, laws.documents, settings.confidence),
        "remarks": remarks(table, settings.confidence),
        "laws": compare_laws(laws.documents),
        "budget": {"splits": [], "reason": reason} if reason else splits(laws.of("transfer-gap"), settings),
        "model_size": model_size(laws.documents),
    }


def _answers(table: TableMeans, laws: Laws, settings: AdviceSettings, max_epochs: float | None) -> dict:
    answers, comparisons, notes = [], [], []
    for task, rows in table.table.groupby("task"):
        metric, said = deciding_metric(rows, settings)
        own_settings = with_worthwhile(settings, metric, rows[metric].dropna())
        if settings.worthwhile is None:
            said = [*said, f"{task}: a gain of {own_settings.worthwhile:g} in {metric} is called worthwhile"]
        notes += said
        one_way_of_measuring(rows, metric)
        fitted = laws.of(law_of(metric), metric)
        candidates = [Candidate(fit.fit.group, fit) for fit in fitted if fit.fit.group["task"] == task]
        if not fitted:
            why = f"{law_of(metric)} was not fitted to {metric}"
            curves = rows[rows.pretraining_tokens > 0][CURVE].drop_duplicates().sort_values(CURVE).to_dict("records")
            candidates = [Candidate(curve, None, why) for curve in curves]
        for model in sorted({c.key["model"] for c in candidates}):
            own = [c for c in candidates if c.key["model"] == model]
            context = Context(table.of(task=task, model=model, metric=metric), own_settings, max_epochs)
            for size in sorted({float(c.key["finetuning_size"]) for c in own}):
                measured = [c for c in own if c.key["finetuning_size"] == size and context.means.rungs(c.key["mixture"], size)]
                rivals, pairs = [standing(c, context) for c in measured], compare(context, size)
                answers += [answer(one, rivals, pairs, context) for one in rivals]
                if metric in SCORES and "cross_entropy" in rows and rows.cross_entropy.notna().any():
                    # a small test set's score is the noisier witness by far
                    pairs = pairs + compare(Context(table.of(task=task, model=model, metric="cross_entropy"), own_settings), size)
                comparisons += [{"task": task, "model": model, **pair} for pair in pairs]
    return {"notes": notes, "answers": answers, "comparisons": comparisons}
