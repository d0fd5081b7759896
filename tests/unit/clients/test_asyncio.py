"""The client for asyncio against the real gateway, in this process; the synchronous one is generated from it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from tests.support.images import png
from tests.trust.world import OWNER, make_world
from tests.unit.clients.in_process import end_jobs
from tests.unit.clients.test_uploads import CONTENT, Store
from tidepool_client import AsyncClient, NotFound

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    """A client of a full world; jobs end at the next request."""
    world = make_world(tmp_path / "world", full=True)

    class Transport(httpx.ASGITransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            end_jobs(world.stores)
            return await super().handle_async_request(request)

    with capture_logs():
        async with (
            world.app.router.lifespan_context(world.app),
            AsyncClient("http://tidepool", world.secrets[OWNER], transport=Transport(world.app)) as client,
        ):
            yield client


async def test_a_folder_is_uploaded_a_model_trained_and_an_image_classified(
    client: AsyncClient, tmp_path: Path
) -> None:
    (tmp_path / "animals" / "cat").mkdir(parents=True)
    (tmp_path / "animals" / "cat" / "1.png").write_bytes(png(1))
    sent: list[tuple[int, int]] = []

    job = await client.upload(tmp_path / "animals", on_bytes=lambda done, size: sent.append((done, size)))
    job = await job.wait()
    assert job.result["dataset"] == "animals@1"
    assert sent[-1][0] == sent[-1][1] > 0

    job = await client.train("animals")
    assert [event.data["state"] async for event in job.follow()] == ["queued", "running", "succeeded"]
    assert (await client.predict("animals", png(2))).label == "cat"
    assert len(await client.models.predict_many("animals", [png(2), png(3)])) == 2


async def test_lists_are_asynchronous_iterators(client: AsyncClient) -> None:
    assert [dataset.name async for dataset in client.datasets.list()] == ["pets"]
    assert [pool.name async for pool in client.pools.list()] == ["preprocess", "trainer", "inference"]


async def test_an_export_is_downloaded(client: AsyncClient, tmp_path: Path) -> None:
    assert (await client.models.export("pet-cnn@1", tmp_path / "cnn.zip")).read_bytes().startswith(b"PK")


async def test_errors_are_typed(client: AsyncClient) -> None:
    with pytest.raises(NotFound) as caught:
        await client.datasets.get("nothing")
    assert caught.value.code == "not_found"


async def test_a_file_is_sent_to_the_object_store(tmp_path: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(CONTENT)
    store = Store()
    async with AsyncClient("http://tidepool", "tp_key", transport=httpx.MockTransport(store)) as client:
        assert (await client.uploads.send(tmp_path / "pets.zip")).complete
    assert set(store.stored.values()) == {CONTENT}
