"""The exam of the mixture laws on public tables, LightGBM and the laws of ScaleBench beside them.

    PYTHONPATH=workflow OMP_NUM_THREADS=1 python benchmarks/mixtures.py DIR

writes benchmarks/results/mixtures.json. DIR holds {train,test}_mixture_1m.csv, {train,test}_pile_loss_1m.csv and
test_pile_loss_60m.csv (RegMix, arXiv 2407.01492, repository sail-sg/regmix, MIT), and the training splits
scalebench_{domain_mixture,data_constrained}_scaling_law_train.parquet (ScaleBench, arXiv 2604.22753, repository PlanarG/active-sl,
CC-BY-4.0). Needs `pip install .[benchmarks]`.
"""

import argparse
import time
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from mixtures_rivals import DATA_CONSTRAINED, DOMAIN
from record import Record, cpu

from transferlaws.mixtures.compare import best_of, candidate, folds_of, forms_for, spearman
from transferlaws.mixtures.draws import draw
from transferlaws.mixtures.fit import fit
from transferlaws.mixtures.forms import FORMS
from transferlaws.mixtures.points import Points
from transferlaws.seeding import generator

PILE_CC, LEVEL, FOLDS, SUBSETS = 8, 0.9, 10, 8
LAWS = ("power", "additive", "exposure", "exponential")


def regmix(folder: Path) -> dict[str, np.ndarray]:
    """Weights and losses of the proxies, and of the unseen mixtures at 1M and 60M parameters."""

    def read(name: str, index: pd.Index | None = None) -> pd.DataFrame:
        table = pd.read_csv(folder / f"{name}.csv").set_index("index")
        return table if index is None else table.loc[index]

    train, test = read("train_mixture_1m"), read("test_mixture_1m")
    share = [table.to_numpy() / table.to_numpy().sum(axis=1, keepdims=True) for table in (train, test)]
    return {
        "train": share[0],
        "losses": read("train_pile_loss_1m", train.index).to_numpy().T,
        "test": share[1],
        "unseen": read("test_pile_loss_1m", test.index).to_numpy().T,
        "larger": read("test_pile_loss_60m", test.index).to_numpy().T,
    }


def boosted(weights, losses, unseen, least):
    """RegMix's regressor: 1,000 rounds at 0.01, without the early stopping on the test set that its notebook has."""
    settings = {"objective": "regression", "learning_rate": 0.01, "min_data_in_leaf": least, "verbosity": -1, "seed": 42}
    settings |= {"num_threads": 1, "deterministic": True}
    return np.array(
        [lightgbm.train(settings, lightgbm.Dataset(weights, target), num_boost_round=1000).predict(unseen) for target in losses]
    )


def chosen(points, losses, unseen):
    """Predictions (T, m) by the law with the smallest held-out error of each target."""
    fold = folds_of(np.arange(len(points)), FOLDS, 0)
    laws = [candidate(form, points, losses, fold) for form in forms_for(points, losses=True)]
    predicted = np.array([np.broadcast_to(law.fit.predict(unseen), (len(losses), len(unseen))) for law in laws])
    return predicted[best_of(laws, losses), np.arange(len(losses))]


def regret(predicted, shown):
    """(T,) loss of the mixture predicted best over that of the best."""
    return np.take_along_axis(shown, predicted.argmin(1)[:, None], axis=1)[:, 0] - shown.min(1)


def exam(record: Record, data: dict, count: int) -> None:
    """`count` proxies -> 256 unseen mixtures, over subsets of the 512: the first `count`, then random ones."""
    test = Points(data["test"])
    found: dict[str, list[np.ndarray]] = {}
    covered = []
    subsets = [np.arange(count)] + [generator(i, "exam").permutation(512)[:count] for i in range(1, SUBSETS if count < 512 else 1)]
    for chosen_rows in subsets:
        points, losses = Points(data["train"][chosen_rows]), data["losses"][:, chosen_rows]
        results = {name: fit(FORMS[name](points), points, losses) for name in LAWS}
        predictions = {name: result.predict(test) for name, result in results.items()}
        predictions["chosen law"] = chosen(points, losses, test)
        for least in (5, 20):
            predictions[f"LightGBM, at least {least} a leaf"] = boosted(points.weights, losses, data["test"], least)
        for name, predicted in predictions.items():
            found.setdefault(name, []).append(
                np.stack(
                    [spearman(predicted, data["unseen"]), spearman(predicted, data["larger"]), regret(predicted, data["unseen"])]
                )
            )
        draws = draw(results["power"], 300, generator(0, "exam", "draws"))
        ends = np.quantile(draws.measured(test, generator(0, "exam", "noise")), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
        covered.append(((data["unseen"] >= ends[0]) & (data["unseen"] <= ends[1])).mean(1))
    scores = {name: np.array(rows) for name, rows in found.items()}  # (subsets, what, targets)
    rival = max((name for name in scores if name.startswith("LightGBM")), key=lambda name: scores[name][:, 0].mean())
    for name in (*LAWS, "chosen law", rival):
        rows, other, text = scores[name], scores[rival], f"{count} proxies, {name}"
        for which, part in (("the first", slice(0, 1)), (f"mean of {len(subsets)} subsets", slice(None))):
            if part.stop is None and len(subsets) == 1:
                continue

            def add(figure, values, pick, unit="Spearman", which=which, part=part, rows=rows, other=other, text=text):
                record.add(f"{text}: {figure}, {which}", pick(values(rows)[part]), unit, pick(values(other)[part]))

            add("mean of 13 targets, 1M", lambda r: r[:, 0], lambda v: float(v.mean()))
            add("smallest of 13 targets, 1M", lambda r: r[:, 0], lambda v: float(v.mean(0).min()))
            add("Pile-CC at 60M", lambda r: r[:, 1, PILE_CC], lambda v: float(v.mean()))
            add("mean regret of 13 targets among 256", lambda r: r[:, 2], lambda v: float(v.mean()), "nats")
            add("Pile-CC regret among 256", lambda r: r[:, 2, PILE_CC], lambda v: float(v.mean()), "nats")
    covered = np.array(covered)
    for figure, value in (
        ("mean of 13 targets", covered.mean()),
        ("smallest mean of a target", covered.mean(0).min()),
        ("largest mean of a target", covered.mean(0).max()),
        ("mean of 13 targets, the first proxies", covered[0].mean()),
    ):
        record.add(f"{count} proxies, power: unseen runs in their 90% interval, {figure}", float(value), "share", LEVEL)


def speed(record: Record, data: dict) -> None:
    """1,000 draws of one fit with 512 mixtures of 17 corpora."""
    points = Points(data["train"])
    result = fit(FORMS["power"](points), points, data["losses"][PILE_CC : PILE_CC + 1])
    start, used = time.perf_counter(), time.process_time()
    draw(result, 1000, generator(0, "speed"))
    record.add("1,000 draws of a fit with 512 x 17 weights", time.perf_counter() - start, "s", 10.0)
    record.add("1,000 draws of a fit with 512 x 17 weights, processor time", time.process_time() - used, "s", 10.0)


def r_squared(predicted, shown):
    """(T,) of (T, n)."""
    return 1 - ((predicted - shown) ** 2).sum(1) / ((shown - shown.mean(1, keepdims=True)) ** 2).sum(1)


def scalebench_mixtures(record: Record, folder: Path) -> None:
    """Five domains, four sizes, 20 mixtures each: held-out R2 in 10 folds by mixture, a fit for each size and domain."""
    table = pd.read_parquet(folder / "scalebench_domain_mixture_scaling_law_train.parquet")
    scores: dict[str, list[float]] = {}
    for _, rows in table.groupby("group", sort=True):
        weights = rows.filter(like="proportion").to_numpy()
        points, losses = Points(weights / weights.sum(1, keepdims=True)), rows.filter(like="loss").to_numpy().T
        fold = folds_of(np.arange(len(points)), FOLDS, 0)
        laws = [candidate(form, points, losses, fold) for form in forms_for(points, losses=True)]
        for law in laws:
            scores.setdefault(law.name, []).extend(r_squared(np.broadcast_to(law.held_out, losses.shape), losses))
        for name, rival in DOMAIN.items():
            held = np.empty_like(losses)
            for number in range(fold.max() + 1):
                out = fold == number
                for domain, target in enumerate(losses):
                    held[domain, out] = rival(points.weights[~out], target[~out], points.weights[out], domain)
            scores.setdefault(name, []).extend(r_squared(held, losses))
    best = max(DOMAIN, key=lambda name: np.mean(scores[name]))
    for name, values in scores.items():
        text = f"ScaleBench five-domain mixtures, {name}: held-out R2"
        record.add(f"{text}, mean of 4 sizes and 5 domains", float(np.mean(values)), "R2", f"{best}: {np.mean(scores[best]):.4f}")
        record.add(f"{text}, median", float(np.median(values)), "R2")
        record.add(f"{text}, smallest", float(np.min(values)), "R2")


def scalebench_repeats(record: Record, folder: Path) -> None:
    """Unique tokens, tokens and size -> loss, 161 runs: held-out R2 in 10 folds."""
    table = pd.read_parquet(folder / "scalebench_data_constrained_scaling_law_train.parquet")
    unique, size, tokens = (table[name].to_numpy(dtype=float) for name in ("unique_tokens", "params", "tokens"))
    losses = table.loss.to_numpy()[None]
    points = Points(np.ones((len(table), 1)), tokens=tokens, unique=unique[:, None], size=size)
    fold = folds_of(np.arange(len(points)), FOLDS, 0)
    scores = {
        f"{name} (this project)": candidate(FORMS[name](points), points, losses, fold).held_out for name in ("exposure", "constant")
    }
    for name, rival in DATA_CONSTRAINED.items():
        held = np.empty_like(losses)
        for number in range(fold.max() + 1):
            out = fold == number
            held[0, out] = rival(
                [part[~out] for part in (unique, size, tokens)], losses[0, ~out], [part[out] for part in (unique, size, tokens)]
            )
        scores[name] = held
    for name, held in scores.items():
        record.add(f"ScaleBench data-constrained runs, {name}: held-out R2", float(r_squared(held, losses)[0]), "R2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of the tables")
    folder = parser.parse_args().folder
    record = Record(
        "mixtures",
        packages=("numpy", "scipy", "lightgbm"),
        device=f"{cpu()}, one thread",
        command="PYTHONPATH=workflow OMP_NUM_THREADS=1 python benchmarks/mixtures.py DIR",
    )
    data = regmix(folder)
    speed(record, data)
    scalebench_mixtures(record, folder)
    scalebench_repeats(record, folder)
    for count in (64, 128, 512):
        exam(record, data, count)


if __name__ == "__main__":
    main()
