"""Files that the documentation names exist, and so do the commands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
OLD = {"services/X/worker.py"}
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|yml|yaml|toml|in|lock|txt))(?:::\w+)?`")
FOLDERS = re.compile(
    r"`((?:contract|media|messaging|services|worker|tidepool|tests|deploy|docs|benchmarks)/[\w/-]*/?)`"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    names = {*FILE.findall(text), *FOLDERS.findall(text)} - OLD

    missing = [
        name for name in names if not any((folder / name).exists() for folder in (ROOT, ROOT / "deploy/kubernetes"))
    ]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    names = re.findall(r"(?:`|^\$ )make ([a-z0-9-]+)", page.read_text(), flags=re.MULTILINE)

    assert set(names) - targets == set()


def test_the_index_of_decisions_has_each_in_order() -> None:
    folder = ROOT / "docs/adr"
    rows = re.findall(r"^\| (\d+) \| \[[^\]]+\]\(([^)]+)\) \|", (folder / "index.md").read_text(), flags=re.MULTILINE)
    files = sorted(path.name for path in folder.glob("[0-9]*.md"))

    assert rows == [(str(int(name[:4])), name) for name in files]
