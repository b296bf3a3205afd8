"""Translation catalogs: gettext (.po, .mo) and key-aligned JSON (`translations/en.json` beside `translations/de.json`)."""

import json
import logging
import re
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import polib

from transferlaws.corpora.items import Pair
from transferlaws.corpora.languages import language_code, nearest, primary
from transferlaws.corpora.readers.opening import suffix_of
from transferlaws.errors import UserError

logger = logging.getLogger("transferlaws")
# what polib raises on files that are no catalogs
_BROKEN = (OSError, ValueError, LookupError, AssertionError, AttributeError, TypeError, struct.error)
Messages = dict[str, str]  # key -> text


def wheel_pairs(wheel: zipfile.ZipFile, languages: tuple[str, str]) -> Iterator[Pair]:
    """Every message that a wheel's catalogs translate between the two languages; origin is the wheel's project.

    gettext keys are English text: English needs no catalog of its own.
    """
    if primary(languages[1]) == "en" != primary(languages[0]):
        for pair in wheel_pairs(wheel, languages[::-1]):
            pair.source, pair.target = pair.target, pair.source
            yield pair
        return
    origin = Path(wheel.filename).name.split("-")[0].lower()
    keyed = primary(languages[0]) == "en"
    found = [_catalogs(wheel.namelist(), language) for language in languages]
    for place in sorted(found[1].keys() & found[0].keys() | _gettext_only(found[1], languages[0])):
        sides = [_read(wheel, found[i].get(place)) for i in (0, 1)]
        source, target = sides
        for key, text in target.items():
            # an English catalog often leaves its texts out: the key is the text
            own = source.get(key) or (key.partition("\x04")[2] if keyed and not place.endswith(".json") else "")
            if own and text:
                yield Pair(f"{place}#{key.partition(chr(4))[0] or own[:60]}", own, text, origin)


def _gettext_only(places: dict[str, str], source: str) -> set[str]:
    return {place for place in places if not place.endswith(".json")} if primary(source) == "en" else set()


def _catalogs(names: list[str], language: str) -> dict[str, str]:
    """Place (the path with the language blanked out, without suffix for gettext) -> path, .po before .mo."""
    # de, de_DE and de-DE, but not de_AT or a form of address such as de_Informal; pt_BR and pt-BR; zh_Hans and zh_CN
    first, *rest = language.split("-")
    if rest:
        regions = {"Hans": "Hans|CN", "Hant": "Hant|TW", "Latn": "Latn|latin", "Cyrl": "Cyrl|cyrillic"}
        code = first + "".join(f"[-_@](?:{regions.get(part, re.escape(part))})" for part in rest)
    else:
        code = rf"{first}(?:[_-]{first.upper()}|{'[_-](?:US|GB)' if first == 'en' else '(?!)'})?"
    folder = re.compile(rf"(?<![^/]){code}(?=/)|(?<![^/]){code}(?=\.(?:po|mo|json)$)")
    places: dict[str, str] = {}
    for name in sorted(names):  # .mo before .po: the later wins
        suffix = PurePosixPath(name).suffix
        if suffix in (".po", ".mo", ".json"):
            place, hits = folder.subn("*", name)
            if hits and (suffix != ".json" or PurePosixPath(place).name == "*.json"):
                places[place if suffix == ".json" else place[:-3]] = name
    return places


def _read(wheel: zipfile.ZipFile, name: str | None) -> dict[str, str]:
    if name is None:
        return {}
    where = f"{Path(wheel.filename).name}/{name}"
    return read_json_messages(wheel.read(name), where) if name.endswith(".json") else read_gettext(wheel.read(name), where)


class Catalog(dict[str, str]):
    """Messages of a gettext catalog, and its header."""

    header: Mapping[str, str] = MappingProxyType({})


def gettext_pairs(catalog: Catalog, languages: tuple[str, str], where: str) -> Iterator[tuple[str, str]]:
    """Source and target of each translated message, in the direction that the bitext asks for.

    Keys are English unless the header (`X-Source-Language`) says otherwise; `Language` says what they are translated into.

    Raises:
        UserError: the catalog translates into neither language, or from and to the same.
    """
    own = {name: _code(catalog.header.get(name, "")) for name in ("Language", "X-Source-Language")}
    into, source = own["Language"], own["X-Source-Language"] or "en"
    reverse = bool(nearest(languages[1], [source])) and not nearest(languages[0], [source])
    if into and not nearest(languages[0 if reverse else 1], [into]):
        raise UserError(
            f"{where}: by its header (Language: {catalog.header['Language']}) it translates from {source} into {into}, the bitext "
            f"is {languages[0]} to {languages[1]}. Name the right file or languages, or mend the header."
        )
    if not reverse and not nearest(languages[0], [source]):
        logger.warning(
            "%s: its keys are taken for %s; write `X-Source-Language` into its header to say so. English is what they usually are.",
            where,
            languages[0],
        )
    for key, text in catalog.items():
        own_text = key.partition("\x04")[2]
        if text:
            yield (text, own_text) if reverse else (own_text, text)


def _code(text: str) -> str:
    try:
        return language_code(text) if text.strip() else ""
    except ValueError:
        return ""


def read_gettext(content: bytes, where: str) -> Catalog:
    """Messages of a .po or .mo file by `context EOT msgid`; plurals by singular and plural; without fuzzy and obsolete ones."""
    suffix = suffix_of(where)
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(content)
        file.flush()
        try:
            entries = (polib.pofile if suffix == ".po" else polib.mofile)(file.name)
        except _BROKEN as error:
            raise UserError(f"{where}: not a readable gettext catalog ({str(error).replace(file.name, suffix[1:])}).") from None
    messages = Catalog()
    messages.header = dict(entries.metadata)
    for entry in entries:
        if entry.obsolete or "fuzzy" in getattr(entry, "flags", ()):
            continue
        context = f"{entry.msgctxt or ''}\x04"
        if entry.msgid_plural:
            forms = {int(form): text for form, text in entry.msgstr_plural.items()}
            messages[context + entry.msgid] = forms.get(0, "")
            messages[context + entry.msgid_plural] = forms.get(1, "")
        else:
            messages[context + entry.msgid] = entry.msgstr
    return messages


def read_json_messages(content: bytes, where: str) -> Messages:
    """Strings of a nested JSON object by their dotted path."""
    try:
        tree = json.loads(content)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: not valid JSON ({error}).") from None
    messages: Messages = {}
    stack = [("", tree)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack.extend((f"{path}.{key}" if path else str(key), child) for key, child in value.items())
        elif isinstance(value, str):
            messages[path] = value
    return messages
