import ast
import re

import pytest

from transferlaws import fingerprint as module
from transferlaws.cli import STAGES


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "room").mkdir()
    (tmp_path / "__init__.py").write_text('__version__ = "1"\n')
    (tmp_path / "room" / "__init__.py").write_text("")
    (tmp_path / "room" / "stage.py").write_text("from transferlaws.room.helper import twice\n\n\ndef run():\n    return twice(2)\n")
    (tmp_path / "room" / "helper.py").write_text('"""Help."""\n\n\ndef twice(x):\n    """Two times x."""\n    return 2 * x\n')
    (tmp_path / "room" / "other.py").write_text("X = 1\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)

    def fingerprint():
        module.fingerprint.cache_clear(), module._tree.cache_clear(), module._path.cache_clear()
        return module.fingerprint("transferlaws.room.stage")

    yield tmp_path, fingerprint
    module.fingerprint.cache_clear(), module._tree.cache_clear(), module._path.cache_clear()


def change(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("room/helper.py", "return 2 * x", "return 2 * x  # a comment"),
        ("room/helper.py", "Two times x.", "Twice x."),
        ("room/helper.py", "return 2 * x", "return (2   *   x)"),
        ("room/other.py", "X = 1", "X = 2"),
        ("__init__.py", '"1"', '"2"'),
    ],
)
def test_what_does_not_count(package, file, before, after):
    folder, fingerprint = package
    old = fingerprint()
    change(folder / file, before, after)
    assert fingerprint() == old


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("room/helper.py", "return 2 * x", "return 3 * x"),
        ("room/stage.py", "twice(2)", "twice(3)"),
        ("room/__init__.py", "", "LIMIT = 3\n"),
    ],
)
def test_what_counts(package, file, before, after):
    folder, fingerprint = package
    old = fingerprint()
    change(folder / file, before, after)
    assert fingerprint() != old


def test_imports_inside_functions_count(package):
    folder, fingerprint = package
    change(folder / "room" / "stage.py", "    return twice(2)", "    from transferlaws.room import other\n\n    return other.X")
    old = fingerprint()
    change(folder / "room" / "other.py", "X = 1", "X = 2")
    assert fingerprint() != old


@pytest.mark.parametrize("stage", STAGES)
def test_only_plan_and_fetch_know_the_study_and_none_after_the_scores_imports_torch(stage):
    modules = module.imported_modules(STAGES[stage][0])
    assert stage in ("plan", "fetch") or not modules & {"transferlaws.layout", "transferlaws.config"}
    if stage in ("score", "fit", "advise", "coverage", "figure", "summary"):
        for name in modules:
            found = re.search(r"^(import|from) torch\b", module._path(name).read_text(), re.MULTILINE)
            assert not found, f"{stage} imports torch through {name}"


CHAIN = ["corpora", "tokens", "model", "training", "evaluation"]
BESIDE = ["statistics", "measurements", "laws", "mixtures", "advice", "figures"]
ROOMS = {room: {*order[: place + 1]} for order in (CHAIN, BESIDE) for place, room in enumerate(order)}
ROOMS["evaluation"] |= {"measurements"}  # scores are written as measurements
ROOMS["validation"] = {"validation", "statistics", "laws"}


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(room):
    for path in (module.ROOT / room).rglob("*.py"):
        name = ".".join(["transferlaws", *path.relative_to(module.ROOT).with_suffix("").parts]).removesuffix(".__init__")
        rooms = {parts[1] for parts in (imported.split(".") for imported in module._imports(name)) if len(parts) > 2}
        assert rooms & {*ROOMS} <= ROOMS[room], f"{path} imports {rooms - ROOMS[room]}"


def test_no_module_imports_itself_through_others():
    """A package and the modules inside it count as one where one of them imports the package itself, which always runs first.

    Imports for a type checker alone never run.
    """
    arrows = {}
    for path in module.ROOT.rglob("*.py"):
        name = ".".join(["transferlaws", *path.relative_to(module.ROOT).with_suffix("").parts]).removesuffix(".__init__")
        blocks = [node for node in ast.walk(module._tree(name)) if isinstance(node, ast.If)]
        typing = [node for block in blocks if ast.unparse(block.test) == "TYPE_CHECKING" for node in block.body]
        never_run = {node.module for node in typing if isinstance(node, ast.ImportFrom)}
        arrows[name] = {other for other in module._imports(name) - never_run if not f"{name}.".startswith(f"{other}.")}
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in sorted(arrows.get(name, ())):
                walk(other, (*way, name))
            done.add(name)

    for name in sorted(arrows):
        walk(name, ())
    assert len(done) > 100
