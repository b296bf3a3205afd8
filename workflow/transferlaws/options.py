"""What a stage's command line is made of besides plain values: parts of the config as JSON, and folders."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from transferlaws.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class OwnFiles:
    """Marks a setting that names files of the user, by path, pattern or folder: their content counts, not where they lie.

    Attributes:
        elsewhere: whether the setting may name something on a hub instead, so that a pattern without a match is no mistake.
    """

    elsewhere: bool = False


def files_by_key(settings: BaseModel, *, elsewhere: bool = True) -> dict[str, list[str]]:
    """The paths and patterns in each marked setting.

    Args:
        settings: a validated part of the config.
        elsewhere: whether settings that may name something on a hub are among them.
    """
    found = {}
    for name, field in type(settings).model_fields.items():
        if any(isinstance(mark, OwnFiles) and (elsewhere or not mark.elsewhere) for mark in field.metadata):
            found[name] = [path for path in _items(getattr(settings, name)) if path]
    return found


def own_files(settings: BaseModel) -> Iterator[str]:
    """The paths and patterns in all marked settings, those inside other models included."""
    for paths in files_by_key(settings).values():
        yield from paths
    for name in type(settings).model_fields:
        yield from (path for item in _items(getattr(settings, name)) if isinstance(item, BaseModel) for path in own_files(item))


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def add_json(parser: argparse.ArgumentParser, option: str, kind: Any, **keywords: Any) -> None:
    """Add an option that takes JSON, which is validated when the command line is parsed.

    Args:
        parser: the stage's.
        option: its name, such as `--settings`.
        kind: a settings model, or any type that pydantic validates.
        keywords: passed on to `add_argument`.
    """
    parser.add_argument(option, **{"metavar": "JSON", "type": partial(parse, kind, option=option), **keywords})


def parse(kind: Any, text: str, option: str = "--settings") -> Any:
    """Validate JSON text of the command line.

    Args:
        kind: a settings model, or any type that pydantic validates.
        text: the JSON.
        option: where it stands.

    Raises:
        UserError: every mistake with its key, the value found, and the keys that there are.
    """
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        mistakes = [
            f"{'.'.join(map(str, mistake['loc'])) or 'all'}: {mistake['msg'][0].lower()}{mistake['msg'][1:]}, "
            f"found {mistake['input']!r:.100}"
            for mistake in error.errors(include_url=False)
        ]
        keys = f" The keys are {', '.join(kind.model_fields)}." if hasattr(kind, "model_fields") else ""
        raise UserError(f"{option}: {'; '.join(mistakes)}.{keys}") from None


def specification(kind: type[T], arguments: argparse.Namespace) -> T:
    """What a stage is asked to do: the arguments that bear the names of the fields of a dataclass."""
    return kind(**{field.name: getattr(arguments, field.name) for field in fields(cast(Any, kind))})


def folder_of(text: str) -> Path:
    """An argparse type: a folder, named by itself or by the manifest (`*.json`) in it."""
    path = Path(text)
    return path.parent if path.suffix == ".json" else path
