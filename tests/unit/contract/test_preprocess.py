"""How to read an archive is checked before a job is created."""

from typing import Any

import pytest
from pydantic import ValidationError

from contract.kinds.preprocess import LayoutSpec


@pytest.mark.parametrize("encoding", ["shift_jis", "SJIS", "big5", "gbk", "cp949", "euc-kr", "cp866", "windows-1251"])
def test_an_encoding_of_file_names_is_accepted(encoding: str) -> None:
    assert LayoutSpec(encoding=encoding).encoding == encoding


@pytest.mark.parametrize(
    "encoding",
    ["nope", "", "rot13", "hex", "utf-16", "utf_7", "punycode", "idna", "unicode_escape", "undefined", "a\0b", "../x"],
)
def test_an_unknown_encoding_or_one_of_other_things_is_refused(encoding: str) -> None:
    with pytest.raises(ValidationError, match=r"known encoding|at least 1 character"):
        LayoutSpec(encoding=encoding)


@pytest.mark.parametrize("level", [1, 2, 32, "leaf"])
def test_a_class_level_is_a_number_or_leaf(level: Any) -> None:
    assert LayoutSpec(class_level=level).class_level == level


@pytest.mark.parametrize("level", [0, 33, "2", "first", 1.0, True])
def test_other_class_levels_are_refused(level: Any) -> None:
    with pytest.raises(ValidationError):
        LayoutSpec(class_level=level)
