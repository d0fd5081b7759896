"""What commands print"""

import io
import json
import sys

import pytest

from contract.datasets import Rejected
from tidepool.cli.output import clean, file_size, percent, print_json, print_table, say


def test_control_characters_are_replaced_and_letters_of_all_scripts_kept() -> None:
    assert clean("a\x1b[31m\r\n\x00b") == "a\ufffd[31m\ufffd\ufffd\ufffdb"
    assert clean("Größe 猫 קטן") == "Größe 猫 קטן"
    assert clean("caf\udce9") == "caf\ufffd"


def test_json_is_valid_in_any_encoding_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("utf-8", "latin-1", "ascii"):
        output = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
        monkeypatch.setattr(sys, "stdout", output)

        print_json([Rejected(file="猫.jpg", reason="ä")])

        output.flush()
        text = output.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
        assert json.loads(text) == [{"file": "猫.jpg", "reason": "ä"}]
        assert ("猫" in text) == (encoding == "utf-8")


def test_a_table_aligns_numbers_and_shows_markup_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "count"), [("[red]a", 5), ("b", 12_345), ("c", None)], numbers={"count"})

    assert capsys.readouterr().out.splitlines() == [
        "name    count",
        "[red]a      5",
        "b       12345",
        "c           –",
    ]


def test_a_table_without_rows_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name",), [])
    say()

    assert capsys.readouterr().out == ""


def test_numbers_for_people() -> None:
    assert (percent(0.9512), percent(None)) == ("95.1 %", "–")
    assert [file_size(size) for size in (0, 1, 1 << 20, 3 << 30)] == ["0 KiB", "1 KiB", "1.0 MiB", "3.0 GiB"]
