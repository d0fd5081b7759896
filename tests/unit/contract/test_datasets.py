"""The shares of a split."""

from typing import Any

import pytest
from pydantic import ValidationError

from contract.datasets import SplitSpec


@pytest.mark.parametrize(
    "shares",
    [
        {},
        {"train": 1, "val": 0, "test": 0},
        {"train": 0.7, "val": 0.2, "test": 0.1},
        {"train": 0.3333333, "val": 0.3333333, "test": 0.3333333},
    ],
    ids=str,
)
def test_shares_that_add_up_to_one(shares: dict[str, float]) -> None:
    split = SplitSpec.model_validate(shares)

    assert split.train + split.val + split.test == pytest.approx(1)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"train": 0.8, "val": 0.1, "test": 0.2}, "add up to 1"),
        ({"train": 0.5}, "add up to 1"),
        ({"train": 0, "val": 0.5, "test": 0.5}, "over 0"),
        ({"train": 1.5, "val": -0.5, "test": 0}, "less than or equal to 1"),
        ({"seed": 2**32}, "seed"),
        ({"seed": 0.5}, "seed"),
    ],
    ids=str,
)
def test_an_invalid_split_spec_is_rejected(fault: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        SplitSpec.model_validate(fault)
