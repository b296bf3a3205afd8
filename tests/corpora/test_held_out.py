"""Test sets of the field never become training text, whatever the source."""

import pytest
from pydantic import TypeAdapter, ValidationError

from transferlaws.corpora.cleaning import Cleaner
from transferlaws.corpora.held_out import is_held_out
from transferlaws.corpora.items import Pair
from transferlaws.corpora.settings import BitextCleaning, BitextSettings, CorpusSettings

HELD_OUT = ["OPUS/WMT-News.en-de.tmx", "wmtnews", "newstest2014.de", "newsdev2016-roen", "newssyscomb2009", "newsdiscusstest2015"]
HELD_OUT += ["flores200", "NTREX-128", "IWSLT17.TED.tst2015"]
FREE = ["news-commentary-v18.en-de.tsv", "europarl", "tatoeba", "newscrawl.2019.de", "paracrawl", "flowers.txt"]


@pytest.mark.parametrize("name", HELD_OUT)
def test_held_out_names(name: str) -> None:
    assert is_held_out(name)
    with pytest.raises(ValidationError, match="never training text"):
        TypeAdapter(CorpusSettings).validate_python({"source": "files", "language": "en", "paths": [f"data/{name}"]})
    with pytest.raises(ValidationError, match="never training text"):
        TypeAdapter(BitextSettings).validate_python({"source": "files", "languages": ["en", "de"], "paths": [f"data/{name}"]})
    TypeAdapter(BitextSettings).validate_python(
        {"source": "files", "languages": ["en", "de"], "paths": ["x.tsv"], "test_paths": [name]}
    )
    cleaner = Cleaner(BitextCleaning(), ["en", "de"])
    assert not cleaner.clean(Pair("1", "some words", "einige Wörter", origin=name))
    assert cleaner.clean(Pair("1", "some words", "einige Wörter", origin=name, split="test"))


@pytest.mark.parametrize("name", FREE)
def test_other_names(name: str) -> None:
    assert not is_held_out(name)


@pytest.mark.parametrize(
    ("dataset", "split", "allowed"),
    [
        ("wmt/wmt14", "train", True),
        ("wmt/wmt14", "train[:10%]", True),
        ("wmt/wmt14", "test", False),
        ("wmt/wmt19", "validation", False),
        ("facebook/flores", "train", False),
        ("Helsinki-NLP/opus-100", "train", True),
    ],
)
def test_splits_of_hub_datasets(dataset: str, split: str, allowed: bool) -> None:
    raw = {"source": "hub", "languages": ["en", "de"], "dataset": dataset, "split": split, "revision": "a" * 40, "licence": "x"}
    if allowed:
        TypeAdapter(BitextSettings).validate_python(raw)
    else:
        with pytest.raises(ValidationError, match="test set of the field"):
            TypeAdapter(BitextSettings).validate_python(raw)
