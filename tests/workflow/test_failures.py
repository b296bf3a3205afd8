"""A run that failed ends with what its stages said, once."""

import os
import subprocess
import sys

import pytest
import yaml

from support.tiny import REPOSITORY, checkout, snakemake
from transferlaws import __version__
from transferlaws.config import load_study
from transferlaws.errors import UserError
from transferlaws.failures import SHOWN, last_words

STAMP = "2026-01-01 00:00:00,000"


def write(folder, name, *lines, age=0.0):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    os.utime(path, (1000 - age, 1000 - age))
    return path


def test_the_same_error_of_three_stages_is_said_once(tmp_path):
    for number in (1, 2, 3):
        write(tmp_path, f"finetune/{number}.log", f"{STAMP} INFO [x] 3 %", f"{STAMP} ERROR transferlaws finetune: too few pairs")
    write(tmp_path, "corpus/en.log", f"{STAMP} INFO [x] done")
    write(tmp_path, "corpus/de.log", f"{STAMP} ERROR transferlaws corpus: an earlier run's", age=500)
    assert last_words(tmp_path, 900) == [f"transferlaws finetune: too few pairs ({tmp_path}/finetune/1.log and 2 more logs)"]


def test_of_a_traceback_the_last_line_is_said_and_of_an_error_all_lines(tmp_path):
    trace = ["Traceback (most recent call last):", '  File "x.py", line 1', "ValueError: no such thing"]
    write(tmp_path, "a.log", f"{STAMP} ERROR transferlaws fit: unexpected error", *trace)
    write(tmp_path, "b.log", f"{STAMP} ERROR transferlaws plan: the config is not valid:", "  - one", "  - two")
    write(tmp_path, "c.log", f"{STAMP} ERROR a try that failed", f"{STAMP} INFO the next one did not")
    first, second = last_words(tmp_path, 0)
    assert first.startswith("transferlaws fit: unexpected error\nValueError: no such thing (")
    assert second.startswith("transferlaws plan: the config is not valid:\n  - one\n  - two (")


def test_many_errors_are_cut_short(tmp_path):
    for number in range(SHOWN + 3):
        write(tmp_path, f"{number}.log", f"{STAMP} ERROR error {number}")
    assert len(last_words(tmp_path, 0)) == SHOWN + 1 and last_words(tmp_path, 0)[-1] == "... and 3 other errors"


@pytest.mark.slow
def test_the_last_line_of_a_failed_workflow_is_the_stages_own(tmp_path):
    folder = checkout(tmp_path)
    study = yaml.safe_load((folder / "tiny.yaml").read_text())
    (folder / "data/fr.txt").write_text("\n")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(study))
    failed = snakemake(folder, "results/corpora/fr/report.json", check=False)
    assert failed.returncode
    tail = failed.stderr[-1500:]
    assert "transferlaws corpus: corpus 'fr': no training document is left" in tail
    assert "--settings" not in tail[tail.rindex("transferlaws corpus:") :]


def test_a_config_that_is_wrong_ends_with_its_mistakes(tmp_path):
    folder = checkout(tmp_path)
    study = yaml.safe_load((folder / "tiny.yaml").read_text())
    study["corpora"]["fr"]["paths"] = ["data/gone.txt"]
    (folder / "tiny.yaml").write_text(yaml.safe_dump(study))
    failed = snakemake(folder, "--dry-run", check=False)
    assert failed.returncode
    assert failed.stderr.strip().splitlines()[-1].startswith("  - corpora.fr.paths: no file matches `data/gone.txt`.")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("language: no", ["`False`", 'a bare no, off or false as false: write it in quotes, such as "no"']),
        ("language: on", ["`True`", 'write it in quotes, such as "yes"']),
        ("version: 1.10", ["`1.1`", 'YAML reads it as a number: write it in quotes, such as "1.1"']),
        ("version: 2024-05-01", ["YAML reads it as a date: write it in quotes", "2024-05-01"]),
    ],
)
def test_what_yaml_reads_as_no_text_is_to_be_quoted(written, words):
    study = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    study["corpora"]["mine"] = {"source": "files", "paths": ["a.txt"], "language": "en"} | yaml.safe_load(written)
    with pytest.raises(UserError) as error:
        load_study(study)
    (line,) = [line for line in str(error.value).splitlines() if "corpora.mine" in line]
    assert all(word in line for word in words), line


def test_the_version_is_said():
    said = subprocess.run([sys.executable, "-m", "transferlaws", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"transferlaws {__version__}\n"
