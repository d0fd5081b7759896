"""The gateway with in-memory servers, and its clients."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from structlog.typing import EventDict

from contract.access import Scope
from contract.jobs import Job
from messaging.in_memory import MemoryChannel, MemoryReports
from services.gateway.dependencies import Backends
from services.gateway.edge import ttl_cache
from services.storage import tables
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.support.publication import publish
from tests.unit.gateway.backends import classify, gateway


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[EventDict]]:
    """The log events of the gateway, unformatted."""
    with capture_logs([merge_contextvars]) as lines:
        yield lines


@pytest.fixture
def fresh_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep cache entries fresh for the whole test."""
    monkeypatch.setattr(ttl_cache, "TTL_S", 3600.0)


@pytest.fixture
def file_stores(tmp_path: Path, objects: MemoryObjects) -> Stores:
    """Stores on a file, because the in-memory database cannot read and write concurrently."""
    database = Database.connect(f"sqlite:///{tmp_path}/tidepool.db")
    tables.metadata.create_all(database.engine)
    return Stores(database, objects)


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def stores(objects: MemoryObjects) -> Stores:
    return Stores(Database.in_memory(), objects)


@pytest.fixture
def channel() -> MemoryChannel:
    return MemoryChannel(classify)


@pytest.fixture
def reports() -> MemoryReports:
    return MemoryReports()


@pytest.fixture
def app(stores: Stores, channel: MemoryChannel, reports: MemoryReports) -> FastAPI:
    return gateway(stores, channel, reports)


@pytest.fixture
def backends(app: FastAPI) -> Backends:
    result: Backends = app.state.backends
    return result


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tidepool") as client:
        yield client


@pytest.fixture
async def client_with(app: FastAPI, stores: Stores) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Return a function that creates a client whose key has these scopes."""
    async with AsyncExitStack() as open_clients:

        def make(*scopes: Scope) -> httpx.AsyncClient:
            secret = stores.keys.create("test", frozenset(scopes)).secret
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app),
                base_url="http://tidepool",
                headers={"Authorization": f"Bearer {secret}"},
            )
            open_clients.push_async_callback(client.aclose)
            return client

        yield make


@pytest.fixture
async def client(client_with: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    """A client with an admin key."""
    return client_with(Scope.ADMIN)


@pytest.fixture
def dataset(stores: Stores) -> Job:
    """The job that published pets@1."""
    return publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST)


@pytest.fixture
def model(stores: Stores) -> Job:
    """The job that published pet-cnn@1."""
    return publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
