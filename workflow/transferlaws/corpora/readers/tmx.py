"""Translation memories (TMX)."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from transferlaws.corpora.readers.opening import open_bytes
from transferlaws.errors import UserError

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def units(path: Path, languages: tuple[str, str]) -> Iterator[tuple[int, list[str]]]:
    """(number from 1, texts) of the units that hold both languages; `en` matches `en-US` too. Inline tags are left out.

    External entities are not resolved, and expat limits how much internal ones may grow.
    """
    number = 0
    try:
        with open_bytes(path) as stream:
            for _, element in ElementTree.iterparse(stream):
                if element.tag != "tu":
                    continue
                number += 1
                texts = {}
                for variant in element.iter("tuv"):
                    language = (variant.get(_LANG) or variant.get("lang") or "").lower().replace("_", "-").split("-")[0]
                    segment = variant.find("seg")
                    if segment is not None:
                        texts[language] = "".join(segment.itertext())
                element.clear()
                if all(language in texts for language in languages):
                    yield number, [texts[language] for language in languages]
    except ElementTree.ParseError as error:
        raise UserError(f"{path}, after unit {number}: not valid XML ({error}).") from None
    if not number:
        raise UserError(f"{path}: holds no translation unit (<tu>).")
