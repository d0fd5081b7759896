"""Strict validation of messages, and the shared field types."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from contract.base import Name, Sha256
from contract.datasets import Counts
from contract.training import Epoch
from tests.examples import COUNTS, EPOCH


def test_a_message_is_immutable() -> None:
    with pytest.raises(ValidationError):
        COUNTS.train = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    "change",
    [{"extra": 1}, {"train": -1}, {"train": 1.0}, {"train": "1"}, {"train": True}, {"train": None}],
    ids=str,
)
def test_an_invalid_count_is_rejected(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Counts.model_validate(COUNTS.model_dump() | change)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinity_are_rejected(number: float) -> None:
    with pytest.raises(ValidationError):
        Epoch.model_validate(EPOCH.model_dump() | {"train_loss": number})


@pytest.mark.parametrize("name", ["a", "7", "cifar10", "a.b-c_d", "x" * 63])
def test_a_valid_name_is_accepted(name: str) -> None:
    assert TypeAdapter(Name).validate_python(name) == name


@pytest.mark.parametrize("text", ["", "A", ".a", "-a", "_a", "a b", "a/b", "a@b", "ä", "a\n", "x" * 64])
def test_an_invalid_name_is_rejected(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(text)


@pytest.mark.parametrize("text", ["a" * 63, "a" * 65, "A" * 63 + "-", "g" * 64, "a" * 64 + "\n"])
def test_an_invalid_sha256_is_rejected(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Sha256).validate_python(text)


@pytest.mark.parametrize("text", ["a1" * 32, "A1" * 32, "aB" * 32])
def test_a_sha256_is_written_in_lower_case(text: str) -> None:
    assert TypeAdapter(Sha256).validate_python(text) == text.lower()
