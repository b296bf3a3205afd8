"""Which training recipe shows transfer: objective, optimiser, choice of the learning rate, dropout, annealing; D_p = 0 and 42M.

    python benchmarks/recipes.py --folder /tmp/recipes --side-by-side 4

Each recipe is a study laid over studies/tatoeba-novels.yaml (which says where its corpora go), run by Snakemake with one store for
all; writes benchmarks/results/recipes.csv, a row a measurement, with the dev loss at every learning rate tried. One seed.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import yaml
from record import ROOT

sys.path.insert(0, str(ROOT / "workflow"))

from transferlaws.config import overlay
from transferlaws.files import read_json

COMMON = {
    "mixtures": {"en+de": {"novels-en": 0.5, "novels-de": 0.5}},
    "pretraining": {"ladder": ["42M"], "seeds": [1]},
    "tasks": {"en-de": {"kind": "translation", "bitext": "tatoeba", "pairs": [1000, 10_000, 100_000]}},
    "laws": {},
    "figures": {},
}
ADAMW, ADAFACTOR, MUON = ({"optimiser": {"name": name}} for name in ("adamw", "adafactor", "muon"))
LOW = {"learning_rates": [3e-4, 1e-3, 3e-3]}
RECIPES = {
    "default": {},
    "span corruption": {"pretraining": {"objective": "span-corruption"}},
    "adamw": {"pretraining": ADAMW | {"learning_rate": 1.5e-3}, "finetuning": ADAMW | LOW},
    "span corruption, adamw": {
        "pretraining": ADAMW | {"learning_rate": 1.5e-3, "objective": "span-corruption"},
        "finetuning": ADAMW | LOW,
    },
    "dropout 0.1 in fine-tuning": {"finetuning": {"dropout": 0.1}},
    "annealed": {"pretraining": {"anneal": 0.2}},
    "adafactor": {"pretraining": ADAFACTOR, "finetuning": ADAFACTOR},
    "muon": {"pretraining": MUON, "finetuning": MUON | {"learning_rates": [1e-2, 3e-2, 1e-1]}},
}


def slug(recipe: str) -> str:
    """A recipe's name as that of a folder."""
    return recipe.replace(" ", "-").replace(",", "")


def run(folder: Path, recipe: str, cores: int) -> None:
    """One recipe's study, as far as its evaluations."""
    study = yaml.safe_load((ROOT / "studies/tatoeba-novels.yaml").read_text())
    study = overlay(overlay(study, COMMON), RECIPES[recipe])
    name = slug(recipe)
    study |= {"study": name, "results": str(folder / name), "store": str(folder / "store")}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--nolock", "--configfile", str(path), "--"]
    with open(folder / f"{name}.log", "w") as log:
        subprocess.run([*command, str(folder / name / "measurements.csv")], cwd=ROOT, stdout=log, stderr=log, check=False)


def measured(folder: Path, recipe: str) -> pd.DataFrame:
    """Rows of one recipe; none if it did not end."""
    results = folder / slug(recipe)
    if not (results / "measurements.csv").is_file():
        return pd.DataFrame()
    table = pd.read_csv(results / "measurements.csv")
    rates = {}
    for path in results.glob("finetune/*/*/*/*/curve.json"):
        curve = read_json(path)
        for replica in curve["replicas"]:
            rates[curve["finetuning_size"], replica["pretraining_tokens"]] = replica["learning_rates"]
    sizes = zip(table.finetuning_size, table.pretraining_tokens, strict=True)
    table["dev_cross_entropy_by_rate"] = [
        " ".join(f"{rate}:{loss:.3f}" for rate, loss in rates[size].items() if loss is not None) for size in sizes
    ]
    table.insert(0, "recipe", recipe)
    columns = ["recipe", "finetuning_size", "pretraining_tokens", "seed", "annealed", "upstream_cross_entropy", "learning_rate"]
    return table[[*columns, "cross_entropy", "bleu", "chrf", "finetuning_steps", "dev_cross_entropy_by_rate"]]


def main() -> None:
    """Run what is not there yet, then tabulate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="for studies, results and the store")
    parser.add_argument("--side-by-side", type=int, default=4, help="recipes at once")
    parser.add_argument("--cores", type=int, default=2, help="jobs at once, of a recipe")
    parser.add_argument("--recipes", nargs="*", choices=RECIPES, default=list(RECIPES))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(arguments.side_by_side) as pool:
        list(pool.map(lambda recipe: run(arguments.folder, recipe, arguments.cores), arguments.recipes))
    table = pd.concat([measured(arguments.folder, recipe) for recipe in RECIPES])
    table.to_csv(Path(os.environ.get("BENCHMARK_RESULTS", ROOT / "benchmarks/results")) / "recipes.csv", index=False)
    print(table.to_string())


if __name__ == "__main__":
    main()
