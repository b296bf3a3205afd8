"""The identity of a stage's code: what Snakemake cannot see, because it does not follow imports."""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = "transferlaws"
ROOT = Path(__file__).parent


@cache
def fingerprint(*modules: str) -> str:
    """A hash of the syntax trees of exactly the package modules that `modules` import, themselves included.

    Comments, docstrings, formatting and the package's version do not count. The serialisation skips empty fields, so that
    Python versions agree on it.

    Args:
        modules: dotted names, such as `transferlaws.training.pretrain`.
    """
    digest = hashlib.sha256()
    for name in sorted(imported_modules(*modules)):
        digest.update(f"{name}\n{_serialise(_tree(name))}\n".encode())
    return digest.hexdigest()[:16]


def imported_modules(*modules: str) -> set[str]:
    """The transitive closure of the package's own modules that `modules` import, also inside functions."""
    found: set[str] = set()
    pending = list(modules)
    while pending:
        name = pending.pop()
        if name in found or name == PACKAGE:
            continue
        found.add(name)
        pending += _imports(name)
    return found


@cache
def _path(module: str) -> Path:
    base = ROOT.joinpath(*module.split(".")[1:])
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    if not path.is_file():
        raise ModuleNotFoundError(f"{module}: no such module of {PACKAGE} ({path})")
    return path


@cache
def _tree(module: str) -> ast.Module:
    tree = ast.parse(_path(module).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    return tree


def _imports(module: str) -> set[str]:
    """The package's modules named in `module`'s import statements and strings; packages on the way run too, so they count."""
    names: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names if _is_module(f"{node.module}.{alias.name}")}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_module(node.value):
            names.add(node.value)  # imported by its name, as a registry of sources does
    own = {name for name in names if name.split(".")[0] == PACKAGE}
    return own | {name.rpartition(".")[0] for name in own}


def _is_module(name: str) -> bool:
    if not name.startswith(f"{PACKAGE}.") or not all(part.isidentifier() for part in name.split(".")):
        return False
    base = ROOT.joinpath(*name.split(".")[1:])
    return base.with_suffix(".py").is_file() or (base / "__init__.py").is_file()


def _serialise(node: object) -> str:
    if isinstance(node, ast.AST):
        fields = (f"{name}={_serialise(value)}" for name, value in ast.iter_fields(node) if value not in (None, []))
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(_serialise, node))}]"
    return repr(node)
