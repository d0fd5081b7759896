"""The bytes of request bodies in a gateway are bounded, and the bound heals."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.access import DEFAULT_PROJECT, Scope
from contract.errors import Overloaded
from messaging.in_memory import MemoryChannel
from services.gateway.app import create_app, create_protocol
from services.gateway.dependencies import Backends
from services.gateway.edge import ttl_cache
from services.gateway.edge.byte_budget import FREE, ByteBudget, Hold
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds
from services.gateway.serving.predictor import ModelQuery
from services.storage.stores import Stores
from tests.support.problems import problem
from tests.unit.gateway.backends import SETTINGS, make_backends
from tests.unit.gateway.fast_path.serving import serving, warm

pytestmark = pytest.mark.anyio

PREDICT, VERSIONS = "/v1/models/pet-cnn/predict", "/v1/datasets/pets/versions"
LIMIT = 1_000_000
IMAGE = b"x" * 300_000  # two of them take most of the three quarters that large bodies may take
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.fixture
def backends(stores: Stores, channel: MemoryChannel) -> Backends:
    """Backends with room for a few images and archives."""
    limits = {"body_bytes_in_flight": LIMIT, "upload_bytes_in_flight": LIMIT}
    settings = SETTINGS.model_copy(update=limits | {"max_predict_bytes": LIMIT, "max_upload_bytes": LIMIT})
    return make_backends(stores, Batcher(channel, Bounds(flights=50)), settings)


@pytest.fixture
async def client(backends: Backends, stores: Stores) -> AsyncIterator[httpx.AsyncClient]:
    secret = stores.keys.create("test", frozenset({Scope.ADMIN})).secret
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "image/png"}
    transport = httpx.ASGITransport(create_app(backends))
    async with httpx.AsyncClient(transport=transport, base_url="http://tidepool", headers=headers) as client:
        yield client


@pytest.fixture
async def fast(backends: Backends, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """A client on a socket, whose plain requests take the fast path."""
    monkeypatch.setattr(ttl_cache, "TTL_S", 3600.0)
    secret = stores.keys.create("test", frozenset({Scope.PREDICT})).secret
    await warm(backends, secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))
    async with serving(create_app(backends), create_protocol(backends)) as client:
        client.headers.update({"Authorization": f"Bearer {secret}", "Content-Type": "image/png"})
        yield client


@pytest.fixture(params=["application", "fast path"])
def sender(request: pytest.FixtureRequest, client: httpx.AsyncClient, fast: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client for each way in."""
    return fast if request.param == "fast path" else client


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  polls the test's own state
            await asyncio.sleep(0.001)


@pytest.mark.usefixtures("model")
async def test_images_over_the_budget_are_refused_and_small_ones_answered(
    sender: httpx.AsyncClient, channel: MemoryChannel
) -> None:
    # given a sender whose large images stay unanswered
    channel.held = True
    held = [asyncio.create_task(sender.post(PREDICT, content=IMAGE)) for _ in range(2)]
    await until(lambda: sum(len(batch.questions) for batch in channel.sent) == 2)

    # when another arrives, then it is refused
    response = await sender.post(PREDICT, content=IMAGE)
    problem(response, 503, "overloaded")
    assert int(response.headers["Retry-After"]) > 0

    # and a small image of another client is answered
    channel.held = False
    assert (await sender.post(PREDICT, content=b"small")).status_code == 200

    # and when the large ones have been answered, there is room again
    for batch in channel.sent:
        await channel.answer(batch)
    assert [(await task).status_code for task in held] == [200, 200]
    for _ in range(3):
        assert (await sender.post(PREDICT, content=IMAGE)).status_code == 200


@pytest.mark.usefixtures("model")
async def test_a_body_without_room_is_refused_before_it_is_read(
    client: httpx.AsyncClient, channel: MemoryChannel
) -> None:
    channel.held = True
    tasks = [asyncio.create_task(client.post(PREDICT, content=IMAGE)) for _ in range(2)]
    await until(lambda: sum(len(batch.questions) for batch in channel.sent) == 2)
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            read.append(b"x" * 100_000)
            yield read[-1]

    # when its size is known
    problem(await client.post(PREDICT, content=body(), headers={"Content-Length": "300000"}), 503, "overloaded")
    assert read == []

    # or is not
    problem(await client.post(PREDICT, content=body()), 503, "overloaded")
    assert len(read) == 2
    for task in tasks:
        task.cancel()


@pytest.mark.usefixtures("model")
async def test_clients_that_leave_give_their_bytes_back(
    fast: httpx.AsyncClient, channel: MemoryChannel, backends: Backends
) -> None:
    channel.held = True
    for _ in range(5):
        left = [asyncio.create_task(fast.post(PREDICT, content=IMAGE)) for _ in range(2)]
        await until(lambda: sum(len(batch.questions) for batch in channel.sent) == 2)
        for task in left:
            task.cancel()
        await until(lambda: channel.withdrawn == channel.sent)
        channel.sent.clear()
        channel.withdrawn.clear()

    assert backends.bodies.predictions.take(700_000)


async def test_a_sender_without_a_key_takes_no_room(client: httpx.AsyncClient, backends: Backends) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("the body is read before the key is checked")
        yield b""

    headers = {"Authorization": "Bearer wrong", "Content-Length": "700000"}
    response = await client.post(PREDICT, content=body(), headers=headers)

    problem(response, 401, "unauthenticated")
    assert backends.bodies.predictions.take(700_000)


async def test_uploads_over_the_budget_are_refused(client: httpx.AsyncClient) -> None:
    # given an upload in progress
    end = asyncio.Event()
    started = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="archive"; filename="a.zip"\r\n\r\n'
        started.set()
        await end.wait()
        yield b"PK\r\n--x--\r\n"

    first = asyncio.create_task(client.post(VERSIONS, content=slow(), headers=FORM | {"Content-Length": "500000"}))
    await started.wait()

    # when another has no room beside it
    response = await client.post(VERSIONS, content=b"x" * 500_000, headers=FORM)

    problem(response, 503, "overloaded")
    end.set()
    assert (await first).status_code == 202
    problem(await client.post(VERSIONS, content=b"x" * 500_000, headers=FORM), 400, "malformed")  # it was read


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1200)), max_size=60))
def test_a_budget_is_never_exceeded_and_large_sizes_leave_a_quarter(steps: list[tuple[bool, int]]) -> None:
    budget = ByteBudget(1000)
    held: list[int] = []
    for take, number in steps:
        if take:
            if budget.take(number):
                held.append(number)
            else:
                assert sum(held) + number > 1000 or sum(size for size in held if size > 3) + number > 750
        elif held:
            budget.give(held.pop(number % len(held)))
        assert sum(held) <= 1000
        assert sum(size for size in held if size > 3) <= 750

    for size in held:
        budget.give(size)
    assert budget.take(750)
    assert all(budget.take(1) for _ in range(250))
    assert not budget.take(1)


@given(st.lists(st.integers(0, 4 * FREE), max_size=10))
def test_a_hold_grows_and_is_given_back(sizes: list[int]) -> None:
    budget = ByteBudget(4 * FREE)
    hold = Hold(budget)
    for size in sizes:
        try:
            hold.grow_to(size)
        except Overloaded:
            assert size > budget.largest

    hold.release()
    hold.release()

    assert budget.take(3 * FREE)
