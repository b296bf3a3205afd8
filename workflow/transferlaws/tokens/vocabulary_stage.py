"""Stage `vocabulary`: the train splits of corpora and bitexts -> one shared subword model.

An existing model is taken over, or one is trained: a sentencepiece unigram model (Kudo 2018) with byte fallback, so that nothing
is ever unknown, and without text normalisation, so that decoding gives back what was encoded (but U+2581, sentencepiece's own mark
of a space). One thread and a sample in file
order: the same text gives the same bytes.
"""

import argparse
import io
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import sentencepiece

from transferlaws.corpora.languages import primary
from transferlaws.errors import UserError
from transferlaws.files import atomic, sha256, write_json
from transferlaws.hub import local_or_hub
from transferlaws.options import add_json, folder_of
from transferlaws.progress import Progress
from transferlaws.tokens.settings import VocabularySettings
from transferlaws.tokens.texts import TextFolder
from transferlaws.tokens.vocabulary import (
    FILES,
    HUGGING_FACE,
    MANIFEST,
    SENTENCEPIECE,
    Vocabulary,
    local_model,
    open_processor,
    taken_over_size,
)

FERTILITY_TEXTS = 2000  # texts of each corpus that fertility is measured on
LONGEST = 1000  # characters of a training sentence: sentencepiece's time grows faster than its length


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the stage."""
    add_json(parser, "--settings", VocabularySettings, required=True, help="the vocabulary part of the config")
    parser.add_argument("--corpora", type=folder_of, nargs="*", default=[], help="folders of corpora")
    parser.add_argument("--bitexts", type=folder_of, nargs="*", default=[], help="folders of bitexts")
    parser.add_argument(
        "--cover", type=folder_of, nargs="*", default=[], help="folders of bitexts: their languages that no other has"
    )
    parser.add_argument("--output", type=folder_of, required=True, help="folder to write")


def run(arguments: argparse.Namespace) -> None:
    """Write `spiece.model`, or `tokenizer.json` where one is taken over, and `vocabulary.json`."""
    build(arguments.settings, [*arguments.corpora, *arguments.bitexts], arguments.output, arguments.cover)


def build(settings: VocabularySettings, folders: list[Path], output: Path, cover: Sequence[Path] = ()) -> dict:
    """Train or take over the model; returns the manifest. `cover`: bitexts whose languages count where no other folder has them."""
    sides = _sides(folders)  # name -> (language, folder, side)
    known = {primary(language) for language, *_ in sides.values()}
    sides |= {name: side for name, side in _sides(cover).items() if primary(side[0]) not in known}
    if not sides:
        raise UserError("vocabulary: give --corpora or --bitexts to train on.")
    sample: dict[str, int] = {}
    if settings.model:
        manifest = _take_over(settings, output)
    else:
        sample = _quotas(sides, settings.sample_characters)
        manifest = _train(settings, sides, sample, output)
    write_json(output / MANIFEST, manifest)
    vocabulary = Vocabulary.load(output)
    fertility = {name: _fertility(vocabulary, folder.training_texts(side)) for name, (_, folder, side) in sides.items()}
    manifest |= {"fertility": fertility, "sample_characters": sample, "settings": settings.model_dump(exclude={"corpora"})}
    write_json(output / MANIFEST, manifest)
    return manifest


def _sides(folders: Sequence[Path]) -> dict[str, tuple[str, TextFolder, int]]:
    sides = {}
    for folder in map(TextFolder.open, folders):
        for side, language in enumerate(folder.report["languages"]):
            name = folder.name if folder.report["kind"] == "corpus" else f"{folder.name}.{('source', 'target')[side]}"
            sides[name] = (language, folder, side)
    return sides


def _quotas(sides: dict[str, tuple[str, TextFolder, int]], total: int) -> dict[str, int]:
    """Characters to take from each source: fair among languages, then among the sources of a language."""
    lengths: dict[str, dict[str, int]] = defaultdict(dict)
    for name, (language, folder, side) in sides.items():
        lengths[language][name] = _length(folder.training_texts(side), total)
    quotas: dict[str, int] = {}
    for language, quota in fair_shares({k: sum(v.values()) for k, v in lengths.items()}, total).items():
        quotas |= fair_shares(lengths[language], quota)
    return quotas


def _length(texts: Iterator[str], enough: int) -> int:
    length = 0
    for text in texts:
        length += len(text)
        if length >= enough:
            return enough
    return length


def fair_shares(available: dict[str, int], total: int) -> dict[str, int]:
    """Split `total` among claimants so that none gets more than is available, and what one leaves is shared by the others."""
    shares = {}
    for position, name in enumerate(sorted(available, key=lambda name: (available[name], name))):
        shares[name] = min(available[name], total // (len(available) - position))
        total -= shares[name]
    return shares


def _sentences(texts: Iterator[str], quota: int) -> Iterator[str]:
    """Lines of texts, long ones in parts, until `quota` characters are given."""
    for text in texts:
        for line in text.splitlines():
            for start in range(0, len(line), LONGEST):
                if quota <= 0:
                    return
                part = line[start : start + LONGEST]
                quota -= len(part)
                yield part


def _train(settings: VocabularySettings, sides: dict, sample: dict[str, int], output: Path) -> dict:
    def sentences() -> Iterator[str]:
        with Progress("vocabulary", sum(sample.values()), "character") as progress:
            for name, (_, folder, side) in sides.items():
                for sentence in _sentences(folder.training_texts(side), sample[name]):
                    progress.update(len(sentence), name)
                    yield sentence

    model = io.BytesIO()
    pieces = settings.size - settings.sentinels
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences(),
            model_writer=model,
            model_type="unigram",
            vocab_size=pieces,
            byte_fallback=True,
            character_coverage=settings.character_coverage,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            max_sentence_length=4 * LONGEST,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise UserError(
            f"vocabulary: sentencepiece cannot make {pieces} pieces of {sum(sample.values())} characters "
            f"({str(error).splitlines()[-1].strip()}). {_remedy(settings, str(error))}"
        ) from None
    with atomic(output / SENTENCEPIECE) as temporary:
        temporary.write_bytes(model.getvalue())
    return {"size": settings.size, "sentinels": settings.sentinels, "file": SENTENCEPIECE, "sha256": sha256(output / SENTENCEPIECE)}


def _remedy(settings: VocabularySettings, error: str) -> str:
    """What to write instead: sentencepiece counts pieces, the config pieces and sentinels in 64s."""
    if found := re.search(r"(\d+) vs (\d+)", error):  # required characters: more than there is room for
        size = -(-(int(found[2]) + settings.sentinels + 1) // 64) * 64
        lower = (
            ""
            if settings.character_coverage <= 0.9
            else f", or lower vocabulary.character_coverage ({settings.character_coverage:g})"
        )
        return f"The text has {found[2]} characters that each need a piece: set vocabulary.size: {size} or more{lower}."
    if found := re.search(r"<= (\d+)", error):
        size = (int(found[1]) + settings.sentinels) // 64 * 64
        try:
            VocabularySettings(size=size, sentinels=settings.sentinels)
        except ValueError:
            return "Lower vocabulary.size will not do: add text, for the smallest vocabulary needs more than there is."
        return f"Lower vocabulary.size: the largest that this text makes is vocabulary.size: {size}; or add text."
    return "Lower vocabulary.size, or add text."


def _take_over(settings: VocabularySettings, output: Path) -> dict:
    path = existing_model(settings.model)
    file = HUGGING_FACE if path.suffix == ".json" else SENTENCEPIECE
    roles = {"pad_token": settings.pad_token, "eos_token": settings.eos_token} if file == HUGGING_FACE else {}
    processor = open_processor(path, settings.pad_token, settings.eos_token)
    size, sentinels = taken_over_size(processor, settings.sentinels)
    with atomic(output / file) as temporary:
        shutil.copyfile(path, temporary)
    return {"size": size, "sentinels": sentinels, "file": file, "sha256": sha256(output / file), **roles}


def existing_model(place: str) -> Path:
    """The model's file: `place` itself, or in the folder or the snapshot that it names."""
    found = local_model(place)
    if found is None:
        folder = local_or_hub(place, "vocabulary.model", [*FILES])
        found = local_model(str(folder))
        if found is None:
            raise UserError(f"vocabulary.model {place}: neither {' nor '.join(FILES)} in {folder}. Name the file itself.")
    return found


def _fertility(vocabulary: Vocabulary, texts: Iterator[str]) -> float:
    """Tokens per whitespace-separated word."""
    texts = list(islice(texts, FERTILITY_TEXTS))
    words = sum(len(text.split()) for text in texts)
    return round(sum(map(len, vocabulary.encode(texts))) / max(words, 1), 4)
