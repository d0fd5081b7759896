"""Metrics by model version have a bounded number of time series."""

import re

import pytest

from contract.base import NAME_PATTERN
from messaging.version_labels import OTHER, VersionLabels


def test_later_versions_share_a_label_and_earlier_ones_keep_theirs() -> None:
    labels = VersionLabels(most=2)
    first, second = labels.of("cnn", 1), labels.of("lab/cnn", 1)

    assert (first, second) == (("cnn", "1"), ("lab/cnn", "1"))
    assert {labels.of(f"cnn-{number}", number) for number in range(100)} == {(OTHER, "")}
    assert (labels.of("cnn", 1), labels.of("lab/cnn", 1)) == (first, second)


@pytest.mark.parametrize("name", [OTHER, f"lab/{OTHER}"])
def test_no_model_has_the_shared_label(name: str) -> None:
    assert not re.fullmatch(NAME_PATTERN, name.rpartition("/")[2])
