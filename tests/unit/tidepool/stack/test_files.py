import os
from pathlib import Path

from tidepool.stack.files import last_lines, write_private


def test_a_private_file_is_readable_by_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "secret", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_write_replaces_the_file_and_leaves_no_draft(tmp_path: Path) -> None:
    write_private(tmp_path / "note", "old")
    write_private(tmp_path / "note", "new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"note": "new"}


def test_last_lines_of_a_long_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"line {n}\n" for n in range(100_000)))
    assert last_lines(tmp_path / "log", 2) == "line 99998\nline 99999"


def test_a_missing_file_has_no_last_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "log", 2) == ""


def test_invalid_utf8_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff\n")
    assert last_lines(tmp_path / "log", 2) == "�"
