"""Tables in the docs come from the code and from measured results, and the committed ones are those."""

import importlib.util
import json
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)

RESULT = {
    "figure": "a | b", "value": 123.456, "unit": "runs/h", "baseline": 1.0, "ratio": 123.456, "device": "two cores",
    "versions": {"numpy": "2.4"}, "commit": "0123456789abcdef", "date": "2030-01-01", "command": "python benchmarks/x.py",
}  # fmt: skip


class Inner(BaseModel):
    """An inner section."""

    width: float = Field(7, gt=0, description="width, inches")


class Outer(BaseModel):
    """A study."""

    name: str = Field(description="its name | label")
    parts: dict[str, Inner] = Field({}, description="parts")
    more: list[Inner] = Field([], description="more parts")


def test_committed_docs_are_what_the_code_says():
    stale = [
        str(path)
        for path, text in generate.generated(ROOT).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    assert not stale, f"stale: {stale}; run `python docs/generate.py`"


def test_config_tables_name_key_type_default_and_meaning():
    text = generate.config_tables(Outer.model_json_schema())
    assert "| `name` | text | required | its name \\| label |" in text
    assert "### `parts.<name>`, `more[]`" in text
    assert "| `width` | number > 0 | `7` | width, inches |" in text


def test_benchmark_table(tmp_path):
    (tmp_path / "benchmarks/results").mkdir(parents=True)
    (tmp_path / "benchmarks/results/speed.json").write_text(
        json.dumps([RESULT, RESULT | {"figure": "second", "ratio": None, "baseline": None}])
    )
    page = "before\n<!-- generated: benchmarks/speed -->\nold\n<!-- end of generated -->\nafter\n"
    text = generate.fill(page, {}, tmp_path)
    assert "| a \\| b | 123.5 runs/h | 1 | 123.5× | two cores | `0123456789` |" in text
    assert "Measured 2030-01-01 with `python benchmarks/x.py`; numpy 2.4." in text
    assert "old" not in text and text.startswith("before") and text.endswith("after\n")
    assert generate.fill(text, {}, tmp_path) == text


def test_coverage_table(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/coverage.csv").write_text(
        "law,study,quantity,truth,identified,covered,relative_width\ngap,8 rungs,E,1.5,0.25,0.904,0.123\ngap,8 rungs,G,0.0,0.0,,\n"
    )
    text = generate.fill("<!-- generated: coverage -->\n<!-- end of generated -->", {}, tmp_path)
    assert "| gap | 8 rungs | E | 1.5 | 25% | 90.4% | 0.12 |" in text
    assert "| gap | 8 rungs | G | 0 | 0% |  |  |" in text


def test_a_result_without_its_origin_is_refused(tmp_path):
    with pytest.raises(ValueError, match="lacks commit"):
        generate.benchmark_table([{key: value for key, value in RESULT.items() if key != "commit"}], tmp_path)
    with pytest.raises(ValueError, match="nothing of that name"):
        generate.fill("<!-- generated: nonsense -->\n<!-- end of generated -->", {}, tmp_path)
