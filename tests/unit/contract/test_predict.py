"""Specs of batch predictions."""

from typing import Any

import pytest
from pydantic import ValidationError

from contract.datasets import Split
from contract.kinds.predict import PredictSpec, SplitInput
from contract.references import UploadSource


def spec(**change: Any) -> dict[str, Any]:
    return {"model": "pet-cnn@production", "input": {"dataset": "pets"}} | change


def test_omitted_fields_have_defaults() -> None:
    parsed = PredictSpec.model_validate(spec())

    assert parsed.input == SplitInput(dataset="pets", split=Split.TEST)
    assert (parsed.top_k, parsed.format) == (1, "jsonl")


@pytest.mark.parametrize("source", [{"upload": "u1"}, UploadSource(upload="u1")], ids=["JSON", "value"])
def test_the_input_may_be_an_upload(source: object) -> None:
    assert PredictSpec.model_validate(spec(input=source)).input == UploadSource(upload="u1")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"input": {}}, "must name a dataset"),
        ({"input": "pets"}, "must name a dataset"),
        ({"input": None}, "must name a dataset"),
        ({"input": {"split": "test"}}, "must name a dataset"),
        ({"input": {"dataset": "pets", "upload": "u1"}}, "upload"),
        ({"input": {"dataset": "pets", "split": "all"}}, "split"),
        ({"input": {"dataset": "Pets"}}, "dataset"),
        ({"model": "pet-cnn@"}, "model"),
        ({"top_k": 0}, "top_k"),
        ({"format": "xlsx"}, "format"),
        ({"extra": 1}, "extra"),
    ],
    ids=str,
)
def test_an_invalid_spec_is_rejected(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        PredictSpec.model_validate(spec(**change))
