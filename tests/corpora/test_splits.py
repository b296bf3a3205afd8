"""What the splits of a bitext promise, on any data and any number of processes."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from transferlaws.corpora import bitext, corpus
from transferlaws.corpora.items import Document, Pair, read_items
from transferlaws.corpora.normalise import grams, normalise
from transferlaws.corpora.settings import BitextSettings, CorpusSettings

SPLITS = ("train", "dev", "test", "monolingual")


def build_bitext(folder: Path, rows: list[tuple[str, str]], threads: int = 1, name: str = "b", **given_settings: object) -> dict:
    folder.mkdir(exist_ok=True)
    (folder / "in.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in rows))
    raw = {
        "source": "files",
        "paths": [str(folder / "in.tsv")],
        "languages": ["en", "de"],
        "test": 0.2,
        "dev": 0.2,
        "monolingual": 0.2,
    }
    built = TypeAdapter(BitextSettings).validate_python(raw | given_settings)
    return bitext.build(name, built, folder / "cache", folder / name, threads)


def read_splits(folder: Path) -> dict[str, list[Pair]]:
    return {split: list(read_items(folder / f"{split}.jsonl.zst", Pair)) for split in SPLITS}


def build_corpus(folder: Path, texts: list[str], against: list[Path], **given_settings: object) -> tuple[dict, list[Document]]:
    (folder / "in.txt").write_text("".join(f"{text}\n" for text in texts))
    raw = {"source": "files", "paths": [str(folder / "in.txt")], "language": "en"} | given_settings
    built = TypeAdapter(CorpusSettings).validate_python(raw)
    report = corpus.build("c", built, against, folder / "cache", folder / "c")
    return report, list(read_items(folder / "c" / "documents.jsonl.zst", Document))


WORDS = ["red", "green", "blue", "seven", "houses", "walk", "under", "bridges", "slowly", "often"]
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)
ROWS = st.lists(st.tuples(SENTENCES, SENTENCES.map(lambda s: f"de {s}")), min_size=30, max_size=120)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_no_two_splits_share_a_source_a_target_or_a_gram_of_dev_or_test(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    # one pair that is surely in train, or the build has nothing to do
    build_bitext(tmp_path, [*rows, *((f"{a} {b} only here", f"{b} {a} nur hier") for a in WORDS for b in WORDS)])
    splits = read_splits(tmp_path / "b")
    for i, split in enumerate(SPLITS):
        for other in SPLITS[i + 1 :]:
            for side in (0, 1):
                ours, theirs = ({normalise(pair.texts[side]) for pair in splits[name]} for name in (split, other))
                assert not ours & theirs
    for held_out, others in (("test", ("train", "dev", "monolingual")), ("dev", ("train", "monolingual"))):
        forbidden = {gram for pair in splits[held_out] for text in pair.texts for gram in grams(normalise(text))}
        for other in others:
            assert not forbidden & {gram for pair in splits[other] for text in pair.texts for gram in grams(normalise(text))}


def numbered(count: int) -> list[tuple[str, str]]:
    """Distinct pairs: letters, not digits, tell them apart."""
    letters = [chr(97 + i) for i in range(26)]
    names = [f"{a}{b}{c}" for a in letters for b in letters for c in letters]
    return [(f"word {name}", f"Wort {name}") for name in names[:count]]


def test_added_data_moves_no_pair_and_order_of_input_does_not_matter(tmp_path: Path) -> None:
    rows = numbered(600)
    build_bitext(tmp_path, rows[:300], name="few")
    build_bitext(tmp_path, rows[::-1], name="many")
    where = {pair.source: split for split, pairs in read_splits(tmp_path / "many").items() for pair in pairs}
    few = read_splits(tmp_path / "few")
    assert {pair.source: split for split, pairs in few.items() for pair in pairs}.items() <= where.items()
    # the training file is in the order of the hashes: what was a prefix stays in the same order among the new ones
    many = [pair.source for pair in read_splits(tmp_path / "many")["train"]]
    old = [pair.source for pair in few["train"]]
    assert [source for source in many if source in set(old)] == old


def test_shares_are_what_the_config_asks_for(tmp_path: Path) -> None:
    report = build_bitext(tmp_path, numbered(5000), test=0.1, dev=0.05, monolingual=0.3)
    found = {split: count / 5000 for split, count in report["splits"].items()}
    # 5 standard deviations of a binomial share are below 0.035
    assert found == pytest.approx({"test": 0.1, "dev": 0.05, "monolingual": 0.3, "train": 0.55}, abs=0.035)


def test_any_number_of_processes_writes_the_same_bytes(tmp_path: Path) -> None:
    rows = numbered(3000) + numbered(100) + [("", "leer"), ("same", "same")]
    one = build_bitext(tmp_path / "one", rows, 1)
    three = build_bitext(tmp_path / "three", rows, 3)
    inputs = (one.pop("inputs"), three.pop("inputs"))
    assert one == three and [*inputs[0].values()] == [*inputs[1].values()]
    files = [{p.name: p.read_bytes() for p in (tmp_path / name / "b").glob("*.zst")} for name in ("one", "three")]
    assert files[0] == files[1]


def test_every_item_read_is_kept_or_counted(tmp_path: Path) -> None:
    rows = numbered(500) + numbered(50) + [("", "leer"), ("same", "same"), ("%s files", "Dateien"), ("12345", "67890")]
    report = build_bitext(tmp_path, rows)
    assert report["read"] == len(rows)
    assert report["read"] == report["kept"] + sum(report["removed"].values())
    assert report["removed"]["duplicates"] == 50
    assert {"empty", "identical", "placeholders", "few_letters"} <= report["removed"].keys()


def test_dev_and_test_come_only_from_the_origins_that_the_config_names(tmp_path: Path) -> None:
    rows = [{"s": s, "t": t, "o": "tatoeba" if i % 2 else "manual"} for i, (s, t) in enumerate(numbered(300))]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"paths": [str(tmp_path / "in.jsonl")], "columns": ["s", "t"], "origin_column": "o", "test_origins": ["tatoeba"]}
    build_bitext(tmp_path, [], **columns)
    splits = read_splits(tmp_path / "b")
    assert {p.origin for split in ("test", "dev") for p in splits[split]} == {"tatoeba"}
    assert {p.origin for p in splits["train"]} == {"tatoeba", "manual"}


def test_a_prescribed_test_set_is_the_test_set_and_its_sentences_leave_training(tmp_path: Path) -> None:
    rows = numbered(200)
    (tmp_path / "test.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in rows[:20]))
    report = build_bitext(tmp_path, rows, test=0.2, dev=0.1, test_paths=[str(tmp_path / "test.tsv")])
    splits = read_splits(tmp_path / "b")
    assert {(p.source, p.target) for p in splits["test"]} == set(rows[:20])
    assert not {p.source for p in splits["test"]} & {p.source for s in ("train", "dev", "monolingual") for p in splits[s]}
    assert report["splits"]["test"] == 20


def test_corpus_loses_what_overlaps_with_dev_or_test_and_says_how_much(tmp_path: Path) -> None:
    build_bitext(tmp_path, numbered(300), test=0.3, dev=0, monolingual=0)
    build_bitext(
        tmp_path,
        [(f"{s} {s[::-1]} " * 5, f"{t} {t[::-1]} " * 5) for s, t in numbered(60)],
        name="long",
        test=0.5,
        dev=0,
        monolingual=0,
    )
    tests = read_splits(tmp_path / "b")["test"]
    long_tests = read_splits(tmp_path / "long")["test"]
    texts = [tests[0].source.upper() + "!", "A quite different text, which may stay.", tests[1].target]
    texts += [f"Before it, {long_tests[0].source}, and after it.", f"Not the whole of it: {tests[2].source} has two words only."]
    report, documents = build_corpus(tmp_path, texts, [tmp_path / "b", tmp_path / "long"], valid=0)
    assert sorted(d.text for d in documents) == sorted([texts[1], texts[4]])
    assert report["removed"] == {"contamination": 3}
    assert report["contamination"]["b.test"] == {"documents": 2, "grams": 2}
    assert report["contamination"]["long.test"]["documents"] == 1


def test_a_line_of_a_document_counts_as_an_item(tmp_path: Path) -> None:
    build_bitext(tmp_path, numbered(100), test=0.5)
    test = read_splits(tmp_path / "b")["test"][0]
    (tmp_path / "doc.jsonl").write_text(
        json.dumps({"text": f"First line.\n{test.source}\nLast line."})
        + "\n"
        + json.dumps({"text": f"In a line {test.source} may stay."})
        + "\n"
    )
    report, documents = build_corpus(tmp_path, ["x"], [tmp_path / "b"], paths=[str(tmp_path / "doc.jsonl")], valid=0)
    assert len(documents) == 1 and report["removed"] == {"contamination": 1}


def test_monolingual_side_is_a_corpus_that_shares_nothing_with_training(tmp_path: Path) -> None:
    build_bitext(tmp_path, numbered(400))
    built = TypeAdapter(CorpusSettings).validate_python({"source": "bitext", "bitext": "b", "language": "de", "valid": 0})
    report = corpus.build("de", built, [tmp_path / "b"], tmp_path, tmp_path / "de", tmp_path / "b")
    texts = {d.text for d in read_items(tmp_path / "de" / "documents.jsonl.zst", Document)}
    splits = read_splits(tmp_path / "b")
    assert texts == {p.target for p in splits["monolingual"]}
    assert not texts & {p.target for p in splits["train"]}
    assert report["languages"] == ["de"]
