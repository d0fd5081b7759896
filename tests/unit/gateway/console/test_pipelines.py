"""The form of a new pipeline."""

import pytest

from contract.errors import Invalid
from services.gateway.console.screens.pipelines import DEFAULTS, pipeline_of
from services.storage.screens.retraining import Target

TARGET = Target(model="pet-cnn", alias="production", dataset="pets")


@pytest.mark.parametrize("text", ["inf", "nan", "1e400", "many"])
@pytest.mark.parametrize(("field", "name"), [("labels", "new labels"), ("better_by", "better by")])
def test_a_number_must_be_one(text: str, field: str, name: str) -> None:
    with pytest.raises(Invalid, match=f"{name} must be a number"):
        pipeline_of(DEFAULTS | {field: text}, TARGET)


def test_defaults_are_a_pipeline() -> None:
    assert pipeline_of(DEFAULTS, TARGET).when.labels == 200
