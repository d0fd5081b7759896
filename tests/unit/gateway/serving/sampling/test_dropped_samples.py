"""Samples that are dropped, and why; predictions never are."""

from collections.abc import Callable

import httpx
import pytest

from contract.errors import BadModel, DatabaseUnavailable, ObjectsUnavailable
from messaging.in_memory import MemoryChannel
from services.gateway.dependencies import Backends
from services.gateway.serving.sampling import sampler
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import ProjectStores, Stores
from tests.unit.gateway.serving.sampling.steps import DOUBTFUL, LARGE, RANDOM, before_copies, items, predict

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model", "fresh_cache")]


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


@pytest.mark.parametrize("reason", ["copy", "off"])
async def test_a_sample_that_cannot_be_copied_or_is_no_longer_wanted_is_dropped(
    client: httpx.AsyncClient,
    backends: Backends,
    stores: Stores,
    project: ProjectStores,
    channel: MemoryChannel,
    dropped: Callable[[str], float],
    reason: str,
) -> None:
    project.sampling.set("pet-cnn", "production", DOUBTFUL)

    def before_copy() -> None:
        if reason == "copy":
            raise BadModel("it fails now")
        project.sampling.stop("pet-cnn", "production")

    before_copies(channel, before_copy)
    await predict(client, backends, b"one")

    assert dropped(reason) == 1
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
