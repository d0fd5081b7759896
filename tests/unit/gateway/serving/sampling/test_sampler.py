"""Predictions that become items of the review queue, through the endpoint and the fast path."""

import asyncio
from collections import Counter
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from contract.access import DEFAULT_PROJECT, Scope
from contract.artifacts import Bucket, project_of
from contract.catalog import Traffic
from contract.errors import DatabaseUnavailable
from contract.inference import Artifact, EncodedImage, Scores, Target
from contract.projects import NewProjectRequest
from contract.sampling import ReviewSampling, SamplingMix
from messaging.in_memory import MemoryChannel
from services.gateway.app import create_protocol
from services.gateway.dependencies import Backends
from services.gateway.serving.batching.metrics import answered
from services.gateway.serving.predictor import ModelQuery
from services.gateway.serving.sampling import sampler
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import ProjectStores, Stores
from services.storage.tables import object_references
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.support.publication import publish
from tests.unit.gateway.fast_path.serving import no_app, serving, warm
from tests.unit.gateway.serving.sampling.steps import (
    DOUBTFUL,
    PNG,
    PREDICT,
    items,
    predict,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model", "fresh_cache")]


async def test_nothing_is_sampled_until_it_is_turned_on(
    client: httpx.AsyncClient, backends: Backends, stores: Stores, project: ProjectStores, channel: MemoryChannel
) -> None:
    await predict(client, backends, b"one")

    assert items(stores) == []
    assert len(channel.sent) == 2  # no copy was asked for


async def test_a_doubtful_image_becomes_an_item_with_a_copy(
    client: httpx.AsyncClient, backends: Backends, stores: Stores, project: ProjectStores, objects: MemoryObjects
) -> None:
    project.sampling.set("pet-cnn", "production", DOUBTFUL.model_copy(update={"votes": 2}))

    await predict(client, backends, b"one")

    (item,) = items(stores)
    assert (item["source"], item["state"], item["votes"]) == ("margin", "open", 2)
    assert (item["model"], item["alias"], item["model_version"]) == ("pet-cnn", "production", 1)
    assert item["prediction"] == "request-0"
    assert item["guess"] == [["cat", 0.6], ["dog", 0.4]]  # although the client asked for one class
    assert (item["margin"], item["entropy"], item["priority"]) == pytest.approx((0.2, 0.673, 0.8))
    assert (item["expires_at"] - item["created_at"]).days in (29, 30)
    file = item["file"]
    assert objects.content[Bucket.UPLOADS, file["key"]] == b"ONE"
    assert file["sha256"] == item["sha256"] != item["original_sha256"]
    assert project_of(Bucket.UPLOADS, file["key"]) == DEFAULT_PROJECT
    with stores.database.read() as connection:
        assert connection.execute(select(object_references.c.key)).scalars().all().count(file["key"]) == 1
    assert project.sampling.get("pet-cnn", "production").stored_bytes == 3


async def test_copies_for_reviews_are_no_requests_of_a_version(
    client: httpx.AsyncClient, backends: Backends, stores: Stores, project: ProjectStores
) -> None:
    def requests() -> Counter[int]:
        return Counter({version: one.requests for version, one in answered("pet-cnn").items()})

    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    project.models.split_alias("pet-cnn", "production", Traffic(versions={1: 100}, shadow=2))
    project.sampling.set("pet-cnn", "production", DOUBTFUL)
    before = requests()

    await predict(client, backends, b"one", b"two")  # and a first request
    await asyncio.gather(*backends.predictor._shadows._copies)

    assert len(items(stores)) == 2
    assert requests() - before == {1: 3, 2: 3}


async def test_what_is_left_to_count_is_counted_without_another_request(
    client: httpx.AsyncClient,
    backends: Backends,
    stores: Stores,
    project: ProjectStores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampler, "SYNC_S", 0.05)
    project.sampling.set("pet-cnn", "production", DOUBTFUL)
    away = DatabaseUnavailable("away")

    def fail(*_: object) -> None:
        raise away

    async def becomes(condition: Callable[[], bool]) -> bool:
        for _ in range(500):
            if condition():
                return True
            await asyncio.sleep(0.01)
        return False

    def seen() -> int:
        return project.sampling.get("pet-cnn", "production").today.seen

    await predict(client, backends, b"one", b"two")
    assert await becomes(lambda: seen() == 3)

    # also after an outage
    with monkeypatch.context() as outage:
        outage.setattr(stores.database, "write", fail)
        await predict(client, backends, b"three")
        await asyncio.sleep(0.2)
    assert await becomes(lambda: seen() == 4)

    # but no longer once the alias is gone
    await predict(client, backends, b"four")
    project.models.delete_alias("pet-cnn", "production")
    (state,) = backends.predictor.sampler._states.values()
    assert await becomes(lambda: state.timer is None and not state.syncing)


async def test_a_copy_is_made_in_a_batch_that_no_other_request_shares(
    client: httpx.AsyncClient, backends: Backends, project: ProjectStores, channel: MemoryChannel
) -> None:
    project.sampling.set("pet-cnn", "production", DOUBTFUL)
    await predict(client, backends, b"before")
    channel.held = True  # until the copy and a prediction wait at the same time
    channel.sent.clear()
    (state,) = backends.predictor.sampler._states.values()
    target = Target("pet-cnn", 1, Artifact("jobs", "model.onnx", 1, "0" * 64))
    scores = Scores((("cat", 0.6),), 0.2, 0.7)
    backends.predictor.sampler.offer(state.plan, target, b"one", "one", scores)
    prediction = asyncio.create_task(backends.predictor.inference.ask(target, EncodedImage(b"two"), 5))
    await asyncio.sleep(0.01)
    await asyncio.gather(*map(channel.answer, channel.sent))

    copies = [[question.payload.copy for question in batch.questions] for batch in channel.sent]  # type: ignore[union-attr]
    assert sorted(copies) == [[False], [True]]
    await prediction
    await backends.predictor.sampler.idle()


async def test_the_fast_path_and_forms_are_sampled_and_the_header_opts_out(
    client: httpx.AsyncClient, backends: Backends, stores: Stores, project: ProjectStores
) -> None:
    project.sampling.set("pet-cnn", "production", DOUBTFUL)
    secret = stores.keys.create("test", frozenset({Scope.PREDICT})).secret
    await warm(backends, secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn", alias="production"))

    async with serving(no_app, create_protocol(backends)) as fast:
        fast.headers["Authorization"] = f"Bearer {secret}"
        await predict(fast, backends, b"fast")
        await predict(fast, backends, b"secret fast", X_Tidepool_No_Review="1")
    await predict(client, backends, b"secret", X_Tidepool_No_Review="true")
    parts = [("image", (str(number), image, "image/png")) for number, image in enumerate((b"three", b"four"))]
    await client.post(PREDICT, files=parts, headers={"X-Request-ID": "form"})
    await backends.predictor.sampler.idle()

    assert [item["prediction"] for item in items(stores)] == ["form-0", "form-1", "request-0"]


async def test_a_header_that_is_neither_yes_nor_no_is_refused(client: httpx.AsyncClient, app: FastAPI) -> None:
    response = await client.post(PREDICT, content=b"x", headers=PNG | {"X-Tidepool-No-Review": "perhaps"})

    assert response.status_code == 422


async def test_requests_that_do_not_name_the_alias_are_not_sampled(
    client: httpx.AsyncClient, backends: Backends, stores: Stores, project: ProjectStores
) -> None:
    project.sampling.set("pet-cnn", "production", DOUBTFUL)

    for query in ("", "?version=1"):
        await client.post(f"/v1/models/pet-cnn/predict{query}", content=b"image", headers=PNG)
    await backends.predictor.sampler.idle()

    assert items(stores) == []


async def test_disagreements_with_the_shadow_are_sampled(
    client: httpx.AsyncClient, backends: Backends, stores: Stores, project: ProjectStores
) -> None:
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    project.models.split_alias("pet-cnn", "production", Traffic(versions={1: 100}, shadow=2))
    mix = SamplingMix(margin=0, random=0, disagreement=1)
    project.sampling.set("pet-cnn", "production", ReviewSampling(mix=mix))

    await predict(client, backends, b"one")
    await asyncio.gather(*backends.predictor._shadows._copies)  # the shadow may answer last
    await backends.predictor.sampler.idle()

    assert [item["source"] for item in items(stores)] == ["disagreement"]


async def test_the_samples_of_projects_are_apart(
    client: httpx.AsyncClient, backends: Backends, stores: Stores, project: ProjectStores
) -> None:
    stores.projects.create(NewProjectRequest(name="lab"))
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST, "lab")
    lab = stores.of("lab")
    lab.models.set_alias("pet-cnn", "production", 1)
    project.sampling.set("pet-cnn", "production", DOUBTFUL)
    lab.sampling.set("pet-cnn", "production", DOUBTFUL)

    await predict(client, backends, b"one", Tidepool_Project="lab")

    (item,) = items(stores)
    assert item["project"] == "lab"
    assert project_of(Bucket.UPLOADS, item["file"]["key"]) == "lab"
    assert lab.sampling.get("pet-cnn", "production").today.margin == 1
    assert project.sampling.get("pet-cnn", "production").today.margin == 0
