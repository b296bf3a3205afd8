"""The declared corpora of `studies/data/` are valid settings, and short."""

from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from transferlaws.corpora.settings import BitextSettings, CorpusSettings

FILES = sorted((Path(__file__).parents[2] / "studies" / "data").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_declared_corpora_are_valid(path: Path) -> None:
    study = yaml.safe_load(path.read_text())
    assert study.keys() <= {"corpora", "bitexts"}
    for kind, adapter in (("corpora", TypeAdapter(CorpusSettings)), ("bitexts", TypeAdapter(BitextSettings))):
        for raw in study.get(kind, {}).values():
            adapter.validate_python(raw)
            licences = [package["licence"] for package in raw["packages"]] if "packages" in raw else [raw["licence"]]
            assert all(licences)
            assert len(yaml.safe_dump(raw).splitlines()) <= 15


def test_there_are_some() -> None:
    assert len(FILES) >= 4
