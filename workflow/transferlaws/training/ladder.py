"""How far up the ladder the text of a mixture reaches."""

import logging

from transferlaws.errors import UserError
from transferlaws.tokens.batches import MixtureStream
from transferlaws.training.settings import PretrainingSettings

logger = logging.getLogger("transferlaws")


def within_text(
    ladder: list[int], stream: MixtureStream, settings: PretrainingSettings, mixture: str
) -> tuple[list[int], list[dict]]:
    """Rungs of `ladder` (text tokens, increasing) that take at most `max_epochs` passes over each corpus, and those that take more.

    Of a rung left out: `{"pretraining_tokens", "corpus": the one that runs out first, "epochs": passes that the rung takes over
    it}`. Both depend on the text and the weights alone, so all models and seeds of a mixture have the same rungs. A `UserError`
    where a rung is left out and `exhausted` is `fail`, and where no rung would remain.
    """
    if settings.max_epochs is None:
        return ladder, []
    available, corpus = stream.available(settings.max_epochs)
    weight, total = stream.weights[corpus], stream.segments[corpus].total
    kept = [rung for rung in ladder if rung <= available]
    left_out = [
        {"pretraining_tokens": rung, "corpus": corpus, "epochs": rung * weight / total} for rung in ladder if rung > available
    ]
    if left_out and (settings.exhausted == "fail" or not kept):
        rung = left_out[-1] if kept else left_out[0]
        remedy = "shorten the ladder, add text, lower the weight or allow more passes"
        raise UserError(
            f"mixture {mixture}, corpus {corpus}: {'a' if kept else 'its lowest'} rung of {rung['pretraining_tokens']:,} tokens at "
            f"weight {weight:g} takes {rung['epochs']:.3g} passes over its {total:,}; pretraining.max_epochs is "
            f"{settings.max_epochs:g}. The largest rung that there is text for is {int(available):,}: {remedy}"
            + (", or leave such rungs out with pretraining.exhausted: stop." if kept else ".")
        )
    if left_out:
        logger.warning(
            "mixture %s: its ladder ends at %s, because corpus %s (%s tokens, weight %g; pretraining.max_epochs is %g) "
            "runs out at %s. Left out: %s.",
            *(mixture, f"{kept[-1]:,}", corpus, f"{total:,}", weight, settings.max_epochs, f"{int(available):,}"),
            ", ".join(f"{rung['pretraining_tokens']:,}" for rung in left_out),
        )
    return kept, left_out
