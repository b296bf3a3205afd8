"""Coverage under noise that the model of noise does not assume: the studies of `studies.py`, fitted and compared many times.

    PYTHONPATH=workflow:tests OMP_NUM_THREADS=1 python -m support.robustness --studies 250 --output docs/robustness.csv

One row a study: how often 90 % intervals hold the truth, the median estimates, how often the true law is rejected.
"""

import argparse

import numpy as np
import pandas as pd

from support.studies import RUNGS, Transfer, curve, isoflop, power, surface, transfer
from transferlaws.laws.api import fit_law
from transferlaws.laws.document import report
from transferlaws.laws.effective_data import fit_effective_data
from transferlaws.laws.groups import groups_of
from transferlaws.laws.protocols import resolve
from transferlaws.laws.registry import LAWS
from transferlaws.laws.settings import FitSettings

KINDS = ("normal", "t 3", "t 2", "outlier", "shrinks", "grows", "drifts", "own slopes")
LONG, MIDDLE, SHORT = (tuple(np.geomspace(1e4, end, count)) for end, count in ((1e10, 19), (1e9, 16), (1e8, 13)))
TRANSFERS = {
    "0.3 %": Transfer(),
    "1 %": Transfer(residual=0.01),
    "run 0.5 %, residual 0.5 %": Transfer(run=0.005, residual=0.005),
    "one D a decade": Transfer(scratch=LONG[::3]),
    "k 30": Transfer(k=30, scratch=MIDDLE),
    "k 300": Transfer(k=300, scratch=MIDDLE),
    "scratch to 1e8, 0.3 %": Transfer(scratch=SHORT),
    "scratch to 1e8, 1 %": Transfer(scratch=SHORT, residual=0.01),
    "scratch to 5e7, 0.3 %": Transfer(scratch=tuple(np.geomspace(1e4, 5e7, 13))),
    "scratch to 5e7, 1 %": Transfer(scratch=tuple(np.geomspace(1e4, 5e7, 13)), residual=0.01),
}


def of_curves(kind, seed, settings):
    """One study of a loss curve: parameters and the prediction four times beyond, with the status."""
    random, beyond = np.random.default_rng(seed), 4 * RUNGS[-1]
    if kind.startswith("isoFLOP"):
        x, values = isoflop(random, shrinks=kind.endswith("shrinks"))
        found, truth = fit_law(law="chinchilla", x=x, values=values, settings=settings), {"E": 1.69, "alpha": 0.34, "beta": 0.28}
        at = np.array([[2e11, 4e12]])
        ahead = surface(at)[0]
    else:
        x, values, runs = curve(kind, random)
        found, truth = (
            fit_law(law="cross-entropy-power", x=x, values=values, runs=runs, settings=settings),
            {"E": 1.5, "alpha": 0.25},
        )
        at, ahead = [beyond], power(beyond)
    estimate, low, high = (end[0] for end in found.predict(at))
    prediction = {"estimate": estimate, "low": low, "high": high}
    return {**found.parameters, "prediction": prediction}, truth | {"prediction": ahead}, found.status


def of_transfer(name, seed, settings):
    """One study of effective data."""
    study, law = TRANSFERS[name], LAWS["effective-data"]
    groups = groups_of(transfer(study, np.random.default_rng(seed)), law=law, metric="cross_entropy", settings=settings)
    (result,) = fit_effective_data(groups, law=law, settings=settings)
    found = report(result, law=law, settings=settings)
    return found["parameters"], {"k": study.k, "alpha": study.alpha, "beta": study.beta}, found["status"]


def rows_of(law, name, one, studies, settings):
    """Rows of the table for one kind of study."""
    quantities, statuses = {}, []
    for seed in range(studies):
        parameters, truths, status = one(name, seed, settings.model_copy(update={"seed": seed}))
        statuses.append(status)
        for quantity, truth in truths.items():
            p = parameters[quantity]
            low, high = (bound if p[end] is None else p[end] for end, bound in (("low", -np.inf), ("high", np.inf)))
            quantities.setdefault(quantity, []).append((p["estimate"], low <= truth <= high, truth))
    rejected = np.mean([status == "rejected" for status in statuses])
    return [
        {
            "law": law,
            "study": name,
            "quantity": quantity,
            "truth": found[0][2],
            "studies": studies,
            "median": np.median([f[0] for f in found]),
            "covered": np.mean([f[1] for f in found]),
            "rejected": rejected,
        }
        for quantity, found in quantities.items()
    ]


def main():
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=250)
    parser.add_argument("--bootstraps", type=int, default=400)
    parser.add_argument("--only", default="", help="studies whose law and name hold this text")
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    settings = FitSettings(bootstraps=arguments.bootstraps, held_out_rungs=0, low_data_share=1e9)
    plan = [("cross-entropy-power", kind, of_curves) for kind in KINDS]
    plan += [("chinchilla", kind, of_curves) for kind in ("isoFLOP, 72 runs", "isoFLOP, 72 runs, noise shrinks")]
    plan += [("effective-data", name, of_transfer) for name in TRANSFERS]
    rows = []
    for law, name, one in plan:
        if arguments.only in f"{law} {name}":
            own = resolve(LAWS[law], settings) if one is of_transfer else settings
            rows += rows_of(law, name, one, arguments.studies, own)
            pd.DataFrame(rows).to_csv(arguments.output, index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
