"""Throughput and memory of the data stages, and of tokenising against `datasets.map` with the same model.

    python benchmarks/data.py FOLDER --output OUT [--threads 2]    writes benchmarks/results/data.json

FOLDER holds `text/LANG.NAME.txt.xz` and `bitext/LANG-LANG.tsv.xz` (source, target, origin): all of it is prepared, stage by stage.
Then follow the tokens stage and `datasets.map` in turn, and a generated corpus and one ten times larger. Each stage is its
own process: peak memory is that of the largest process, CPU time is that of all. On a shared machine CPU time is the steadier.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from record import ROOT, Record, cpu

REPEATS = 5
LICENCES = {  # as in studies/data
    "eltec": {"licence": "public domain", "version": "ELTeC"},
    "drama": {"licence": "CC0-1.0", "version": "GerDraCor"},
    "laws": {"licence": "public domain"},
    "ddtp": {"licence": "per package"},
    "msdocs": {"licence": "CC-BY-4.0"},
    "ud_ronec": {"licence": "CC-BY-SA-4.0 and MIT"},
}
COMPARED = ("msdocs-en", "eltec-en")  # tokenised both ways: short sentences, long paragraphs
THEIRS = (
    "import sys, datasets, sentencepiece\n"
    "processor = sentencepiece.SentencePieceProcessor(model_file=sys.argv[2])\n"
    "rows = datasets.load_dataset('json', data_files=sys.argv[1], split='train', cache_dir=sys.argv[3])\n"
    "def encode(batch): return {'ids': [ids + [1] for ids in processor.encode(batch['text'])]}\n"
    "rows.map(encode, batched=True, remove_columns=rows.column_names, num_proc=int(sys.argv[4]))\n"
)


def measure(*command: object) -> dict[str, float]:
    """Run a command; wall and CPU seconds, peak memory in MB."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}
    environment["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, *map(str, command)], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[:3]} failed")
    return {"wall": time.monotonic() - start, "cpu": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}


def stage(*arguments: object) -> dict[str, float]:
    used = measure("-m", "transferlaws", *arguments)
    print(arguments[0], arguments[-1], {key: round(value, 1) for key, value in used.items()}, flush=True)
    return used


def size(folder: Path) -> float:
    """MB of text that a stage kept."""
    return json.loads((folder / "report.json").read_text())["bytes"] / 1e6


def prepare(folder: Path, output: Path, threads: int, results: Record) -> None:
    """Bitexts, corpora against all of them, one vocabulary, shards of everything."""
    used = defaultdict(list)  # stage -> (MB of text, what it took)
    bitexts, corpora = [], []
    for path in sorted((folder / "bitext").glob("*.tsv.xz")):
        name = path.name.split(".")[0]
        settings = {"source": "files", "paths": [str(path)], "languages": name.split("-"), "origin_column": 2}
        settings |= {"test_origins": ["tatoeba"], "monolingual": 0.2, "licence": "per origin"}
        bitexts.append(output / "bitexts" / name)
        common = ("--settings", json.dumps(settings), "--threads", threads, "--output", bitexts[-1])
        took = stage("bitext", "--name", name, *common)
        used["bitext"].append((size(bitexts[-1]), took))
    for path in sorted((folder / "text").glob("*.txt.xz")):
        language, kind = path.name.split(".")[:2]
        settings = {"source": "files", "paths": [str(path)], "language": language} | LICENCES.get(kind, {})
        corpora.append(output / "corpora" / f"{kind}-{language}")
        common = ("--settings", json.dumps(settings), "--threads", threads, "--against", *bitexts, "--output", corpora[-1])
        took = stage("corpus", "--name", corpora[-1].name, *common)
        used["corpus"].append((size(corpora[-1]), took))
    characters = 10_000_000
    settings = json.dumps({"size": 8192, "sample_characters": characters})
    vocabulary = output / "vocabulary"
    took = stage("vocabulary", "--settings", settings, "--corpora", *corpora, "--bitexts", *bitexts, "--output", vocabulary)
    used["vocabulary"].append((characters / 1e6, took))
    for source in (*bitexts, *corpora):
        shards = output / "tokens" / source.parent.name / source.name
        took = stage("tokens", "--input", source, "--vocabulary", vocabulary, "--threads", threads, "--output", shards)
        used["tokens"].append((size(source), took))
    for name, runs in used.items():
        megabytes = sum(text for text, _ in runs)
        wall, cpu_seconds = (sum(took[key] for _, took in runs) for key in ("wall", "cpu"))
        what = f"`{name}`, {len(runs)} inputs, {megabytes:.0f} MB"
        results.add(f"{what}: wall time", wall / 60, "min")
        results.add(f"{what}: CPU time", cpu_seconds / 60, "min")
        results.add(f"{what}: text per second", megabytes / wall, "MB/s")
        results.add(f"{what}: peak memory", max(took["peak_mb"] for _, took in runs), "MB")
    every = [took for runs in used.values() for _, took in runs]
    results.add("all stages: wall time", sum(took["wall"] for took in every) / 60, "min")
    results.add("all stages: CPU time", sum(took["cpu"] for took in every) / 60, "min")


def memory(output: Path, results: Record) -> None:
    """The same stages on a generated corpus of 50,000 documents and of 500,000."""
    peaks = defaultdict(list)
    for items in (50_000, 500_000):
        settings = {"source": "simulate", "language": "xa", "items": items, "concepts": 5_000, "words": 20}
        folder, vocabulary = output / f"generated-{items}", output / f"vocabulary-{items}"
        corpus = ("--name", folder.name, "--settings", json.dumps(settings), "--output", folder)
        peaks["corpus"].append(stage("corpus", *corpus)["peak_mb"])
        trained = ("--settings", '{"size": 2048}', "--corpora", folder, "--output", vocabulary)
        peaks["vocabulary"].append(stage("vocabulary", *trained)["peak_mb"])
        shards = ("--input", folder, "--vocabulary", vocabulary, "--output", output / f"tokens-{items}")
        peaks["tokens"].append(stage("tokens", *shards)["peak_mb"])
    for name, (small, large) in peaks.items():
        results.add(f"`{name}`: peak memory at 500,000 documents, baseline 50,000", large, "MB", small, large / small)


def tokens(output: Path, threads: int, results: Record) -> None:
    """Our stage and `datasets.map` in turn, one process each, from the same JSON lines to ids on disk."""
    vocabulary = output / "vocabulary"
    for corpus in (output / "corpora" / name for name in COMPARED):
        common = ("--input", corpus, "--vocabulary", vocabulary, "--threads", threads)
        files = (corpus / "documents.jsonl.zst", vocabulary / "spiece.model")
        ours, theirs = [], []
        for repeat in range(REPEATS):
            ours.append(stage("tokens", *common, "--output", output / f"ours-{corpus.name}-{repeat}"))
            theirs.append(measure("-c", THEIRS, *files, output / f"theirs-{corpus.name}-{repeat}", threads))
        for key, unit in (("cpu", "CPU s"), ("wall", "s")):
            ratios = sorted(b[key] / a[key] for a, b in zip(ours, theirs, strict=True))
            value, baseline = (statistics.median(took[key] for took in runs) for runs in (ours, theirs))
            ends = f"median of {REPEATS}, ratio {ratios[0]:.2f} to {ratios[-1]:.2f}"
            figure = f"`tokens`, {corpus.name}, {size(corpus):.0f} MB, baseline `datasets.map` with the same model ({ends})"
            results.add(figure, value, unit, baseline, statistics.median(ratios))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    results = Record(
        "data",
        packages=("sentencepiece", "datasets"),
        device=f"{cpu()}, {arguments.threads} of {os.cpu_count()} cores",
        command=f"python benchmarks/data.py FOLDER --output OUT --threads {arguments.threads}",
    )
    prepare(arguments.folder, arguments.output, arguments.threads, results)
    tokens(arguments.output, arguments.threads, results)
    memory(arguments.output, results)


if __name__ == "__main__":
    main()
