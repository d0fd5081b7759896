"""What gRPC calls can make the gateway hold before, and after, their key is checked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from fastapi import FastAPI

from contract.access import Scope
from services.gateway.dependencies import Backends
from services.gateway.edge import guesses
from services.gateway.edge.guesses import BURST
from services.gateway.oip.grpc import serving_grpc
from services.gateway.oip.proto import inference_pb2 as messages
from services.gateway.settings import GatewaySettings
from services.storage.access.keys import new_token
from services.storage.stores import Stores
from tests.support.servers import free_port
from tests.unit.gateway.backends import make_backends

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model")]

SERVICE = "/inference.GRPCInferenceService/"
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


@pytest.fixture
def backends(app: FastAPI, stores: Stores) -> Backends:
    settings = GatewaySettings(grpc_port=free_port(), max_grpc_calls=3, max_connections=3)
    return make_backends(stores, app.state.backends.predictor.inference, settings)


@pytest.fixture
def metadata(stores: Stores) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {stores.keys.create('test', frozenset({Scope.ADMIN})).secret}"),)


@asynccontextmanager
async def connected(backends: Backends) -> AsyncIterator[grpc.aio.Channel]:
    address = f"{backends.settings.host}:{backends.settings.grpc_port}"
    async with grpc.aio.insecure_channel(address, options=OWN_CONNECTION) as channel:
        yield channel


@pytest.fixture
async def line(backends: Backends) -> AsyncIterator[grpc.aio.Channel]:
    async with serving_grpc(backends), connected(backends) as channel:
        yield channel


def without_message(channel: grpc.aio.Channel, method: str, response: Any, metadata: Any = ()) -> Any:
    """Begin a call of which only the headers are sent."""
    call = channel.stream_unary(SERVICE + method, response_deserializer=response.FromString)
    return call(metadata=metadata)


async def status_of(call: Any) -> grpc.StatusCode:
    try:
        await asyncio.wait_for(call, 10)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("method", ["ModelInfer", "ModelMetadata", "RepositoryIndex", "ServerMetadata"])
@pytest.mark.parametrize("header", [None, "Bearer", f"Bearer tp_0123abcd_{'A' * 43}"])
async def test_the_key_is_checked_before_a_message_is_received(
    line: grpc.aio.Channel, method: str, header: str | None
) -> None:
    metadata = () if header is None else (("authorization", header),)

    call = without_message(line, method, messages.ModelInferResponse, metadata)

    assert await status_of(call) == grpc.StatusCode.UNAUTHENTICATED


async def test_a_key_bound_to_an_origin_is_for_its_pages_only(line: grpc.aio.Channel, stores: Stores) -> None:
    secret = stores.keys.create("page", frozenset({Scope.READ}), origins=("https://app.example",)).secret
    index = line.unary_unary(SERVICE + "RepositoryIndex")
    codes = [
        await status_of(index(b"", metadata=(("authorization", f"Bearer {secret}"), *origin)))
        for origin in ((), (("origin", "https://app.example"),), (("origin", "https://evil.example"),))
    ]

    assert codes == [grpc.StatusCode.OK, grpc.StatusCode.OK, grpc.StatusCode.PERMISSION_DENIED]


@pytest.mark.parametrize("message", [b"\xff", b"\x2a\x00" * (1 << 18)], ids=["junk", "many empty tensors"])
async def test_messages_that_are_malformed_or_costly_are_refused(
    line: grpc.aio.Channel, metadata: Any, message: bytes
) -> None:
    infer = line.unary_unary(SERVICE + "ModelInfer")

    assert await status_of(infer(message, metadata=metadata)) == grpc.StatusCode.INVALID_ARGUMENT


async def test_health_receives_no_message(line: grpc.aio.Channel) -> None:
    live = await asyncio.wait_for(without_message(line, "ServerLive", messages.ServerLiveResponse), 10)
    ready = await asyncio.wait_for(without_message(line, "ServerReady", messages.ServerReadyResponse), 10)

    assert (live.live, ready.ready) == (True, True)


async def test_unknown_keys_are_limited(line: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "PER_S", 0.0)
    call = line.unary_unary(SERVICE + "RepositoryIndex")
    codes = [
        await status_of(call(b"", metadata=(("authorization", f"Bearer {new_token()}"),))) for _ in range(BURST + 1)
    ]

    assert set(codes[:BURST]) == {grpc.StatusCode.UNAUTHENTICATED}
    assert codes[-1] == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_calls_at_once_are_limited(line: grpc.aio.Channel, metadata: Any) -> None:
    calls = [without_message(line, "ModelInfer", messages.ModelInferResponse, metadata) for _ in range(3)]
    for call in calls:
        await call.wait_for_connection()
    index = line.unary_unary(SERVICE + "RepositoryIndex")
    await asyncio.sleep(0.2)

    assert await status_of(index(b"", metadata=metadata)) == grpc.StatusCode.RESOURCE_EXHAUSTED

    for call in calls:
        call.cancel()
    async with asyncio.timeout(10):
        while await status_of(index(b"", metadata=metadata)) != grpc.StatusCode.OK:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_connections_are_limited(backends: Backends, line: grpc.aio.Channel, metadata: Any) -> None:
    async def list_models(other: grpc.aio.Channel) -> grpc.StatusCode:
        return await status_of(other.unary_unary(SERVICE + "RepositoryIndex")(b"", metadata=metadata, timeout=2))

    assert await list_models(line) == grpc.StatusCode.OK
    async with connected(backends) as second, connected(backends) as third, connected(backends) as fourth:
        assert {await list_models(second), await list_models(third)} == {grpc.StatusCode.OK}
        assert await list_models(fourth) in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


async def test_large_metadata_is_refused(line: grpc.aio.Channel, metadata: Any) -> None:
    call = line.unary_unary(SERVICE + "RepositoryIndex")

    assert await status_of(call(b"", metadata=(*metadata, ("x", "x" * 10_000)))) == grpc.StatusCode.OK
    large = await status_of(call(b"", metadata=(*metadata, ("x", "x" * 40_000))))
    assert large == grpc.StatusCode.RESOURCE_EXHAUSTED
