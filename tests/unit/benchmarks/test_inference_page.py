"""The page of the inference benchmark."""

import json
from pathlib import Path
from typing import Any

from benchmarks.inference.overload import Overload
from benchmarks.inference.results import Results
from benchmarks.inference.table import markdown

PAGE = Path("benchmarks/results/inference.md")


def _page(files: list[dict[str, Any]], how: dict[str, str]) -> str:
    return markdown(Results.merged(files), Overload.of(files[0]["overload"]), files[0]["facts"], how)


def test_the_page_has_the_numbers_of_the_file_beside_it() -> None:
    written = json.loads(PAGE.with_suffix(".json").read_text())

    assert PAGE.read_text() == _page([written], written["how"])


def test_cases_that_were_measured_alike_share_a_line() -> None:
    written = json.loads(PAGE.with_suffix(".json").read_text())

    page = _page([written], {"cnn, jpeg": "3 rounds", "mlp, jpeg": "1 round", "cnn, tensor": "3 rounds"})

    assert "\n* cnn, jpeg; cnn, tensor: 3 rounds\n* mlp, jpeg: 1 round\n" in page
