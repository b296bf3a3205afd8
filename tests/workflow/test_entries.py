"""The ways into the workflow: from its folder, by workflow/Snakefile, and as a module of another workflow, here or on a server."""

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from support.tiny import REPOSITORY, checkout, config, snakemake, write_data

MODULE = """
configfile: "tiny.yaml"

module transferlaws:
    snakefile: "{snakefile}"
    config: config

use rule * from transferlaws as transferlaws_*

rule own:
    default_target: True
    input: rules.transferlaws_all.input
    output: "own.txt"
    shell: "touch {{output}}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return checkout(tmp_path_factory.mktemp("entries"))


def jobs(done) -> dict[str, int]:
    """Jobs of a dry run by rule; the target itself left out."""
    found = re.findall(r"^(?:transferlaws_)?(\w+) +(\d+)$", done.stdout.partition("Job stats:")[2], re.MULTILINE)
    counts = {rule: int(count) for rule, count in found if rule not in ("total", "default", "all", "own")}
    assert counts, done.stdout + done.stderr
    return counts


def importer(folder: Path, snakefile: str) -> Path:
    """A workflow that holds nothing but the tiny study's config and data, and uses the one at `snakefile`."""
    write_data(folder / "data")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(config(Path("data"))))
    (folder / "Snakefile").write_text(MODULE.format(snakefile=snakefile))
    return folder


def test_the_top_level_snakefile_builds_what_the_real_one_does(folder):
    top = jobs(snakemake(folder, "--dry-run", "--quiet", "rules"))
    assert top["pretrain"] == 4 and top["summary"] == 1
    assert top == jobs(snakemake(folder, "--dry-run", "--quiet", "rules", "--snakefile", "workflow/Snakefile"))


def test_another_workflow_uses_it_as_a_module(folder, tmp_path):
    other = importer(tmp_path / "other", str(folder / "workflow/Snakefile"))
    assert jobs(snakemake(other, "--dry-run", "--quiet", "rules")) == jobs(snakemake(folder, "--dry-run", "--quiet", "rules"))
    snakemake(other, "results/corpora/fr/report.json")  # a job finds the package of the module's checkout
    assert (other / "results/corpora/fr/documents.jsonl.zst").is_file()


@pytest.fixture
def server(folder, monkeypatch):
    """The address of a server of the checkout's files."""
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *arguments: None)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_module_on_a_server_runs_the_installed_package(folder, tmp_path, server):
    other = importer(tmp_path / "other", f"{server}/workflow/Snakefile")
    broken = tmp_path / "broken"
    (broken / "transferlaws").mkdir(parents=True)
    (broken / "transferlaws/__init__.py").write_text('raise ImportError("not installed")')

    def dry_run(package: Path) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--cores", "1"]
        environment = os.environ | {"PYTHONPATH": str(package), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        return subprocess.run(command, cwd=other, env=environment, text=True, capture_output=True, check=False)

    missing = dry_run(broken)
    assert missing.returncode and "install the same version" in missing.stdout + missing.stderr
    assert jobs(dry_run(folder / "workflow")) == jobs(snakemake(folder, "--dry-run", "--quiet", "rules"))


def test_the_catalogue_finds_what_it_asks_for():
    described = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text())
    assert described["usage"]["report"] is True
    for name in ("workflow/Snakefile", "config/config.yaml", "config/README.md", "LICENSE", "README.md"):
        assert (REPOSITORY / name).is_file(), name
    assert (REPOSITORY / "config/config.yaml").read_text() == (REPOSITORY / "config.yaml").read_text()
