"""How often the set of the best mixtures, the intervals and P(best) hold the truth, in planted studies.

    PYTHONPATH=workflow OMP_NUM_THREADS=1 python benchmarks/mixtures_planted.py [--studies 250]

writes benchmarks/results/mixtures_planted.json.
"""

import argparse

import numpy as np
from record import Record, cpu

from transferlaws.mixtures.planted import study

LEVEL = 0.9
CASES = {
    "3 corpora, 12 mixtures, 1 run": {"form": "power", "fitted": "power", "corpora": 3, "mixtures": 12, "runs": 1},
    "5 corpora, 20 mixtures, 3 runs": {"form": "power", "fitted": "power", "corpora": 5, "mixtures": 20, "runs": 3},
    "additive truth, 4 corpora, 14 mixtures, 3 runs": {
        "form": "additive",
        "fitted": "power",
        "corpora": 4,
        "mixtures": 14,
        "runs": 3,
    },
    "exponential truth, 4 corpora, 14 mixtures, 1 run": {
        "form": "exponential",
        "fitted": "power",
        "corpora": 4,
        "mixtures": 14,
        "runs": 1,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--studies", type=int, default=250, help="planted studies of each case (default: %(default)s)")
    count = parser.parse_args().studies
    record = Record(
        "mixtures_planted",
        packages=("numpy", "scipy"),
        device=f"{cpu()}, one thread",
        command="PYTHONPATH=workflow OMP_NUM_THREADS=1 python benchmarks/mixtures_planted.py",
    )
    for text, case in CASES.items():
        found = [study(**case, noise=0.04, level=LEVEL, draws=300, seed=seed) for seed in range(count)]
        chance = np.array([each.chance.max() for each in found])
        right = np.array([each.chance.argmax() == each.truly_best for each in found])
        text = f"{text}, {count} studies"
        for figure, value in (
            ("the set holds the best mixture", np.mean([each.set_holds_best for each in found])),
            ("the proposed mixture's interval holds its value", np.mean([each.value_held for each in found])),
            ("unseen runs in their intervals", np.mean([each.unseen_held for each in found])),
        ):
            record.add(f"{text}: {figure}", float(value), "share", LEVEL)
        record.add(f"{text}: share of mixtures in the set", float(np.mean([each.set_share for each in found])), "share")
        record.add(f"{text}: P(best) of the leading mixture", float(chance.mean()), "share")
        record.add(f"{text}: how often the leading mixture is best", float(right.mean()), "share", float(chance.mean()))
        for low, high in ((0.0, 0.6), (0.6, 0.9), (0.9, 1.01)):
            inside = (chance >= low) & (chance < high)
            if inside.sum() >= 10:
                name = f"{text}: leading mixture is best where P(best) is {low:g}-{min(high, 1):g} ({inside.sum()} studies)"
                record.add(name, float(right[inside].mean()), "share", float(chance[inside].mean()))
        record.add(f"{text}: mean regret of the proposed mixture", float(np.mean([each.regret for each in found])), "nats")


if __name__ == "__main__":
    main()
