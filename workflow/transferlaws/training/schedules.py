"""Learning-rate schedules as factors of the peak rate; steps count from 1."""

import math


def trunk_factor(schedule: str, step: int, warmup: int) -> float:
    """Pretraining: linear warm-up, then `inverse-square-root` (T5: sqrt(warm-up / step)) or flat (`constant`, `wsd`)."""
    if step <= warmup:
        return step / warmup
    return math.sqrt(warmup / step) if schedule == "inverse-square-root" else 1.0


def decay_factor(done: float) -> float:
    """A decay branch: from 1 at share 0 to 0 at share 1, as 1 - sqrt(share) (Hägele et al. 2024)."""
    return 1.0 - math.sqrt(min(max(done, 0.0), 1.0))


def finetuning_factor(schedule: str, step: int, steps: int, warmup: float) -> float:
    """Fine-tuning over `steps`: warm-up over a share of them, then `linear` or `cosine` decay to 0, or `constant`."""
    rising = max(round(steps * warmup), 1)
    if step <= rising:
        return step / rising
    share = (step - rising) / max(steps - rising, 1)
    if schedule == "linear":
        return 1.0 - share
    return 0.5 * (1.0 + math.cos(math.pi * share)) if schedule == "cosine" else 1.0
