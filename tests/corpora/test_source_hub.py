"""Hugging Face datasets: layouts, budgets, pinned revisions, and networks that fail."""

import http.server
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter, ValidationError

from support.reading import read_bitext, read_corpus
from transferlaws.corpora.settings import CorpusSettings
from transferlaws.corpora.sources import hub
from transferlaws.errors import UserError


def test_hub_layouts_in_a_local_folder(tmp_path: Path) -> None:
    folder = tmp_path / "wmt"
    folder.mkdir()
    for split, count in (("train", 30), ("validation", 5), ("test", 5)):
        rows = [{"en": f"{split} sentence {i}", "de": f"{split} Satz {i}"} for i in range(count)]
        pq.write_table(pa.table({"translation": rows}), folder / f"{split}-00000-of-00001.parquet")
    given = {"dataset": str(folder), "licence": "x", "dev_split": "validation", "test_split": "test"}
    provenance, pairs = read_bitext(tmp_path, source="hub", languages=["en", "de"], **given)
    assert Counter(p.split for p in pairs) == {"": 30, "dev": 5, "test": 5}
    assert ("train sentence 3", "train Satz 3") in {(p.source, p.target) for p in pairs}
    assert provenance.licence == "x"
    (tmp_path / "c4").mkdir()
    (tmp_path / "c4" / "train.jsonl").write_text("".join(json.dumps({"text": f"page {i}", "url": "u"}) + "\n" for i in range(10)))
    _, documents = read_corpus(tmp_path, source="hub", language="en", dataset=str(tmp_path / "c4"), licence="x", max_items=4)
    assert [d.text for d in documents] == [f"page {i}" for i in range(4)]


@pytest.mark.parametrize(
    ("budget", "taken"), [({"max_words": 40}, 14), ({"max_bytes": 60}, 8), ({"max_items": 13}, 13), ({"max_words": 10_000}, 50)]
)
def test_hub_stops_at_the_first_budget_that_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: dict, taken: int
) -> None:
    monkeypatch.setattr(hub, "PART", 5)  # a budget is that of all parts together
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "train.jsonl").write_text("".join(json.dumps({"text": f"a b {i:04}"}) + "\n" for i in range(50)))
    given = {"source": "hub", "language": "en", "dataset": str(tmp_path / "d"), "licence": "x"}
    _, documents = read_corpus(tmp_path, **given, **budget)
    assert len(list(documents)) == taken


def test_hub_needs_a_pinned_revision_and_keeps_test_sets_out(tmp_path: Path) -> None:
    adapter = TypeAdapter(CorpusSettings)
    raw = {"source": "hub", "language": "en", "dataset": "allenai/c4", "licence": "ODC-BY"}
    with pytest.raises(ValidationError, match="revision is missing"):
        adapter.validate_python(raw)
    with pytest.raises(ValidationError, match="String should match pattern"):
        adapter.validate_python(raw | {"revision": "main"})
    adapter.validate_python(raw | {"revision": "a" * 40})


class Flaky(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; of each file's requests the second is refused and the third is cut off in the middle."""

    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        self.asked[self.path] += 1
        if self.asked[self.path] == 2:
            self.send_error(503)
        elif self.asked[self.path] == 3:
            content = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
        else:
            super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    handler = lambda *args: Flaky(*args, directory=str(tmp_path / "served"))  # noqa: E731
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as instance:
        thread = threading.Thread(target=instance.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{instance.server_address[1]}"
        instance.shutdown()
        thread.join()


def test_hub_survives_a_network_that_fails(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    for shard in range(4):
        lines = "".join(json.dumps({"text": f"{shard} {i}"}) + "\n" for i in range(50))
        (tmp_path / "served" / f"{shard}.jsonl").write_text(lines)
    files = [f"{server}/{shard}.jsonl" for shard in range(4)]
    monkeypatch.setattr(hub, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(hub, "PART", 30)
    monkeypatch.setattr(hub, "_open", lambda *_: datasets.load_dataset("json", data_files=files, split="train", streaming=True))
    monkeypatch.setattr(datasets.config, "STREAMING_READ_MAX_RETRIES", 1)
    (tmp_path / "local").mkdir()
    _, documents = read_corpus(tmp_path, source="hub", language="en", dataset=str(tmp_path / "local"), licence="x")
    assert [d.text for d in documents] == [f"{shard} {i}" for shard in range(4) for i in range(50)]
    assert min(Flaky.asked.values()) > 3  # every file failed twice


def test_hub_continues_after_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "train.jsonl").write_text("".join(json.dumps({"text": f"row {i}"}) + "\n" for i in range(100)))
    monkeypatch.setattr(hub, "PART", 30)
    part, calls = hub._part, []

    def interrupted(*arguments: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        part(*arguments)

    monkeypatch.setattr(hub, "_part", interrupted)
    given = {"source": "hub", "language": "en", "dataset": str(tmp_path / "d"), "licence": "x"}
    with pytest.raises(KeyboardInterrupt):
        read_corpus(tmp_path, **given)
    _, documents = read_corpus(tmp_path, **given)
    assert [d.text for d in documents] == [f"row {i}" for i in range(100)]
    assert len(calls) == 5  # parts 1 and 2; the interruption; parts 3 and 4


def test_hub_offline_says_so_at_once_and_uses_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    from huggingface_hub import constants

    given = {"source": "hub", "language": "en", "dataset": "someone/texts", "revision": "a" * 40, "licence": "x"}
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub.time, "sleep", lambda _: pytest.fail("waits for a network that is switched off"))
    with pytest.raises(UserError, match=r"someone/texts, split train: .*Offline, only what is complete there can be used"):
        read_corpus(tmp_path, **given)
    (tmp_path / "train.jsonl").write_text('{"text": "a page"}\n')
    local = str(tmp_path / "train.jsonl")
    with monkeypatch.context() as online:
        online.setattr(hub, "_open", lambda *_: datasets.load_dataset("json", data_files=local, split="train", streaming=True))
        read_corpus(tmp_path, **given)
    _, documents = read_corpus(tmp_path, **given)
    assert [d.text for d in documents] == ["a page"]


def test_hub_truncated_shard_and_missing_column_are_clear_errors(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    path = folder / "train-00000-of-00001.parquet"
    pq.write_table(pa.table({"text": ["a"] * 1000}), path)
    given = {"source": "hub", "language": "en", "dataset": str(folder), "licence": "x"}
    with pytest.raises(UserError, match="no column body; a row has text"):
        read_corpus(tmp_path, column="body", **given)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match="split train"):
        read_corpus(tmp_path, **given)
