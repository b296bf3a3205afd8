"""Throughput and memory of the data stages, and of tokenising against `datasets.map` with the same model.

    python benchmarks/data.py prepare FOLDER --output OUT [--threads 2]    every text and bitext of a folder, stage by stage
    python benchmarks/data.py memory --output OUT                          a generated corpus, and one ten times larger
    python benchmarks/data.py tokens CORPUS VOCABULARY --output OUT        our tokens stage and `datasets.map` in turn

FOLDER holds `text/LANG.NAME.txt.xz` and `bitext/LANG-LANG.tsv.xz` (source, target, origin). Stages run as processes of their own:
peak memory is that of the process itself, CPU seconds are with its children. On a shared machine CPU seconds are the steadier.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))


def stage(*arguments: object) -> dict[str, float]:
    """Run a stage; wall and CPU seconds, peak memory in MB."""
    environment = {**os.environ, "PYTHONPATH": sys.path[0], "OMP_NUM_THREADS": "1"}
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "transferlaws", *map(str, arguments)], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments[0]} failed")
    return {
        "wall": time.monotonic() - start,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
    }


def row(what: str, name: str, megabytes: float, used: dict[str, float]) -> None:
    """Print one line of the table."""
    print(
        f"| {what} | {name} | {megabytes:.1f} | {used['wall']:.1f} | {used['cpu']:.1f} | {megabytes / used['wall']:.2f} "
        f"| {megabytes / used['cpu']:.2f} | {used['peak_mb']:.0f} |",
        flush=True,
    )


HEAD = "| stage | of | MB of text | wall s | CPU s | MB/s | MB/CPU s | peak MB |\n|---|---|---|---|---|---|---|---|"


def prepare(folder: Path, output: Path, threads: int) -> None:
    """Bitexts, corpora against all of them, one vocabulary, shards of everything."""
    print(HEAD)
    bitexts, corpora = [], []
    for path in sorted((folder / "bitext").glob("*.tsv.xz")):
        name = path.name.split(".")[0]
        settings = {"source": "files", "paths": [str(path)], "languages": name.split("-"), "origin_column": 2}
        settings |= {"test_origins": ["tatoeba"], "monolingual": 0.2}
        bitexts.append(output / "bitexts" / name)
        common = ("--settings", json.dumps(settings), "--threads", threads, "--output", bitexts[-1])
        used = stage("bitext", "--name", name, *common)
        row("bitext", name, size(bitexts[-1]), used)
    for path in sorted((folder / "text").glob("*.txt.xz")):
        language, kind = path.name.split(".")[:2]
        settings = {"source": "files", "paths": [str(path)], "language": language}
        corpora.append(output / "corpora" / f"{kind}-{language}")
        common = ("--settings", json.dumps(settings), "--threads", threads, "--output", corpora[-1], "--against", *bitexts)
        used = stage("corpus", "--name", corpora[-1].name, *common)
        row("corpus", corpora[-1].name, size(corpora[-1]), used)
    settings = json.dumps({"size": 8192, "sample_characters": 10_000_000})
    vocabulary = output / "vocabulary"
    used = stage("vocabulary", "--settings", settings, "--corpora", *corpora, "--bitexts", *bitexts, "--output", vocabulary)
    row("vocabulary", "all", 10.0, used)
    for source in (*bitexts, *corpora):
        used = stage(
            "tokens",
            "--input",
            source,
            "--vocabulary",
            vocabulary,
            "--output",
            output / "tokens" / source.name,
            "--threads",
            threads,
        )
        row("tokens", source.name, size(source), used)


def size(folder: Path) -> float:
    """MB of text that a stage kept."""
    return json.loads((folder / "report.json").read_text())["bytes"] / 1e6


def memory(output: Path) -> None:
    """The same stages on a generated corpus of 50,000 documents and of 500,000."""
    print(HEAD)
    for items in (50_000, 500_000):
        settings = {"source": "simulate", "language": "xa", "items": items, "concepts": 5_000, "words": 20}
        folder = output / f"generated-{items}"
        used = stage("corpus", "--name", f"generated-{items}", "--settings", json.dumps(settings), "--output", folder)
        row("corpus", f"{items:,} documents", size(folder), used)
        vocabulary = output / f"vocabulary-{items}"
        used = stage("vocabulary", "--settings", '{"size": 2048}', "--corpora", folder, "--output", vocabulary)
        row("vocabulary", f"{items:,} documents", 4.0, used)
        used = stage("tokens", "--input", folder, "--vocabulary", vocabulary, "--output", output / f"tokens-{items}")
        row("tokens", f"{items:,} documents", size(folder), used)


def tokens(corpus: Path, vocabulary: Path, output: Path, repeats: int, threads: int) -> None:
    """Our stage and `datasets.map` in turn, one process each, from the same JSON lines to ids on disk."""
    script = (
        "import sys, datasets, sentencepiece\n"
        "processor = sentencepiece.SentencePieceProcessor(model_file=sys.argv[2])\n"
        "rows = datasets.load_dataset('json', data_files=sys.argv[1], split='train', cache_dir=sys.argv[3])\n"
        "def encode(batch): return {'ids': [ids + [1] for ids in processor.encode(batch['text'])]}\n"
        "rows.map(encode, batched=True, remove_columns=rows.column_names, num_proc=int(sys.argv[4]))\n"
    )
    ours, theirs = [], []
    megabytes = size(corpus)
    for repeat in range(repeats):
        ours.append(
            stage(
                "tokens", "--input", corpus, "--vocabulary", vocabulary, "--output", output / f"ours-{repeat}", "--threads", threads
            )
        )
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
        command = [sys.executable, "-c", script, str(corpus / "documents.jsonl.zst"), str(vocabulary / "spiece.model")]
        start = time.monotonic()
        process = subprocess.Popen([*command, str(output / f"theirs-{repeat}"), str(threads)], env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit("datasets.map failed")
        theirs.append({"wall": time.monotonic() - start, "cpu": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024})
    print(HEAD)
    for name, used in (("tokens stage", ours), ("datasets.map", theirs)):
        row(
            name,
            f"{corpus.name}, median of {repeats}",
            megabytes,
            {key: statistics.median(u[key] for u in used) for key in used[0]},
        )
    ratio = sorted(b["cpu"] / a["cpu"] for a, b in zip(ours, theirs, strict=True))
    print(f"datasets.map takes {statistics.median(ratio):.2f} times the CPU time ({ratio[0]:.2f} to {ratio[-1]:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("prepare")
    first.add_argument("folder", type=Path)
    first.add_argument("--threads", type=int, default=2)
    second = commands.add_parser("memory")
    third = commands.add_parser("tokens")
    third.add_argument("corpus", type=Path)
    third.add_argument("vocabulary", type=Path)
    third.add_argument("--threads", type=int, default=1)
    third.add_argument("--repeats", type=int, default=5)
    for command in (first, second, third):
        command.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    start = time.monotonic()
    if arguments.command == "prepare":
        prepare(arguments.folder, arguments.output, arguments.threads)
    elif arguments.command == "memory":
        memory(arguments.output)
    else:
        tokens(arguments.corpus, arguments.vocabulary, arguments.output, arguments.repeats, arguments.threads)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"in all: {time.monotonic() - start:.0f} s wall, {children.ru_utime + children.ru_stime:.0f} s CPU")


if __name__ == "__main__":
    main()
