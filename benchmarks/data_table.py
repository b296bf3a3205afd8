"""The table of every corpus and bitext in a results folder, as Markdown: `python benchmarks/data_table.py results`."""

import json
import sys
from pathlib import Path


def counts(numbers: dict[str, int]) -> str:
    """`reason 12, other 3`, largest first."""
    found = sorted(numbers.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in found if number) or "–"


def tokens(root: Path, kind: str, name: str) -> str:
    """Tokens of all splits (of both sides), if the corpus was tokenised."""
    for index in (root / "tokens" / kind / name / "index.json", root / "tokens" / name / "index.json"):
        if index.is_file():
            return f"{sum(split['tokens'] for split in json.loads(index.read_text())['splits'].values()):,}"
    return "–"


def main() -> None:
    root = Path(sys.argv[1])
    print("| name | version | licence | read | kept | characters | tokens | splits | removed | shared with dev and test sets |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for path in sorted(root.glob("bitexts/*/report.json")) + sorted(root.glob("corpora/*/report.json")):
        report = json.loads(path.read_text())
        splits = ", ".join(f"{split} {number:,}" for split, number in report["splits"].items())
        shared = counts({name: found["documents"] for name, found in report["contamination"].items()})
        cells = [report["name"], report["version"] or "–", report["licence"], f"{report['read']:,}", f"{report['kept']:,}"]
        cells += [
            f"{report['characters']:,}",
            tokens(root, path.parents[1].name, report["name"]),
            splits,
            counts(report["removed"]),
            shared,
        ]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
