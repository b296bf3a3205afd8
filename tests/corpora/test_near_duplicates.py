"""Near duplicates are found, others are not, and the order of the input does not matter."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from transferlaws.corpora import corpus
from transferlaws.corpora.items import Document, read_items
from transferlaws.corpora.near_duplicates import NearDuplicates
from transferlaws.corpora.settings import CorpusSettings

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LONG = " ".join(f"{a}{b}" for a in LETTERS for b in "xyz")  # 78 different words


def test_a_changed_word_is_near_and_half_a_text_is_not() -> None:
    near = NearDuplicates(0.7)
    assert not near.seen(LONG)
    assert near.seen(LONG.replace("mx", "changed").upper() + " 42!")
    assert not near.seen(" ".join(LONG.split()[:39]) + " " + " ".join(f"other{letter}" for letter in LETTERS))


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.lists(st.sampled_from(LETTERS[:8]), max_size=12).map(" ".join), max_size=10))
def test_equal_texts_are_always_found(texts: list[str]) -> None:
    near = NearDuplicates(0.8)
    for text in texts:
        near.seen(text)
    assert all(near.seen(text) for text in texts)


def test_the_corpus_stage_counts_them_and_keeps_the_same_ones_in_any_order(tmp_path: Path) -> None:
    texts = [f"{LONG} {ending}" for ending in ("one", "two", "three")] + ["a text like no other here"]
    kept = []
    for name, order in (("forward", texts), ("backward", texts[::-1])):
        (tmp_path / f"{name}.txt").write_text("\n".join(order) + "\n")
        raw = {"source": "files", "language": "en", "paths": [str(tmp_path / f"{name}.txt")], "valid": 0}
        raw |= {"cleaning": {"near_duplicates": 0.8, "language": False}}
        report = corpus.build(name, TypeAdapter(CorpusSettings).validate_python(raw), [], tmp_path, tmp_path / name)
        assert report["removed"] == {"near_duplicates": 2}
        kept.append([document.text for document in read_items(tmp_path / name / "documents.jsonl.zst", Document)])
    assert kept[0] == kept[1] and "a text like no other here" in kept[0]
