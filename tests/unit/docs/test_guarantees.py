"""Every guarantee names tests, and they exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
PROMISES = range(1, 22)


def test_every_promise_names_a_test() -> None:
    sections = re.split(r"^## (?=G\d+ )", PAGE, flags=re.MULTILINE)[1:]

    assert [int(section[1:].split()[0]) for section in sections] == list(PROMISES)
    assert [section.splitlines()[0] for section in sections if "::test_" not in section] == []


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)

    assert len(named) >= len(PROMISES)
    assert [f"{path}::{name}" for path, name in named if f"def {name}(" not in (ROOT / path).read_text()] == []
