"""Mistakes in a config, said so that the reader can mend them."""

import types
import typing
from collections.abc import Iterable
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError


def explain(key: str, value: object, allowed: Iterable[str]) -> str:
    """One line: the key, the value, the nearest valid spelling, what is allowed."""
    allowed = sorted(map(str, allowed))
    near = get_close_matches(str(value), allowed, n=1, cutoff=0.5)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    return f"{key}: unknown name `{value}`.{hint} Allowed: {', '.join(allowed) or 'none is declared'}."


def describe(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Every mistake of a failed validation as one line, in the order found."""
    lines = []
    for mistake in error.errors(include_url=False):
        written = [str(part) for part in _visible(mistake["loc"], model)]
        key = ".".join(written) or "the study"
        if mistake["type"] == "extra_forbidden":
            section = ".".join(written[:-1]) or "the top level"
            lines.append(
                explain(section, mistake["loc"][-1], _fields(mistake["loc"][:-1], model)).replace("unknown name", "unknown key")
            )
        elif mistake["type"] == "value_error":
            text = str(mistake["ctx"]["error"])
            lines += text.splitlines() if key == "the study" else [f"{key}: {text}, found {_short(mistake['input'])}."]
        elif hint := _unquoted(mistake):
            lines.append(f"{key}: found {_short(mistake['input'])}, expected text. {hint}")
        elif mistake["type"] == "missing":
            lines.append(f"{key}: missing. It has no default: add it.")
        elif mistake["type"] == "literal_error" and mistake["loc"][-1] == "[key]":
            allowed = mistake["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
            lines.append(explain(".".join(written[:-1]), mistake["input"], allowed))
        elif mistake["type"] in ("literal_error", "enum", "union_tag_invalid"):
            expected = mistake["ctx"].get("expected") or mistake["ctx"]["expected_tags"]
            value = mistake["ctx"].get("tag", mistake["input"])
            near = get_close_matches(str(value), expected.replace("'", "").replace(" or ", ", ").split(", "), n=1, cutoff=0.5)
            lines.append(f"{key}: found {_short(value)}.{f' Did you mean `{near[0]}`?' if near else ''} Allowed: {expected}.")
        else:
            lines.append(f"{key}: {mistake['msg'][0].lower()}{mistake['msg'][1:]}, found {_short(mistake['input'])}.")
    return lines


def _unquoted(mistake: dict) -> str:
    """How to write as text what YAML read as something else; empty for other mistakes."""
    value = mistake["input"]
    if mistake["type"] != "string_type" or value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, bool):
        words, quoted = ("yes, on or true", '"yes"') if value else ("no, off or false", '"no"')
        return f"YAML reads a bare {words} as {str(value).lower()}: write it in quotes, such as {quoted}."
    return f'YAML reads it as a {"date" if hasattr(value, "year") else "number"}: write it in quotes, such as "{value}".'


def _short(value: object) -> str:
    text = repr(value)
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def _steps(location: tuple, model: type[BaseModel]) -> Iterable[tuple[object, bool, list[type[BaseModel]]]]:
    """Walk a location: (part, whether the user wrote it, models that it may be inside of afterwards)."""
    inside: list = [model]
    chosen = False  # of several models, one was chosen by its tag
    for part in location:
        models = _flat(inside)
        tagged = [kind for kind in models if any(part in typing.get_args(field.annotation) for field in kind.model_fields.values())]
        if len(models) > 1 and tagged and not chosen:
            inside, chosen = tagged, True
            yield part, False, tagged
            continue
        fields = [kind.model_fields[part].annotation for kind in models if part in kind.model_fields]
        values = [argument for annotation in inside for argument in _values(annotation)]
        inside, chosen = fields or values, False
        written = not (isinstance(part, str) and (part == "[key]" or part.startswith(("constrained-", "list[", "literal["))))
        yield part, written, _flat(inside)


def _visible(location: tuple, model: type[BaseModel]) -> list:
    return [part for part, written, _ in _steps(location, model) if written]


def _fields(location: tuple, model: type[BaseModel]) -> list[str]:
    inside = [[model], *(models for _, _, models in _steps(location, model))][-1]
    return list(dict.fromkeys(field for kind in inside for field in kind.model_fields))


def _flat(annotations: list) -> list[type[BaseModel]]:
    return [kind for annotation in annotations for kind in _models(annotation)]


def _models(annotation: object) -> list[type[BaseModel]]:
    """The models that an annotation (a union, an Annotated) may stand for."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _models(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [kind for argument in typing.get_args(annotation) for kind in _models(argument)]
    return []


def _values(annotation: object) -> list:
    """What an annotation's container holds: the values of a dict, the items of a list."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        return _values(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return [value for argument in arguments for value in _values(argument)]
    return [arguments[-1]] if origin in (dict, list, tuple) and arguments else []
