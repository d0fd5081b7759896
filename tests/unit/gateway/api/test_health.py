"""/livez and /readyz"""

import asyncio
import threading
import time

import httpx
import pytest
from fastapi import FastAPI

from contract.errors import BrokerUnavailable, ObjectsUnavailable
from messaging.in_memory import MemoryChannel
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.support.problems import problem
from tests.unit.gateway.backends import classify, gateway

pytestmark = pytest.mark.anyio


class LostChannel(MemoryChannel):
    async def ping(self) -> None:
        raise BrokerUnavailable("the broker does not answer")


class LostObjects(MemoryObjects):
    def ping(self) -> None:
        raise ObjectsUnavailable("the object store does not answer")


async def ask(app: FastAPI, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tidepool") as client:
        return await client.get(path)


async def test_readyz_is_ready_if_every_server_responds(anonymous: httpx.AsyncClient) -> None:
    alive, ready = await anonymous.get("/livez"), await anonymous.get("/readyz")

    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "database": "ok", "broker": "ok", "objects": "ok"}


async def test_the_gateway_is_ready_while_the_broker_and_the_object_store_are_down() -> None:
    stores = Stores(Database.in_memory(), LostObjects())
    app = gateway(stores, LostChannel(classify))

    ready = await ask(app, "/readyz")

    assert ready.status_code == 200
    assert ready.json() == {"status": "degraded", "database": "ok", "broker": "unavailable", "objects": "unavailable"}


async def test_the_gateway_is_ready_in_time_while_the_broker_and_the_object_store_hang() -> None:
    hung = threading.Event()

    class HungChannel(MemoryChannel):
        async def ping(self) -> None:
            await asyncio.sleep(60)

    class HungObjects(MemoryObjects):
        def ping(self) -> None:
            hung.wait(60)

    app = gateway(Stores(Database.in_memory(), HungObjects()), HungChannel(classify))

    # when, though the servers would need a minute
    ready = await asyncio.wait_for(ask(app, "/readyz"), 20)
    hung.set()

    # then
    assert ready.status_code == 200
    assert ready.json() == {"status": "degraded", "database": "ok", "broker": "unavailable", "objects": "unavailable"}


async def test_many_health_checks_ask_the_servers_once(fresh_cache: None) -> None:
    # given servers that count, and do not answer at once
    asked: list[str] = []

    class SlowObjects(MemoryObjects):
        def ping(self) -> None:
            asked.append("objects")
            time.sleep(0.2)

    stores = Stores(Database.in_memory(), SlowObjects())
    app = gateway(stores, MemoryChannel(classify))

    responses = await asyncio.gather(*(ask(app, "/readyz") for _ in range(50)))
    responses += [await ask(app, "/readyz")]

    assert {response.status_code for response in responses} == {200}
    assert asked == ["objects"]


async def test_readyz_is_503_while_the_database_is_down() -> None:
    # given a database that refuses connections
    stores = Stores(Database.connect("postgresql+psycopg://nobody@127.0.0.1:1/none"), MemoryObjects())
    app = gateway(stores, MemoryChannel(classify))

    # then the gateway is not ready, but still alive
    response = await ask(app, "/readyz")
    problem(response, 503, "database_unavailable")
    assert response.headers["retry-after"] == "2"
    assert (await ask(app, "/livez")).status_code == 200
