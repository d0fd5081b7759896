"""Class names are normalised, and refused where nobody could read them."""

import pytest

from services.preprocess import labels


@pytest.mark.parametrize(
    ("text", "expected"),
    [("  cat ", "cat"), ("e\N{COMBINING ACUTE ACCENT}te", "éte"), ("\u00a0two words\n", "two words")],
)
def test_normalised(text: str, expected: str) -> None:
    assert labels.normalised(text) == expected


@pytest.mark.parametrize("label", ["cat", "two words", "猫", "😀", "👩‍🚀", "🫨", "x" * 128, "..."])
def test_accepted(label: str) -> None:
    assert labels.fault(label) is None


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("", "empty"),
        (".", "cannot be a class name"),
        ("..", "cannot be a class name"),
        ("x" * 300, "over 128 characters"),
        ("a\tb", "unprintable"),
        ("a\u202eb", "unprintable"),
        ("a\ud800b", "unprintable"),
    ],
)
def test_refused(label: str, reason: str) -> None:
    fault = labels.fault(label)

    assert fault is not None
    assert reason in fault
