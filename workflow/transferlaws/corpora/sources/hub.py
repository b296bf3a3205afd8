"""Source `hub`: Hugging Face datasets, streamed at a pinned revision into the cache, part by part, resumable.

No code of a dataset is executed: `datasets` reads data files only. A local folder in a dataset layout works the same way.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from transferlaws.corpora.items import Document, ItemWriter, Pair, is_unicode, read_items
from transferlaws.corpora.readers.tables import dig
from transferlaws.corpora.settings import HubBitext, HubCorpus
from transferlaws.corpora.sources import Context, Provenance
from transferlaws.errors import PassingError, UserError
from transferlaws.files import canonical_json, check_sha256, exclusive, read_json, sha256, write_json
from transferlaws.progress import Progress

PART = 10_000  # items of a part: what an interruption loses at most
RETRIES = 6
FIRST_WAIT = 1.0  # seconds; doubles with each retry
_PERMANENT = (ValueError, KeyError, TypeError, AttributeError, NotImplementedError, ImportError)
# datasets and huggingface_hub are imported only when a hub source is read: these are told by name
_PERMANENT_NAMES = {"DatasetNotFoundError", "DataFilesNotFoundError", "EmptyDatasetError"}


def documents(settings: HubCorpus, context: Context) -> tuple[Provenance, Iterator[Document]]:
    """A text column of one split."""
    folder = _download(settings, settings.split, [settings.column], context)
    return _provenance(settings, [folder], context), _items([folder], Document)


def pairs(settings: HubBitext, context: Context) -> tuple[Provenance, Iterator[Pair]]:
    """Two columns of the train split, and of the dev and test splits where they are named."""
    columns = settings.columns or tuple(f"translation.{language}" for language in settings.languages)
    splits = {settings.split: "", settings.dev_split: "dev", settings.test_split: "test"}
    folders = [_download(settings, split, [*columns], context, ours) for split, ours in splits.items() if split]
    return _provenance(settings, folders, context), _items(folders, Pair)


def _provenance(settings: HubCorpus | HubBitext, folders: list[Path], context: Context) -> Provenance:
    files = {}
    for folder in folders:
        state = read_json(folder / "state.json")
        context.removed.update(state["removed"])
        files |= {f"{folder.name}/{part}": checksum for part, checksum in state["parts"].items()}
    return Provenance(f"{settings.dataset}@{settings.revision or 'local'}", settings.licence, files)


def _items(folders: list[Path], kind: type) -> Iterator:
    for folder in folders:
        for part, checksum in read_json(folder / "state.json")["parts"].items():
            check_sha256(folder / part, checksum, folder / "state.json")
            yield from read_items(folder / part, kind)


def _download(settings: HubCorpus | HubBitext, split: str, columns: list[str], context: Context, ours: str = "") -> Path:
    """The folder in the cache that holds what the budget allows of a split; continues where an earlier call stopped."""
    budget = [settings.max_items, settings.max_bytes, settings.max_words]
    identity = [settings.dataset, settings.subset, settings.revision, split, columns, *budget, ours]
    if not settings.revision:
        identity.append(_fingerprint(Path(settings.dataset)))
    folder = context.cache / "hub" / hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:32]
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / "lock"):
        state = {"parts": {}, "items": 0, "bytes": 0, "words": 0, "removed": {}, "position": None, "complete": False}
        if (folder / "state.json").is_file():
            state = read_json(folder / "state.json")
        if not state["complete"]:
            _continue(settings, split, columns, folder, state, ours)
    return folder


def _fingerprint(folder: Path) -> list:
    """Names, sizes and times of a local dataset's files."""
    if not folder.is_dir():
        raise UserError(f"dataset: {folder} is no folder. A dataset on the hub is named owner/name, without a leading . or /.")
    return [[str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns] for p in sorted(folder.rglob("*")) if p.is_file()]


def _continue(settings: HubCorpus | HubBitext, split: str, columns: list[str], folder: Path, state: dict, ours: str) -> None:
    with Progress(f"hub {settings.dataset}", settings.max_items, "item") as progress:
        progress.resume(state["items"])
        failures = 0
        while not state["complete"]:
            try:
                stream = _open(settings, split)
                if state["position"] is not None:
                    stream.load_state_dict(state["position"])
                rows = iter(stream)
                while not state["complete"]:
                    _part(settings, columns, rows, stream.state_dict, folder, state, ours)
                    progress.update(state["items"] - progress.done)
                    failures = 0
            except UserError:
                raise
            except Exception as error:
                failures += 1
                if isinstance(error, _PERMANENT) or type(error).__name__ in _PERMANENT_NAMES or _offline() or failures > RETRIES:
                    raise PassingError(
                        f"{settings.dataset}, split {split}: {type(error).__name__}: {error} (after {state['items']} items, "
                        f"{failures} tries). {_afterwards(error, folder)}"
                    ) from error
                time.sleep(FIRST_WAIT * 2 ** (failures - 1))


def _afterwards(error: Exception, folder: Path) -> str:
    if type(error).__name__ in ("CastError", "ArrowInvalid", "DatasetGenerationError", "DatasetGenerationCastError"):
        return (
            "The files of the split differ in their columns or in the types of these: name a subset or a folder whose files agree."
        )
    if isinstance(error, _PERMANENT) or type(error).__name__ in _PERMANENT_NAMES:
        return "Another try would end the same."
    return f"What came is kept in {folder}; the next call continues there. Offline, only what is complete there can be used."


def _offline() -> bool:
    """Whether the network is switched off (`HF_HUB_OFFLINE`): waiting does not bring it back."""
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE


def _open(settings: HubCorpus | HubBitext, split: str) -> object:
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset(settings.dataset, settings.subset, split=split, revision=settings.revision or None, streaming=True)


def _part(
    settings: HubCorpus | HubBitext,
    columns: list[str],
    rows: Iterator[dict],
    position: Callable[[], dict],
    folder: Path,
    state: dict,
    ours: str,
) -> None:
    """Write the next part and then the state; what is written before an error counts for nothing."""
    name = f"part-{len(state['parts']):05d}.jsonl.zst"
    removed: Counter[str] = Counter(state["removed"])
    words, complete = 0, False
    with ItemWriter(folder / name) as writer:
        while writer.items < PART and not complete:
            row = next(rows, None)
            if row is None:
                complete = True
                break
            texts = _texts(row, columns, settings.dataset)
            if not all(isinstance(text, str) for text in texts):
                removed["not_text"] += 1
                continue
            identity = f"{settings.dataset}:{state['items'] + writer.items}"
            item = Document(identity, *texts) if len(texts) == 1 else Pair(identity, *texts, settings.dataset, split=ours)
            if not is_unicode(item):
                removed["lone_surrogate"] += 1
                continue
            writer.write(item)
            words += sum(len(text.split()) for text in texts)
            complete = (
                state["items"] + writer.items >= settings.max_items
                or state["bytes"] + writer.bytes >= settings.max_bytes
                or (settings.max_words is not None and state["words"] + words >= settings.max_words)
            )
    state["items"] += writer.items
    state["bytes"] += writer.bytes
    state["words"] += words
    state |= {"removed": removed, "position": position(), "complete": complete}
    state["parts"][name] = sha256(folder / name)
    write_json(folder / "state.json", state)


def _texts(row: dict, columns: list[str], dataset: str) -> list:
    try:
        return [dig(row, column) for column in columns]
    except (KeyError, TypeError):
        raise UserError(f"{dataset}: no column {' and '.join(columns)}; a row has {', '.join(row)}.") from None
