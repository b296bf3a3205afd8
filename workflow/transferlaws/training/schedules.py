"""Learning-rate schedules as factors of the peak rate; steps count from 1."""

import math

from transferlaws.training.settings import FinetuningSettings

COOLDOWN = 0.2  # share of the most steps
SPARSEST = 10  # steps between evaluations, at least, where these grow apart


def trunk_factor(schedule: str, step: int, warmup: int) -> float:
    """Pretraining: linear warm-up, then `inverse-square-root` (T5: sqrt(warm-up / step)) or flat (`constant`, `wsd`)."""
    if step <= warmup:
        return step / warmup
    return math.sqrt(warmup / step) if schedule == "inverse-square-root" else 1.0


def decay_factor(done: float) -> float:
    """A decay branch: from 1 at share 0 to 0 at share 1, as 1 - sqrt(share) (Hägele et al. 2024)."""
    return 1.0 - math.sqrt(min(max(done, 0.0), 1.0))


def finetuning_factor(schedule: str, step: int, steps: int, rising: int) -> float:
    """Fine-tuning over `steps`: warm-up over `rising` of them, then `linear` or `cosine` decay to 0, `constant` or `plateau`.

    A plateau ends with the steps: so does what no early stop has ended before, at a rate that falls to 0 over the last fifth.
    """
    if step <= rising:
        return step / rising
    if schedule == "plateau":
        return min((steps - step) / (COOLDOWN * steps), 1.0)
    share = (step - rising) / max(steps - rising, 1)
    if schedule == "linear":
        return 1.0 - share
    return 0.5 * (1.0 + math.cos(math.pi * share)) if schedule == "cosine" else 1.0


def rising_steps(settings: FinetuningSettings, steps: int) -> int:
    """Steps of the warm-up."""
    if settings.warmup_steps is None:
        return max(round(steps * settings.warmup), 1)
    return max(min(settings.warmup_steps, steps // 2), 1)


def evaluation_steps(settings: FinetuningSettings, steps: int) -> set[int]:
    """The steps, up to the last of `steps`, behind which dev loss is measured: evenly apart, or in a geometric row."""
    if settings.evaluation_growth is None:
        every = -(-steps // settings.evaluations)
        return {*range(every, steps, every), steps}
    chosen, step = {steps}, SPARSEST
    while step < steps:
        chosen.add(step)
        step += max(SPARSEST, math.ceil(step * settings.evaluation_growth))
    return chosen
