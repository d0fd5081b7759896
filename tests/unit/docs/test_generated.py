"""The generated tables of the documentation are current, and each setting has one owner."""

import importlib.util
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
VARIABLE = re.compile(r"\bTIDEPOOL_[A-Z0-9_]*[A-Z0-9]\b")


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _load()


@pytest.mark.parametrize("page", generate.TABLES)
def test_the_generated_tables_are_current(page: str) -> None:
    assert (ROOT / page).read_text() == generate.generated(page), "run `make docs`"


def test_every_setting_has_a_description_and_a_reader() -> None:
    assert [row.name for row in generate.settings() if not row.description or not row.readers] == []


def test_every_variable_has_one_owner_and_one_default() -> None:
    owners = defaultdict(list)
    for row in generate.settings():
        owners[row.name].append(row.owner.__name__)

    assert {name: classes for name, classes in owners.items() if len(classes) > 1} == {}


def test_every_variable_of_the_command_line_and_the_images_is_on_a_page() -> None:
    documented = VARIABLE.findall((ROOT / "docs/settings.md").read_text() + (ROOT / "docs/compose.md").read_text())
    sources = [*(ROOT / "tidepool").rglob("*.py"), *ROOT.glob("*compose*.yml"), *(ROOT / "deploy" / "bin").iterdir()]
    used = {name for source in sources for name in VARIABLE.findall(source.read_text())}

    assert used - set(documented) == set()


def test_every_error_has_a_meaning() -> None:
    assert [line for line in generate.error_table().splitlines() if re.search(r"\|\s*\|", line)] == []
