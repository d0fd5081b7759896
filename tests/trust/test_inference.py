"""Nobody uses or finds another project's models (G12): OIP over HTTP and gRPC, and the fast path."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import httpx
import pytest
from fastapi.routing import iter_route_contexts

from services.gateway.app import create_app, create_protocol
from services.gateway.oip.grpc import serving_grpc
from services.gateway.oip.proto import inference_pb2 as messages
from services.gateway.oip.proto.inference_pb2_grpc import GRPCInferenceServiceStub
from services.gateway.serving.predictor import ModelQuery
from tests.trust.world import IMAGE, OWNER, STRANGER, World, counted, normalised
from tests.unit.gateway.fast_path.serving import serving, warm

pytestmark = pytest.mark.anyio

MODEL, VERSION = "pet-cnn", "1"
METHODS = messages.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods
INFER = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.0]}]}

Answer = tuple[object, str]


async def over_http(world: World, project: str) -> dict[str, Answer]:
    """The answers of every operation of /v2, after the caches have the project's key."""
    await world.backends.access.authenticate(f"Bearer {world.secrets[project]}")
    answers = dict[str, Answer]()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(world.app)) as client:
        for route in iter_route_contexts(world.app.routes):
            if not route.path.startswith("/v2"):
                continue
            url = "http://tidepool" + route.path.replace("{model}", MODEL).replace("{version}", VERSION)
            for method in sorted(set(route.methods or ()) & {"GET", "POST"}):
                body: dict[str, Any] = {"json": INFER} if url.endswith("/infer") else {}
                response = await client.request(method, url, headers=world.headers(project), **body)
                answers[f"{method} {route.path}"] = response.status_code, normalised(response.text)
    return answers


async def over_grpc(world: World, project: str) -> dict[str, Answer]:
    """The answers of every gRPC method."""
    settings, answers = world.backends.settings, dict[str, Answer]()
    metadata = (("authorization", f"Bearer {world.secrets[project]}"),)
    address = f"{settings.host}:{settings.grpc_port}"
    async with serving_grpc(world.backends), grpc.aio.insecure_channel(address) as channel:
        stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        for method in METHODS:
            fields = {field.name for field in method.input_type.fields}
            names = {name: MODEL for name in ("name", "model_name") if name in fields}
            request = getattr(messages, method.input_type.name)(**names)
            try:
                response = await getattr(stub, method.name)(request, metadata=metadata)
                answers[method.name] = "OK", normalised(str(response))
            except grpc.aio.AioRpcError as error:
                answers[method.name] = error.code(), normalised(str(error.details()))
    return answers


@pytest.mark.parametrize("interface", [over_http, over_grpc])
async def test_a_stranger_cannot_tell_whether_another_project_has_a_model(
    full: World, empty: World, interface: Any
) -> None:
    with counted(full.stores) as in_full:
        answers = await interface(full, STRANGER)
    with counted(empty.stores) as in_empty:
        assert answers == await interface(empty, STRANGER)
    assert in_full == in_empty

    # and its owner gets other answers wherever a model is named
    same = {name for name, answer in (await interface(full, OWNER)).items() if answer == answers[name]}
    assert len(answers) - len(same) >= 6
    assert not [name for name in same if "{model}" in name or name.startswith("Model")]


@asynccontextmanager
async def connected(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the fast path whose caches have the stranger's key, and the owner's key and model."""
    await world.backends.access.authenticate(f"Bearer {world.secrets[STRANGER]}")
    async with serving(create_app(world.backends), create_protocol(world.backends)) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "body"),
    [(f"/v1/models/{MODEL}/predict", IMAGE), (f"/v2/models/{MODEL}/infer", json.dumps(INFER).encode())],
)
async def test_the_fast_path_does_not_answer_a_stranger_from_the_caches(
    full: World, empty: World, path: str, body: bytes
) -> None:
    answers = []
    for world in (full, empty):
        async with connected(world) as client:
            if world is full:
                await warm(world.backends, world.secrets[OWNER], ModelQuery(OWNER, MODEL))
            headers = world.headers(STRANGER) | {"Content-Type": "image/png"}
            response = await client.post(path, content=body, headers=headers)
            answers.append((response.status_code, normalised(response.text)))

    assert answers[0] == answers[1]
    assert answers[0][0] == 404


async def test_the_fast_path_does_not_serve_the_project_in_a_header(full: World) -> None:
    await warm(full.backends, full.secrets[OWNER], ModelQuery(OWNER, MODEL))

    async with connected(full) as client:
        headers = full.headers(OWNER) | {"Content-Type": "image/png", "Tidepool-Project": STRANGER}
        response = await client.post(f"/v1/models/{MODEL}/predict", content=IMAGE, headers=headers)

    assert response.status_code == 403
