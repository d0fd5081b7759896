"""Every interface of the gateway refuses the same keys, with the same status and message."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc.aio
import pytest
from fastapi import FastAPI
from sqlalchemy import update
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contract.access import DEFAULT_PROJECT, Role, Scope
from contract.errors import Forbidden, NotFound
from contract.projects import NewProjectRequest
from services.gateway.app import create_app, create_protocol
from services.gateway.dependencies import Backends
from services.gateway.oip.grpc import serving_grpc
from services.gateway.oip.proto import inference_pb2 as messages
from services.gateway.oip.proto.inference_pb2_grpc import GRPCInferenceServiceStub
from services.gateway.serving.predictor import ModelQuery
from services.gateway.settings import GatewaySettings
from services.storage import tables
from services.storage.stores import Stores
from tests.support.servers import free_port
from tests.unit.gateway.backends import make_backends
from tests.unit.gateway.fast_path.serving import serving, warm

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model")]

PREDICT = "/v1/models/pet-cnn/predict"
INFER = "/v2/models/pet-cnn/infer"
NO_KEY = (401, "send an API key: Authorization: Bearer <key>")
UNKNOWN_KEY = (401, "the API key is not valid")
NO_SCOPE = (403, "this key lacks the scope predict; use one that has it")

Refusal = tuple[int, str]


@pytest.fixture
def backends(app: FastAPI, stores: Stores) -> Backends:
    inference = app.state.backends.predictor.inference
    return make_backends(stores, inference, GatewaySettings(grpc_port=free_port()))


async def over_http(backends: Backends, header: str | None, path: str, fast_path: bool) -> Refusal:
    headers = {"Content-Type": "image/png"} | ({} if header is None else {"Authorization": header})
    protocol = create_protocol(backends) if fast_path else HttpToolsProtocol
    async with serving(create_app(backends), protocol) as client:
        response = await client.post(path, content=b"image", headers=headers)
    answer = response.json()
    return response.status_code, answer["error"] if path == INFER else answer["detail"]


async def over_rest(backends: Backends, header: str | None) -> Refusal:
    return await over_http(backends, header, PREDICT, fast_path=False)


async def over_the_fast_path(backends: Backends, header: str | None) -> Refusal:
    return await over_http(backends, header, PREDICT, fast_path=True)


async def over_oip_http(backends: Backends, header: str | None) -> Refusal:
    return await over_http(backends, header, INFER, fast_path=False)


async def over_the_oip_fast_path(backends: Backends, header: str | None) -> Refusal:
    return await over_http(backends, header, INFER, fast_path=True)


async def over_grpc(backends: Backends, header: str | None) -> Refusal:
    statuses = {grpc.StatusCode.UNAUTHENTICATED: 401, grpc.StatusCode.PERMISSION_DENIED: 403}
    address = f"{backends.settings.host}:{backends.settings.grpc_port}"
    async with serving_grpc(backends), grpc.aio.insecure_channel(address) as channel:
        infer = GRPCInferenceServiceStub(channel).ModelInfer  # type: ignore[no-untyped-call]
        metadata = () if header is None else (("authorization", header),)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await infer(messages.ModelInferRequest(model_name="pet-cnn"), metadata=metadata)
    return statuses[caught.value.code()], str(caught.value.details())


@pytest.mark.parametrize("interface", [over_rest, over_the_fast_path, over_oip_http, over_the_oip_fast_path, over_grpc])
@pytest.mark.parametrize(
    ("header", "refusal"),
    [
        (None, NO_KEY),
        ("Bearer", NO_KEY),
        ("Basic dGVzdA==", NO_KEY),
        ("Bearer wrong", UNKNOWN_KEY),
        ("bearer wrong", UNKNOWN_KEY),
        (f"Bearer tp_0123abcd_{'A' * 43}", UNKNOWN_KEY),
        ("Bearer {reader}", NO_SCOPE),
        ("BEARER {reader}", NO_SCOPE),
    ],
)
async def test_every_interface_refuses_a_key_with_the_same_error(
    backends: Backends,
    stores: Stores,
    interface: Callable[[Backends, str | None], Awaitable[Refusal]],
    header: str | None,
    refusal: Refusal,
) -> None:
    reader = stores.keys.create("reader", frozenset({Scope.READ})).secret
    await warm(backends, reader, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))

    assert await interface(backends, header and header.replace("{reader}", reader)) == refusal


async def test_a_caller_has_the_id_and_the_scopes_of_its_key(backends: Backends, stores: Stores) -> None:
    key = stores.keys.create("reader", frozenset({Scope.READ}))

    caller = await backends.access.authenticate(f"Bearer {key.secret}".encode())

    assert (caller.key_id, caller.scopes, caller.project) == (key.id, (Scope.READ,), DEFAULT_PROJECT)
    assert (caller.allows(Scope.READ), caller.allows(Scope.WRITE)) == (True, False)
    assert backends.access.peek(f"bearer {key.secret}".encode(), Scope.READ) is caller
    assert backends.access.peek(f"Bearer {key.secret}".encode(), Scope.WRITE) is None


async def test_only_a_key_of_the_instances_admin_names_another_project(backends: Backends, stores: Stores) -> None:
    stores.projects.create(NewProjectRequest(name="lab"))
    admin, root = (stores.keys.create("test", role).secret for role in (Role.ADMIN, Role.INSTANCE_ADMIN))

    assert (await backends.access.authenticate(f"Bearer {root}", project="lab")).project == "lab"
    assert (await backends.access.authenticate(f"Bearer {admin}", project=DEFAULT_PROJECT)).project == DEFAULT_PROJECT
    for name in ("lab", "none"):
        with pytest.raises(Forbidden, match="belongs to the project default; leave out the header Tidepool-Project"):
            await backends.access.authenticate(f"Bearer {admin}", project=name)
    with pytest.raises(NotFound, match="there is no project 'none'"):
        await backends.access.authenticate(f"Bearer {root}", project="none")


@pytest.mark.parametrize("ended", ["revoked", "expired"])
@pytest.mark.parametrize("interface", [over_rest, over_the_fast_path, over_oip_http, over_the_oip_fast_path, over_grpc])
async def test_a_key_that_another_gateway_ends_is_refused_within_a_second(
    backends: Backends,
    stores: Stores,
    interface: Callable[[Backends, str | None], Awaitable[Refusal]],
    ended: str,
) -> None:
    # given a key that this gateway has in its cache
    key = stores.keys.create("predictor", frozenset({Scope.PREDICT}))
    await warm(backends, key.secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))

    # when it ends, and a second passes in which the key stays in use
    if ended == "revoked":
        stores.keys.delete(key.id)
    else:
        with stores.database.write() as connection:
            connection.execute(update(tables.api_keys).values(expires_at=stores.database.now()))
    for _ in range(10):
        backends.access.peek(f"Bearer {key.secret}", Scope.PREDICT)
        await asyncio.sleep(0.1)

    # then
    status, message = await interface(backends, f"Bearer {key.secret}")
    assert status == 401
    assert message == ("the API key is not valid" if ended == "revoked" else "the API key has expired; use a new one")
