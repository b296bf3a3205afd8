"""What the command line hands a stage as JSON is validated in one place, and settings say which of them are files."""

import argparse
import importlib
from typing import get_args

import pytest

from transferlaws import store
from transferlaws.cli import STAGES, main
from transferlaws.corpora.settings import BitextSettings, CodeCorpus, CorpusSettings, FilesBitext, HubCorpus
from transferlaws.errors import UserError
from transferlaws.options import OwnFiles, files_by_key, folder_of, own_files, parse
from transferlaws.tokens.settings import VocabularySettings
from transferlaws.training.settings import FinetuningSettings


def options(stage):
    """Every option of a stage that takes a value, with the value that it must be given."""
    parser = argparse.ArgumentParser()
    importlib.import_module(STAGES[stage][0]).add_arguments(parser)
    return {action.option_strings[0]: action for action in parser._actions if action.option_strings and action.nargs != 0}


WITH_JSON = sorted({"--settings", "--model", "--weights", "--ladder", "--seeds", "--checkpoints", "--tasks", "--mixtures"})


@pytest.mark.parametrize("stage", STAGES)
def test_wrong_json_is_a_clear_error_in_every_stage(stage, capsys):
    found = [option for option in WITH_JSON if option in options(stage) and options(stage)[option].metavar == "JSON"]
    assert "--settings" in found or "--settings" not in options(stage)
    for option in found:
        for wrong in ('{"nonsense": {"a": [null]}}', "{"):
            assert main([stage, option, wrong]) == 1
            said = capsys.readouterr().err
            assert f"transferlaws {stage}: {option}: " in said and "Traceback" not in said


def test_mistakes_reach_the_log(tmp_path):
    assert main(["corpus", "--settings", "{", "--log", str(tmp_path / "log")]) == 1
    assert "--settings: all: invalid JSON" in (tmp_path / "log").read_text()


def test_every_mistake_is_named_with_key_value_and_keys():
    with pytest.raises(UserError) as error:
        parse(FinetuningSettings, '{"batch": 0, "pace": 3}')
    assert "batch: input should be greater than or equal to 1, found 0" in str(error.value)
    assert "pace: extra inputs are not permitted, found 3" in str(error.value)
    assert "learning_rates, optimiser, batch" in str(error.value)


def test_a_folder_may_be_named_by_its_manifest():
    assert folder_of("results/corpora/fr/report.json") == folder_of("results/corpora/fr")


def test_settings_that_name_files_are_marked():
    """By their names; a new one that is called otherwise must be marked too."""
    kinds = [*get_args(get_args(CorpusSettings)[0]), *get_args(get_args(BitextSettings)[0]), VocabularySettings]
    unmarked = [
        f"{kind.__name__}.{name}"
        for kind in kinds
        for name, field in kind.model_fields.items()
        if (name.endswith(("paths", "path", "files", "folder")) or name in ("dataset", "model"))
        and not any(isinstance(mark, OwnFiles) for mark in field.metadata)
    ]
    assert not unmarked


def test_files_are_found_in_marked_settings_alone():
    bitext = FilesBitext(source="files", languages=("en", "de"), paths=["a/*.tsv"], test_paths=["b.tsv"], licence="c.txt")
    assert list(own_files(bitext)) == ["a/*.tsv", "b.tsv"]
    hub = HubCorpus(source="hub", language="en", dataset="./local", licence="ours")
    assert list(own_files(hub)) == ["./local"]
    assert not files_by_key(hub, elsewhere=False)
    assert files_by_key(bitext)["test_paths"] == ["b.tsv"]


def test_an_entry_of_the_store_depends_on_the_content_of_files(tmp_path):
    def key(**changes):
        settings = CodeCorpus(**{"source": "code", "language": "code", "paths": [str(tmp_path / "code")], **changes})
        return store.key("transferlaws.corpora.corpus", argparse.Namespace(name="x", settings=settings, output=tmp_path))

    (tmp_path / "code").mkdir()
    (tmp_path / "code/a.py").write_text("a = 1\n")
    first = key()
    assert key() == first
    (tmp_path / "code/a.py").write_text("a = 2\n")
    second = key()
    assert second != first
    (tmp_path / "code/b.py").write_text("")
    assert key() not in (first, second)
    # a licence is text, also where a file bears its name
    (tmp_path / "LICENCE").write_text("1")
    licensed = key(licence=str(tmp_path / "LICENCE"))
    (tmp_path / "LICENCE").write_text("2")
    assert key(licence=str(tmp_path / "LICENCE")) == licensed
