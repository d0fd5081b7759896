"""The fast path and the endpoint of inference give the same responses."""

import json
from typing import Any

import pytest
from onnx import TensorProto
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contract.access import DEFAULT_PROJECT, Scope
from contract.errors import BrokerUnavailable
from services.gateway.app import create_app, create_protocol
from services.gateway.dependencies import Backends
from services.gateway.edge import ttl_cache
from services.gateway.serving.predictor import ModelQuery
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.support.onnx_graphs import identity
from tests.support.onnx_serving import LocalInference, serve
from tests.unit.gateway.backends import make_backends
from tests.unit.gateway.fast_path.serving import no_app, serving, warm

pytestmark = pytest.mark.anyio

INFER = "/v2/models/same/infer"
SAME_HEADERS = ("content-type", "content-length", "x-request-id", "inference-header-content-length", "retry-after")


@pytest.fixture(autouse=True)
def fresh_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep cache entries fresh for the whole test."""
    monkeypatch.setattr(ttl_cache, "TTL_S", 3600.0)


@pytest.fixture
def inference(objects: MemoryObjects) -> LocalInference:
    return LocalInference(objects)


@pytest.fixture
def backends(stores: Stores, inference: LocalInference) -> Backends:
    serve(stores, "same", identity(TensorProto.FLOAT))
    return make_backends(stores, inference)


def body(shape: tuple[int, ...] = (1, 2), **more: Any) -> bytes:
    tensor = {"name": "x", "datatype": "FP32", "shape": shape, "data": [1.5, -2]}
    return json.dumps({"inputs": [tensor], **more}).encode()


async def endpoint_and_fast_path(backends: Backends, path: str, content: bytes, **headers: str) -> list[dict[str, Any]]:
    """Return the responses of the endpoint and of the fast path."""
    secret = backends.stores.keys.create("test", frozenset({Scope.PREDICT})).secret
    await warm(backends, secret, ModelQuery(DEFAULT_PROJECT, "same"), ModelQuery(DEFAULT_PROJECT, "same", 1))
    await backends.plane.model_ready(DEFAULT_PROJECT, "same@1")
    sent = {"Authorization": f"Bearer {secret}", "X-Request-ID": "trace-7"} | headers
    result = []
    for app, protocol in ((create_app(backends), HttpToolsProtocol), (no_app, create_protocol(backends))):
        async with serving(app, protocol) as client:
            response = await client.post(path, content=content, headers=sent)
        same_headers = {name: response.headers.get(name) for name in SAME_HEADERS}
        result.append({"status": response.status_code, "body": response.content, "headers": same_headers})
    return result


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        (INFER, body(), 200),
        (INFER, body(id="call-7"), 200),
        (INFER, body(parameters={"binary_data_output": True}), 200),
        ("/v2/models/same/versions/1/infer", body(), 200),
        ("/v2/models/same@1/infer", body(), 200),
        (INFER, body((2, 2)), 400),
        (INFER, b"[", 400),
    ],
)
async def test_tensors_get_the_same_answer(backends: Backends, path: str, content: bytes, status: int) -> None:
    endpoint, fast = await endpoint_and_fast_path(backends, path, content)

    assert endpoint == fast
    assert fast["status"] == status


async def test_an_unreachable_pool_gives_the_same_error(backends: Backends, inference: LocalInference) -> None:
    inference.error = BrokerUnavailable("the broker does not answer")

    endpoint, fast = await endpoint_and_fast_path(backends, INFER, body())

    assert endpoint == fast
    assert fast["status"] == 503
