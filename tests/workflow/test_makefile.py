"""The Makefile says what it can do, and can do what it says."""

import re

from support.tiny import REPOSITORY


def test_every_phony_target_has_a_rule_and_the_header_names_those_for_users():
    text = (REPOSITORY / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()
    rules = set(re.findall(r"^([\w-]+):", text, re.MULTILINE))
    header = text[: text.index("PYTHON ?=")]
    assert set(targets) <= rules
    assert all(f"make {target}" in header for target in targets if target != "clean-environment")
