"""`tidepool drift`"""

import pytest

from contract.drift import AliasDrift
from tests.unit.tidepool.cli.conftest import Deployment, example, run

DRIFT = "/v1/models/pet-cnn/aliases/production/drift"


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    deployment.on("GET", DRIFT, example(AliasDrift))
    return deployment


def test_an_alarm_and_its_reason_are_shown(deployment: Deployment) -> None:
    text = run("drift", "pet-cnn", "--days", "7").out

    assert text.startswith(
        "pet-cnn@production, version 1 and 2, 500 predictions since 2026-01-31:\n  ALARM: brightness"
    )
    assert "estimated accuracy: 75.0 %; for the validation images the estimate was " in text
    assert "accuracy on 4 randomly sampled images that people have reviewed: 75.0 % (30.0 % to 95.0 %)" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["brightness", "500", "0.500", "0.062", "0", "the", "images", "are"] in [row[:8] for row in rows]
    assert ["2026-01-31", "500", "75.0", "%", "4", "75.0", "%", "alarm"] in rows
    assert deployment.requests[-1].url.params["days"] == "7"


def test_the_drift_of_another_alias_is_json_for_scripts(deployment: Deployment) -> None:
    deployment.on("GET", DRIFT.replace("production", "staging"), example(AliasDrift, alias="staging"))

    assert run("drift", "pet-cnn@staging", "--json").json == example(AliasDrift, alias="staging")
