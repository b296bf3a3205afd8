"""The example of docs/laws.md prints what the page says."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "laws.md"


def test_the_example_prints_what_stands_beside_it(capsys):
    text = PAGE.read_text(encoding="utf-8")
    code, output = re.search(r"<!-- example -->\n```python\n(.*?)```\n```\n(.*?)```", text, re.DOTALL).groups()
    exec(code, {})
    assert capsys.readouterr().out == output
