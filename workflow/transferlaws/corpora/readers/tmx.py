"""Translation memories (TMX)."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

from transferlaws.corpora.languages import language_code, nearest
from transferlaws.corpora.readers.opening import open_bytes
from transferlaws.errors import UserError

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_CODES = {"bpt", "ept", "it", "ph", "ut"}  # their content is a code of the original's format; that of hi is text


def units(path: Path, languages: tuple[str, str], removed: Counter[str] | None = None) -> Iterator[tuple[int, list[str]]]:
    """(number from 1, texts) of the units that hold both languages; inline codes are left out.

    `en` takes `en-US` too: of several variants the one that is asked for, else the first by name, and the others are counted in
    `removed`. External entities are not resolved, and expat limits how much internal ones may grow.
    """
    removed = Counter() if removed is None else removed
    number = found = 0
    met: Counter[str] = Counter()
    try:
        with open_bytes(path) as stream:
            for _, element in ElementTree.iterparse(stream):
                if _name(element) != "tu":
                    continue
                number += 1
                texts = dict(_variants(element))
                element.clear()
                met.update(texts.keys())
                chosen = [nearest(language, [*texts]) for language in languages]
                if None in chosen:
                    removed["other_languages"] += 1
                    continue
                left = [tag for tag in texts if tag not in chosen and any(nearest(language, [tag]) for language in languages)]
                if left:
                    removed["other_variant"] += len(left)
                found += 1
                yield number, [texts[tag] for tag in chosen]
    except ElementTree.ParseError as error:
        raise UserError(f"{path}, after unit {number}: not valid XML ({error}).") from None
    if not number:
        raise UserError(f"{path}: holds no translation unit (<tu>).")
    if not found:
        raise UserError(
            f"{path}: none of its {number:,} units holds both {' and '.join(languages)}; it holds {', '.join(sorted(met))}."
        )


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _variants(unit: ElementTree.Element) -> Iterator[tuple[str, str]]:
    for variant in unit:
        if _name(variant) != "tuv":
            continue
        tag = variant.get(_LANG) or variant.get("lang") or ""
        with suppress(ValueError):  # what is no code is nobody's language, but named in the error
            tag = language_code(tag)
        for segment in variant:
            if _name(segment) == "seg":
                yield tag, "".join(_text(segment))


def _text(element: ElementTree.Element) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if _name(child) not in _CODES:
            yield from _text(child)
        yield child.tail or ""
