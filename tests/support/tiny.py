"""A study that runs in half a minute: real stages, two planted languages, models of a few thousand parameters."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

REPOSITORY = Path(__file__).parents[2]
SYLLABLES = ["ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "wo", "xu", "za"]


def lexicon(generator: np.random.Generator, words: int) -> list[str]:
    """Distinct words of two or three syllables."""
    found: dict[str, None] = {}
    while len(found) < words:
        found["".join(generator.choice(SYLLABLES, size=generator.integers(2, 4)))] = None
    return list(found)


def write_data(folder: Path, pairs: int = 400, sentences: int = 1500) -> None:
    """Two languages that translate word by word with the verb moved to the end, and a third that means nothing."""
    generator = np.random.default_rng(7)
    english, german, french = (lexicon(generator, 60) for _ in range(3))
    frequency = 1 / np.arange(1, 61)
    frequency /= frequency.sum()

    def sentence() -> np.ndarray:
        return generator.choice(60, size=generator.integers(4, 9), p=frequency)

    def line(words: list[str], numbers: np.ndarray) -> str:
        return " ".join(words[number] for number in numbers)

    folder.mkdir(parents=True, exist_ok=True)
    for name, words in (("en", english), ("de", german), ("fr", french)):
        numbers = [sentence() for _ in range(sentences)]
        order = [np.roll(number, -1) if name == "de" else number for number in numbers]
        (folder / f"{name}.txt").write_text("".join(line(words, number) + "\n" for number in order))
    rows = [sentence() for _ in range(pairs)]
    (folder / "pairs.tsv").write_text("".join(f"{line(english, row)}\t{line(german, np.roll(row, -1))}\n" for row in rows))


def config(data: Path) -> dict:
    """The study, as an overlay of config.yaml that replaces all it names."""
    return {
        "study": "tiny",
        "corpora": {
            name: {"source": "files", "language": name, "paths": [str(data / f"{name}.txt")], "valid": 0.05}
            for name in ("en", "de", "fr")
        },
        "bitexts": {
            "pairs": {"source": "files", "languages": ["en", "de"], "paths": [str(data / "pairs.tsv")], "test": 0.1, "dev": 0.1}
        },
        "vocabulary": {"size": 384, "sentinels": 16},
        "mixtures": {"en+de": {"en": 0.5, "de": 0.5}, "fr": {"fr": 1}},
        "models": {"nano": {"d_model": 16, "heads": 2, "d_kv": 8, "d_ff": 32, "encoder_layers": 1, "decoder_layers": 1}},
        "pretraining": {
            "ladder": [1000, 2000, 4000, 8000],
            "seeds": [1, 2],
            "length": 32,
            "batch_tokens": 512,
            "shapes": 1,
            "warmup_steps": 4,
            "validation_tokens": 500,
        },
        "tasks": {"en-de": {"kind": "translation", "bitext": "pairs", "pairs": [100]}},
        "finetuning": {
            "learning_rates": [0.01, 0.03],
            "batch": 32,
            "max_steps": 20,
            "evaluations": 4,
            "length": 32,
            "dev_items": 40,
        },
        "evaluation": {"max_length": 24},
        "curves": {"models": "all", "mixtures": "all", "tasks": "all", "leave_out": []},
        "laws": {"cross-entropy-power": {"bootstraps": 200}, "score-log": {"bootstraps": 200}},
        "figures": {"downstream": {}, "score-vs-loss": {}, "upstream": {}},
    }


def checkout(folder: Path) -> Path:
    """A copy of the workflow in `folder`, with the tiny study's data and `tiny.yaml`."""
    for name in ("Snakefile", "config.yaml", "workflow", "profiles", "envs"):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(source, folder / name)
    write_data(folder / "data")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(config(Path("data")), sort_keys=False))
    return folder


def snakemake(folder: Path, *arguments: str, check: bool = True, **options: object) -> subprocess.CompletedProcess:
    """Run the tiny study's workflow in `folder`."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False, **options)
    if check and done.returncode:
        logs = "".join(
            f"\n--- {path}\n{path.read_text()}" for path in sorted(folder.glob("results/logs/**/*.log")) if path.stat().st_size
        )
        raise AssertionError(f"{' '.join(command)}\n{done.stdout}{done.stderr}{logs[-8000:]}")
    return done
