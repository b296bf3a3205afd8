"""The files that a path or a pattern of the config means. Imports nothing else: parsing the workflow reads it."""

import glob
import os
import re
from pathlib import Path

from transferlaws.errors import UserError

_WILD = re.compile(r"\*\*/|\*+|\?|\[[^]]*\]")


def matches(pattern: str) -> list[str]:
    """Files that a path, or else a pattern, means; `~` is the home folder. A file is met once, whatever links lead to it."""
    place = os.path.expanduser(pattern)
    if os.path.isfile(place):
        return [place]
    found: dict[str, str] = {}
    for path in sorted(glob.glob(place, recursive=True), key=lambda path: (path.count(os.sep), path)):
        if os.path.isfile(path):
            found.setdefault(os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)), path)
    return sorted(found.values())


def named(pattern: str) -> list[str]:
    """What a path or pattern of a config names: its files, or else folders; empty where nothing is there."""
    return matches(pattern) or sorted(glob.glob(pattern, recursive=True))


def expand(patterns: list[str], key: str = "paths") -> list[Path]:
    """Files that the patterns mean, in the order of the patterns; each real file once."""
    found: dict[str, Path] = {}
    for path in (path for pattern in patterns for path in _some(pattern, key)):
        found.setdefault(os.path.realpath(path), Path(path))
    return list(found.values())


def paired(sources: list[str], targets: list[str], names: tuple[str, str]) -> list[tuple[Path, Path]]:
    """Files of two lists of patterns that belong together: what stands for the wildcards is equal, or else the order is.

    Raises:
        UserError: the numbers of files differ, or a file has no partner.
    """
    if len(sources) == len(targets):
        return [pair for patterns in zip(sources, targets, strict=True) for pair in _partners(*patterns, names)]
    left, right = (
        [path for pattern in patterns for path in _some(pattern, names[i])] for i, patterns in enumerate((sources, targets))
    )
    _same_number(left, right, names)
    return [(Path(a), Path(b)) for a, b in zip(left, right, strict=True)]


def _partners(source: str, target: str, names: tuple[str, str]) -> list[tuple[Path, Path]]:
    left, right = _some(source, names[0]), _some(target, names[1])
    if len(left) == len(right) == 1:
        return [(Path(left[0]), Path(right[0]))]
    keyed = [{_stands_for(pattern, path): path for path in paths} for pattern, paths in ((source, left), (target, right))]
    if len(_WILD.findall(source)) != len(_WILD.findall(target)) or any(None in paths for paths in keyed):
        _same_number(left, right, names)
        return [(Path(a), Path(b)) for a, b in zip(left, right, strict=True)]
    for i, (own, other) in enumerate((keyed, keyed[::-1])):
        if alone := sorted(own.keys() - other.keys()):
            raise UserError(
                f"{own[alone[0]]}: no file of {names[1 - i]} '{(target, source)[i]}' belongs to it by its name. {names[0]} match "
                f"{len(left)} files, {names[1]} {len(right)}: give each source file a target file of the same name, or list them."
            )
    return [(Path(keyed[0][what]), Path(keyed[1][what])) for what in sorted(keyed[0])]


def _stands_for(pattern: str, path: str) -> tuple[str, ...] | None:
    """What stands for each wildcard of a pattern in a path that it matches."""
    place, parts, end = os.path.expanduser(pattern), [], 0
    for wild in _WILD.finditer(place):
        parts.append(re.escape(place[end : wild.start()]))
        text = wild[0].replace("[!", "[^")
        parts.append({"**/": "(?:(.*)/)?", "*": "([^/]*)", "?": "([^/])"}.get(text, f"({text})" if text[0] == "[" else "(.*)"))
        end = wild.end()
    found = re.fullmatch("".join([*parts, re.escape(place[end:])]), path, re.DOTALL)
    return tuple(part or "" for part in found.groups()) if found else None


def _same_number(left: list[str], right: list[str], names: tuple[str, str]) -> None:
    if len(left) != len(right):
        raise UserError(f"{names[0]} match {len(left)} files, {names[1]} {len(right)}: give one target file for each source file.")


def _some(pattern: str, key: str) -> list[str]:
    found = matches(pattern)
    if found:
        return found
    place = os.path.expanduser(pattern)
    if os.path.isdir(place):
        hint = f" It is a folder: name the files in it, as {os.path.join(pattern, '*.txt')}."
    elif re.search(r"[\[\]*?]", pattern):
        hint = " Of a pattern, * stands for any name, ** for folders, [ab] for one of the letters; [[] for a bracket itself."
    else:
        near = Path(place).parent
        hint = "" if near.is_dir() else f" There is no folder {near}."
    raise UserError(f"{key}: no file matches '{pattern}' (from the folder {Path.cwd()}).{hint}")
