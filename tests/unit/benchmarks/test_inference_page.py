"""The page of the inference benchmark."""

import json
from pathlib import Path

from benchmarks.inference.table import markdown

PAGE = Path("benchmarks/results/inference.md")


def test_the_page_has_the_numbers_of_the_file_beside_it() -> None:
    assert PAGE.read_text() == markdown(json.loads(PAGE.with_suffix(".json").read_text()))


def test_cases_that_were_measured_alike_share_a_line() -> None:
    written = json.loads(PAGE.with_suffix(".json").read_text())
    written["how"] = {"cnn, jpeg": "3 rounds", "mlp, jpeg": "1 round", "cnn, tensor": "3 rounds"}

    assert "\n* cnn, jpeg; cnn, tensor: 3 rounds\n* mlp, jpeg: 1 round\n" in markdown(written)
