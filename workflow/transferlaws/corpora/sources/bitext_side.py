"""Source `bitext`: one side of a bitext's monolingual part as a corpus."""

from collections.abc import Iterator

from transferlaws.corpora.items import Document, Pair, read_items
from transferlaws.corpora.settings import BitextCorpus
from transferlaws.corpora.sources import Context, Provenance
from transferlaws.errors import UserError
from transferlaws.files import check_sha256, read_json


def documents(settings: BitextCorpus, context: Context) -> tuple[Provenance, Iterator[Document]]:
    """The sides in `settings.language` of the bitext's monolingual pairs."""
    if context.bitext is None:
        raise UserError(f"source bitext: give --bitext, the folder of the bitext '{settings.bitext}'.")
    manifest = context.bitext / "report.json"
    report = read_json(manifest)
    if settings.language not in report["languages"]:
        raise UserError(
            f"corpus of bitext '{settings.bitext}': language is '{settings.language}', "
            f"the bitext has {' and '.join(report['languages'])}."
        )
    name = "monolingual.jsonl.zst"
    check_sha256(context.bitext / name, report["files"][name], manifest)
    if report["splits"]["monolingual"] == 0:
        raise UserError(
            f"bitext '{settings.bitext}': its monolingual part is empty. Give it a share, as in `monolingual: 0.3`, "
            "since text of training pairs must not be pretraining text."
        )
    provenance = Provenance(report["version"], report["licence"], {name: report["files"][name]})
    return provenance, _sides(context.bitext / name, report["languages"].index(settings.language))


def _sides(path: object, side: int) -> Iterator[Document]:
    for pair in read_items(path, Pair):
        yield Document(pair.id, pair.texts[side], pair.group)
