"""Write what the docs hold of the code: the config's JSON schema and tables, and the tables of measured performance.

`python docs/generate.py` writes; with `--check` it only says what is stale, and fails if anything is. In README.md and docs/*.md
the text between `<!-- generated: WHAT -->` and `<!-- end of generated -->` is replaced, WHAT being `config`, `columns`
(those of `measurements.csv`), `benchmarks/NAME`, which stands for `benchmarks/results/NAME.json`, or `coverage`, which stands
for `docs/coverage.csv`, a copy of what the rule of that name wrote.
"""

import argparse
import csv
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = "workflow/schemas/config.schema.json"
BLOCK = re.compile(r"(<!-- generated: (?P<what>[\w./-]+) -->\n).*?(<!-- end of generated -->)", re.DOTALL)
RESULT = ("figure", "value", "unit", "baseline", "ratio", "device", "versions", "commit", "date", "command")


def main() -> int:
    """Write or check; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail if something is stale")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT / "workflow"))
    stale = [path for path, text in generated(ROOT).items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if arguments.check:
            print(f"{path.relative_to(ROOT)}: stale. Run `python docs/generate.py`.", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(generated(ROOT)[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return int(arguments.check and bool(stale))


def generated(root: Path) -> dict[Path, str]:
    """Every file with generated content, as it should be."""
    from transferlaws.config import Study

    schema = Study.model_json_schema()
    texts = {root / SCHEMA: json.dumps(schema, indent=1, ensure_ascii=False) + "\n"}
    for path in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            texts[path] = fill(text, schema, root)
    return texts


def fill(text: str, schema: dict, root: Path) -> str:
    """Replace the generated blocks of a page."""

    def block(match: re.Match) -> str:
        what = match["what"]
        if what == "config":
            table = config_tables(schema)
        elif what.startswith("benchmarks/"):
            path = root / "benchmarks" / "results" / f"{what.removeprefix('benchmarks/')}.json"
            table = benchmark_table(json.loads(path.read_text(encoding="utf-8")), path)
        elif what == "columns":
            table = columns_table()
        elif what == "coverage":
            table = coverage_table(root / "docs" / "coverage.csv")
        else:
            raise ValueError(
                f"<!-- generated: {what} -->: nothing of that name; expected config, columns, coverage or benchmarks/NAME"
            )
        return f"{match[1]}\n{table}\n{match[3]}"

    return BLOCK.sub(block, text)


def config_tables(schema: dict) -> str:
    """One table a section of the config, from its JSON schema; a section that stands in several places is described once."""
    places: dict[str, list[str]] = {}
    parts = [fields_table(schema, schema)]
    pending = [place for key, field in schema["properties"].items() for place in sections(key, field, schema)]
    while pending:
        path, name = pending.pop(0)
        places.setdefault(name, []).append(path)
        if len(places[name]) == 1:
            inner = schema["$defs"][name]["properties"].items()
            pending = [place for key, field in inner for place in sections(f"{path}.{key}", field, schema)] + pending
    for name, paths in places.items():
        node = schema["$defs"][name]
        if len(paths) > 1:  # in which variant it stands does not matter then
            paths = dict.fromkeys(re.sub(r" \([^)]*\)", "", path) for path in paths)
        parts.append("### " + ", ".join(f"`{path}`" for path in paths) + "\n")
        parts.append(f"{one_line(node['description'])}\n" if node.get("description") else "")
        parts.append(fields_table(node, schema))
    return "\n".join(part for part in parts if part)


def fields_table(node: dict, schema: dict) -> str:
    """Every key of one section."""
    rows = []
    for key, field in node["properties"].items():
        default = "required" if key in node.get("required", []) else default_text(field)
        meaning = field.get("description") or (resolve(field, schema).get("description", "") if "$ref" in field else "")
        rows.append((f"`{key}`", type_text(field, schema), default, meaning))
    return table(("key", "type", "default", "meaning"), rows)


def sections(path: str, field: dict, schema: dict) -> list[tuple[str, str]]:
    """(path, name of its definition) of every section below a key; a variant of a union is told by its constant."""
    if "$ref" in field:
        return [(path, field["$ref"].rpartition("/")[2])] if "properties" in resolve(field, schema) else []
    if field.get("type") == "array":
        return sections(f"{path}[]", field.get("items", {}), schema)
    if "additionalProperties" in field or "patternProperties" in field:
        inner = field.get("additionalProperties") or next(iter(field["patternProperties"].values()))
        return sections(f"{path}.<name>", inner, schema) if isinstance(inner, dict) else []
    tag = field.get("discriminator", {}).get("propertyName")
    found = []
    for variant in field.get("oneOf", field.get("anyOf", [])):
        for inner, name in sections(path, variant, schema):
            constant = schema["$defs"][name]["properties"][tag]["const"] if tag else None
            found.append((f"{inner} ({tag}: {constant})" if tag else inner, name))
    return found


def resolve(field: dict, schema: dict) -> dict:
    """Follow a reference into the schema's definitions."""
    return schema["$defs"][field["$ref"].rpartition("/")[2]]


def type_text(field: dict, schema: dict) -> str:
    """A field's type in words, with its range."""
    if "$ref" in field:
        node = resolve(field, schema)
        return " or ".join(f"`{value}`" for value in node["enum"]) if "enum" in node else "section"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    variants = field.get("anyOf") or field.get("oneOf")
    if variants:
        return " or ".join(dict.fromkeys(type_text(variant, schema) for variant in variants))
    kind = field.get("type", "any")
    if kind == "array":
        items = field.get("prefixItems") or [field.get("items", {})]
        return "list of " + ", ".join(dict.fromkeys(type_text(item, schema) for item in items))
    if kind == "object":
        inner = field.get("additionalProperties") or next(iter(field.get("patternProperties", {}).values()), None)
        return f"map of names to {type_text(inner, schema)}" if isinstance(inner, dict) else "map"
    if kind == "string" and field.get("pattern", "").endswith("[kMGT]?$"):
        return "text like 64k or 1.5M"
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}[kind]
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {field[name]:g}" for name, sign in limits.items() if name in field]
    return " ".join([words, ", ".join(bounds)]).strip()


def default_text(field: dict) -> str:
    """A default as it would be written in YAML."""
    value = field.get("default")
    if "default" not in field or (isinstance(value, dict) and value):
        return "see the section"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def benchmark_table(results: list[dict], path: Path) -> str:
    """Measured figures with what they were measured against, where, at which version, and how to measure them again."""
    rows = []
    for number, entry in enumerate(results):
        missing = [key for key in RESULT if key not in entry]
        if missing:
            raise ValueError(f"{path}: entry {number} lacks {', '.join(missing)}; a result has {', '.join(RESULT)}")
        ratio = "" if entry["ratio"] is None else f"{number_text(entry['ratio'])}×"
        value = f"{number_text(entry['value'])} {entry['unit'] or ''}".strip()
        rows.append(
            (entry["figure"], value, number_text(entry["baseline"]), ratio, entry["device"], f"`{str(entry['commit'])[:10]}`")
        )
    origins = []
    for entry in results:
        versions = entry["versions"]
        listed = (
            ", ".join(f"{name} {version}" for name, version in versions.items()) if isinstance(versions, dict) else str(versions)
        )
        origins.append(f"Measured {entry['date']} with `{entry['command']}`; {listed}.")
    origin = "\n\n".join(dict.fromkeys(origins))
    return f"{table(('figure', 'value', 'baseline', 'ratio', 'device', 'commit'), rows)}\n{origin}\n"


def columns_table() -> str:
    """The columns of the measurement table, in its order; * is one that a table made elsewhere needs."""
    from transferlaws.measurements.columns import COLUMNS

    rows = [
        (f"`{column.name}`" + " *" * column.required, column.dtype, column.unit, column.meaning + "; optional" * column.optional)
        for column in COLUMNS
    ]
    return table(("column", "type", "unit", "meaning"), rows)


def coverage_table(path: Path) -> str:
    """How often the intervals held the truth, a row a quantity of a simulated study."""
    with open(path, encoding="utf-8", newline="") as file:
        entries = list(csv.DictReader(file))
    rows = [
        (
            entry["law"],
            entry["study"],
            entry["quantity"],
            number_text(float(entry["truth"])),
            f"{float(entry['identified']):.0%}",
            f"{float(entry['covered']):.1%}" if entry["covered"] else "",
            f"{float(entry['relative_width']):.2g}" if entry["relative_width"] else "",
        )
        for entry in entries
    ]
    return table(("law", "study", "quantity", "truth", "identified", "covered", "relative width"), rows)


def number_text(value: object) -> str:
    """Four digits of a number, anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(head: tuple[str, ...], rows: list[tuple]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(one_line(str(cell)).replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def one_line(text: str) -> str:
    """Text with its white space folded."""
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
