"""Predictions that become items of the review queue, through the endpoint and the fast path."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from sqlalchemy import select

from contract.access import DEFAULT_PROJECT, Scope
from contract.artifacts import Bucket, project_of
from contract.catalog import Traffic
from contract.errors import BadModel, DatabaseUnavailable, ObjectsUnavailable
from contract.inference import Answer, Artifact, EncodedImage, Question, Scores, Target
from contract.projects import NewProjectRequest
from contract.sampling import ReviewSampling, SamplingMix
from messaging.answering import BatchAnswers
from messaging.in_memory import MemoryChannel
from services.gateway.app import create_protocol
from services.gateway.dependencies import Backends
from services.gateway.serving.batching.metrics import answered
from services.gateway.serving.predictor import ModelQuery
from services.gateway.serving.sampling import sampler
from services.gateway.serving.sampling.metrics import REASONS
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import ProjectStores, Stores
from services.storage.tables import object_references, review_items
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.support.publication import publish
from tests.unit.gateway.fast_path.serving import no_app, serving, warm

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model", "fresh_cache")]

PREDICT = "/v1/models/pet-cnn/predict?alias=production"
PNG = {"Content-Type": "image/png"}
LARGE = b"large" * 300
DOUBTFUL = ReviewSampling(mix=SamplingMix(margin=1, random=0, disagreement=0))
RANDOM = ReviewSampling(mix=SamplingMix(margin=0, random=1, disagreement=0))


def classify(target: Target, questions: tuple[Question, ...]) -> BatchAnswers:
    """Answer as a replica: the first version is unsure of a cat, others of a dog; a copy is the file in capitals."""

    def answer(question: Question) -> Answer:
        image = question.payload
        assert isinstance(image, EncodedImage)
        best = (("cat", 0.6), ("dog", 0.4)) if target.version == 1 else (("dog", 0.6), ("cat", 0.4))
        copy = image.file.upper() * (1000 if image.file.startswith(LARGE) else 1)
        return Scores(best[: image.top_k], 0.2, 0.673, copy if image.copy else b"")

    return BatchAnswers([answer(question) for question in questions], 1.5, "CPUExecutionProvider", 64)


def before_copies(channel: MemoryChannel, act: Callable[[], None]) -> None:
    """Let replicas do something before they make a copy."""

    def respond(target: Target, questions: tuple[Question, ...]) -> BatchAnswers:
        if any(isinstance(question.payload, EncodedImage) and question.payload.copy for question in questions):
            act()
        return classify(target, questions)

    channel.respond = respond


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "PAUSE_S", 0.0)


@pytest.fixture
def channel() -> MemoryChannel:
    return MemoryChannel(classify)


@pytest.fixture
def project(stores: Stores, model: object) -> ProjectStores:
    """A project with an alias."""
    project = stores.of(DEFAULT_PROJECT)
    project.models.set_alias("pet-cnn", "production", 1)
    return project


@pytest.fixture
def dropped() -> Callable[[str], float]:
    """Return how many samples were dropped in this test for a reason."""

    def count(reason: str) -> float:
        return REGISTRY.get_sample_value("tidepool_review_samples_dropped_total", {"reason": reason}) or 0

    before = {reason: count(reason) for reason in REASONS}
    return lambda reason: count(reason) - before[reason]


def items(stores: Stores) -> list[dict[str, Any]]:
    """The rows of the queue, in the order of their images."""
    with stores.database.read() as connection:
        rows = connection.execute(select(review_items)).mappings().all()
    return sorted(map(dict, rows), key=lambda row: str(row["prediction"]))


async def predict(client: httpx.AsyncClient, backends: Backends, *images: bytes, **headers: str) -> None:
    """Send images; before the first, wait until the gateway knows the counters."""
    if not backends.predictor.sampler._states:
        project = {"Tidepool-Project": headers["Tidepool_Project"]} if "Tidepool_Project" in headers else {}
        await client.post(PREDICT, content=b"first", headers=PNG | project)
        await asyncio.gather(*backends.predictor._shadows._copies)
        await backends.predictor.sampler.idle()
    for number, image in enumerate(images):
        named = {
            "X-Request-ID": f"request-{number}",
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        assert (await client.post(PREDICT, content=image, headers=PNG | named)).status_code == 200
    await backends.predictor.sampler.idle()


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

    async def until(condition: Callable[[], bool]) -> None:
        for _ in range(500):
            if condition():
                return
            await asyncio.sleep(0.01)
        pytest.fail("it did not become true")

    def seen() -> int:
        return project.sampling.get("pet-cnn", "production").today.seen

    await predict(client, backends, b"one", b"two")
    await until(lambda: seen() == 3)

    # also after an outage
    with monkeypatch.context() as outage:
        outage.setattr(stores.database, "write", fail)
        await predict(client, backends, b"three")
        await asyncio.sleep(0.2)
    await until(lambda: seen() == 4)

    # but no longer once the alias is gone
    await predict(client, backends, b"four")
    project.models.delete_alias("pet-cnn", "production")
    (state,) = backends.predictor.sampler._states.values()
    await until(lambda: state.timer is None and not state.syncing)


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


async def test_copies_of_an_image_are_taken_once(
    client: httpx.AsyncClient,
    backends: Backends,
    stores: Stores,
    project: ProjectStores,
    dropped: Callable[[str], float],
) -> None:
    project.sampling.set("pet-cnn", "production", DOUBTFUL)

    await predict(client, backends, b"one", b"one", b"ONE")  # the last has the same copy

    assert len(items(stores)) == 1
    assert dropped("duplicate") == 2
    assert project.sampling.get("pet-cnn", "production").today.margin == 1


async def test_copies_have_no_more_bytes_than_they_may(
    client: httpx.AsyncClient,
    backends: Backends,
    stores: Stores,
    project: ProjectStores,
    dropped: Callable[[str], float],
) -> None:
    project.sampling.set("pet-cnn", "production", RANDOM.model_copy(update={"max_bytes": 1 << 20}))

    await predict(client, backends, b"small", LARGE)

    assert [item["file"]["size"] for item in items(stores)] == [5]
    assert dropped("bytes") == 1


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


@pytest.mark.parametrize(
    ("error", "reason"), [(ObjectsUnavailable("away"), "store"), (DatabaseUnavailable("away"), "database")]
)
async def test_an_outage_drops_samples_and_no_predictions(
    client: httpx.AsyncClient,
    backends: Backends,
    stores: Stores,
    project: ProjectStores,
    objects: MemoryObjects,
    monkeypatch: pytest.MonkeyPatch,
    dropped: Callable[[str], float],
    error: Exception,
    reason: str,
) -> None:
    project.sampling.set("pet-cnn", "production", DOUBTFUL)
    await predict(client, backends, b"before")

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as outage:
        if reason == "store":
            outage.setattr(objects, "put", fail)
        else:
            outage.setattr(stores.database, "write", fail)
        await predict(client, backends, b"one", b"two")
    assert dropped(reason) == 2

    # and after it, the same images can be sampled
    await predict(client, backends, b"one")
    assert len(items(stores)) == 2
    assert project.sampling.get("pet-cnn", "production").today.margin == 2


async def test_a_replica_that_makes_no_copy_drops_the_sample(
    client: httpx.AsyncClient,
    backends: Backends,
    stores: Stores,
    project: ProjectStores,
    channel: MemoryChannel,
    dropped: Callable[[str], float],
) -> None:
    project.sampling.set("pet-cnn", "production", DOUBTFUL)

    def fail() -> None:
        raise BadModel("it fails now")

    before_copies(channel, fail)
    await predict(client, backends, b"one")

    assert dropped("copy") == 1
    assert items(stores) == []


async def test_images_that_wait_while_sampling_is_turned_off_are_dropped(
    client: httpx.AsyncClient,
    backends: Backends,
    stores: Stores,
    project: ProjectStores,
    channel: MemoryChannel,
    dropped: Callable[[str], float],
) -> None:
    project.sampling.set("pet-cnn", "production", DOUBTFUL)

    before_copies(channel, lambda: project.sampling.stop("pet-cnn", "production"))
    await predict(client, backends, b"one")

    assert dropped("off") == 1
    assert items(stores) == []


async def test_a_full_queue_takes_no_more(
    client: httpx.AsyncClient,
    backends: Backends,
    stores: Stores,
    project: ProjectStores,
    monkeypatch: pytest.MonkeyPatch,
    dropped: Callable[[str], float],
) -> None:
    project.sampling.set("pet-cnn", "production", DOUBTFUL)
    monkeypatch.setattr(sampler, "MOST_BYTES", 4)

    await predict(client, backends, b"large image", b"one")

    assert dropped("busy") == 1
    assert len(items(stores)) == 1


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
