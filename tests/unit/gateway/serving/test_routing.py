"""Routing of requests to versions, and copies to shadows."""

import random
from collections import Counter

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.catalog import Traffic
from contract.inference import Target
from messaging.answering import BatchAnswers
from messaging.in_memory import MemoryChannel
from services.storage.stores import Stores
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.support.publication import publish

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model")]

PREDICT = "/v1/models/pet-cnn/predict?alias=production"
PNG = {"Content-Type": "image/png"}


@pytest.fixture
def second(stores: Stores) -> None:
    """A second version of the model."""
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)


@pytest.mark.usefixtures("second")
async def test_requests_are_split_by_percentages(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.of(DEFAULT_PROJECT).models.split_alias("pet-cnn", "production", Traffic(versions={1: 90, 2: 10}))
    random.seed(1)

    answers = [(await client.post(PREDICT, content=b"image", headers=PNG)).json() for _ in range(300)]

    counts = Counter(answer["version"] for answer in answers)
    assert 250 <= counts[1] <= 290
    assert counts[1] + counts[2] == 300


@pytest.mark.usefixtures("second")
async def test_the_shadow_gets_a_copy_and_its_answer_is_dropped(
    client: httpx.AsyncClient, stores: Stores, channel: MemoryChannel
) -> None:
    stores.of(DEFAULT_PROJECT).models.split_alias("pet-cnn", "production", Traffic(versions={1: 100}, shadow=2))

    response = await client.post(PREDICT, content=b"image", headers=PNG)

    assert response.json()["version"] == 1
    assert sorted(batch.target.version for batch in channel.sent) == [1, 2]
    assert len({batch.questions[0].payload for batch in channel.sent}) == 1


@pytest.mark.usefixtures("second")
async def test_a_failing_shadow_does_not_affect_requests(
    client: httpx.AsyncClient, stores: Stores, channel: MemoryChannel
) -> None:
    respond = channel.respond

    def unless_shadow(target: object, questions: object) -> BatchAnswers:
        if isinstance(target, Target) and target.version == 2:
            raise ZeroDivisionError
        return respond(target, questions)  # type: ignore[arg-type]

    channel.respond = unless_shadow
    stores.of(DEFAULT_PROJECT).models.split_alias("pet-cnn", "production", Traffic(versions={1: 100}, shadow=2))

    statuses = {(await client.post(PREDICT, content=b"image", headers=PNG)).status_code for _ in range(5)}

    assert statuses == {200}


@pytest.mark.usefixtures("second")
async def test_a_moved_alias_applies_immediately(client: httpx.AsyncClient) -> None:
    answers = []
    for version in (1, 2, 1):
        await client.put("/v1/models/pet-cnn/aliases/production", json={"version": version})
        answers.append((await client.post(PREDICT, content=b"image", headers=PNG)).json()["version"])

    assert answers == [1, 2, 1]


async def test_a_shadow_that_takes_no_images_does_not_affect_requests(
    client: httpx.AsyncClient, stores: Stores, channel: MemoryChannel
) -> None:
    # given a shadow whose manifest has no preprocessing
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST.model_copy(update={"preprocessing": None}))
    stores.of(DEFAULT_PROJECT).models.split_alias("pet-cnn", "production", Traffic(versions={1: 100}, shadow=2))

    response = await client.post(PREDICT, content=b"image", headers=PNG)

    assert response.json()["version"] == 1
    assert [batch.target.version for batch in channel.sent] == [1]
