"""A gateway over models that run in this process, and its addresses for real clients."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from onnx import TensorProto, helper

from contract.access import Scope
from services.gateway.app import create_app
from services.gateway.dependencies import Backends
from services.gateway.settings import GatewaySettings
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.support.onnx_graphs import ONNX_TYPES, graph, identity, lookup, sums
from tests.support.onnx_serving import LocalInference, serve
from tests.support.servers import free_port
from tests.unit.gateway.backends import make_backends

SETTINGS = GatewaySettings(max_json_bytes=2_000, max_predict_bytes=2_000_000, grpc_port=free_port())


@dataclass(frozen=True)
class World:
    """The parts of a gateway, and an admin key."""

    stores: Stores
    inference: LocalInference
    backends: Backends
    app: FastAPI
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        """The key's headers; a new dict each time, because tritonclient modifies it."""
        return {"Authorization": f"Bearer {self.secret}"}

    @property
    def metadata(self) -> dict[str, str]:
        """The key as gRPC metadata, with a lower-case name."""
        return {"authorization": f"Bearer {self.secret}"}


@pytest.fixture(scope="module")
def world() -> World:
    """A gateway with identity-<datatype> of shape (batch, 2) for each type, and the models of onnx_graphs."""
    objects = MemoryObjects()
    stores = Stores(Database.in_memory(), objects)
    for datatype, kind in ONNX_TYPES.items():
        serve(stores, f"identity-{datatype.lower()}", identity(kind))
    serve(stores, "sums", sums())
    serve(stores, "lookup", lookup())
    serve(stores, "scalar", identity(TensorProto.FLOAT, ()))
    serve(stores, "matrix", identity(TensorProto.FLOAT, (2, 3)))
    serve(stores, "free", identity(TensorProto.FLOAT, (None, None)))
    three = helper.make_node("Constant", [], ["y"], value_float=3.0)
    serve(stores, "constant", graph([three], {}, {"y": (TensorProto.FLOAT, ())}))
    inference = LocalInference(objects)
    backends = make_backends(stores, inference, SETTINGS)
    secret = stores.keys.create("test", frozenset({Scope.ADMIN})).secret
    return World(stores, inference, backends, create_app(backends), secret)


@pytest.fixture(autouse=True)
def reset(world: World) -> None:
    """Reset the pool, and clear the gateway's caches."""
    world.inference.error = None
    world.inference.targets.clear()
    world.inference.within_s.clear()
    world.backends.forget_models()


@pytest.fixture
async def client(world: World) -> httpx.AsyncClient:
    """A client with an admin key."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(world.app), base_url="http://tidepool", headers=world.headers
    )


@pytest.fixture(scope="module")
def address(world: World) -> Iterator[str]:
    """The address of a real HTTP server."""
    server = uvicorn.Server(uvicorn.Config(world.app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def grpc_address(address: str) -> str:
    """The address of the gRPC server of the same application."""
    return f"127.0.0.1:{SETTINGS.grpc_port}"
