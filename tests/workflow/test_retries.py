"""What a stage refuses is not tried again; what the cluster did is. Every attempt keeps its log."""

import subprocess
import sys

import pytest

from transferlaws.errors import PassingError, UserError

SNAKEFILE = """
from transferlaws import cli, scheduling
scheduling.give_up_on_refusals()
rule all:
    output: "out"
    log: "logs/all.log"
    shell: "{python} stage.py {{log}}"
"""
STAGE = """
import sys, types
from pathlib import Path
from transferlaws import cli
from transferlaws.errors import PassingError, UserError
module = types.ModuleType("transferlaws.trial")
module.add_arguments = lambda parser: None
def run(arguments):
    raise {error}("this and that")
module.run = run
sys.modules["transferlaws.trial"] = module
cli.STAGES["trial"] = ("transferlaws.trial", "")
sys.exit(cli.main(["trial", "--log", sys.argv[1]]))
"""


@pytest.mark.parametrize(("error", "attempts"), [(UserError, 1), (PassingError, 3)])
def test_refusals_are_not_repeated(tmp_path, error, attempts):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(python=sys.executable))
    (tmp_path / "stage.py").write_text(STAGE.format(error=error.__name__))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--retries", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    logs = sorted((tmp_path / "logs").glob("all.*.log"))
    assert len(logs) == attempts, done.stderr
    assert all("this and that" in log.read_text() for log in logs)
