"""Validation of traffic, the percentages of requests by version."""

from typing import Any

import pytest
from pydantic import ValidationError

from contract.catalog import Traffic


@pytest.mark.parametrize(("versions", "main"), [({1: 100}, 1), ({1: 10, 2: 90}, 2), ({3: 50, 1: 50}, 3)])
def test_the_main_version_has_the_largest_share(versions: dict[int, int], main: int) -> None:
    assert Traffic(versions=versions).main == main


def test_versions_are_strings_in_json() -> None:
    assert Traffic.model_validate_json('{"versions": {"1": 90, "2": 10}}') == Traffic(versions={1: 90, 2: 10})


@pytest.mark.parametrize(
    "value",
    [
        {"versions": {}},
        {"versions": {1: 99}},
        {"versions": {1: 60, 2: 60}},
        {"versions": {1: 100, 2: 0}},
        {"versions": {1: 150, 2: -50}},
        {"versions": {1: 99.5, 2: 0.5}},
        {"versions": {0: 100}},
        {"versions": {"one": 100}},
        {"versions": {1: 100}, "shadow": 0},
    ],
    ids=str,
)
def test_invalid_traffic_is_rejected(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Traffic.model_validate(value)
