"""The page of a pipeline, and the form of a new one."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from contract.access import Role
from contract.errors import Invalid
from contract.jobs import Job
from contract.pipelines import Gate, PipelineRequest
from services.gateway.console.screens.pipelines import DEFAULTS, pipeline_of
from services.storage.screens.retraining import Target
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, PREPROCESS_REQUEST
from tests.support.publication import publish

TARGET = Target(model="pet-cnn", alias="production", dataset="pets")


@pytest.mark.parametrize("text", ["inf", "nan", "1e400", "many"])
@pytest.mark.parametrize(("field", "name"), [("labels", "new labels"), ("better_by", "better by")])
def test_a_number_must_be_one(text: str, field: str, name: str) -> None:
    with pytest.raises(Invalid, match=f"{name} must be a number"):
        pipeline_of(DEFAULTS | {field: text}, TARGET)


def test_defaults_are_a_pipeline() -> None:
    assert pipeline_of(DEFAULTS, TARGET).when.labels == 200


async def shown(app: FastAPI, stores: Stores, **fields: Any) -> str:
    """The page of a new pipeline, whose champion pet-cnn@1 is right on half of two test images."""
    own = stores.of("default")
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST)
    own.models.set_alias("pet-cnn", "production", 1)
    own.pipelines.create(PipelineRequest(name="nightly", model="pet-cnn", dataset="pets", **fields))
    session = stores.sessions.create(stores.keys.create("ada", Role.VIEWER).id)
    headers = {"Cookie": f"tidepool={session}", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://tidepool") as client:
        answer = await client.get("/pipelines/nightly", headers=headers)
    assert answer.status_code == 200
    return answer.text


@pytest.mark.anyio
async def test_the_page_warns_if_no_candidate_can_pass(app: FastAPI, stores: Stores, model: Job) -> None:
    page = await shown(app, stores)

    assert "With 2 test images and a champion at 50 %, no candidate can pass; about " in page


@pytest.mark.anyio
async def test_the_page_has_the_margins_of_the_gate_in_percentage_points(
    app: FastAPI, stores: Stores, model: Job
) -> None:
    page = await shown(app, stores, gate=Gate(better_by=0.01, confidence=0.999))

    assert "better by 1 percentage point on the same test images, with 99.9 % confidence" in page
    assert "no class falls by more than 5 percentage points" in page


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("train", "start"),
    [
        ({}, "continues the training of the version"),
        ({"init_from": "lite0"}, 'from <span class="mono">lite0</span>, which is compared with the version'),
        ({"method": "scratch"}, "from scratch, which is compared with the version"),
    ],
)
async def test_the_page_says_what_a_training_starts_from(
    app: FastAPI, stores: Stores, model: Job, train: dict[str, Any], start: str
) -> None:
    assert start in await shown(app, stores, train=train)
