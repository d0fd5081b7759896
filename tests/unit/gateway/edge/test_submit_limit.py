"""The limit on submits: some run concurrently, some wait, the others are refused."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from services.gateway.edge.byte_budget import DOCUMENTS, BodyBudgets
from services.gateway.edge.submit_limit import SubmitLimit, Submits
from services.gateway.settings import GatewaySettings
from tests.support.problems import problem

pytestmark = pytest.mark.anyio

SETTINGS = GatewaySettings(submits_at_once=2, max_submits=5)
SUBMITS = ["/v1/jobs", "/v1/jobs/", "/v1/jobs/some/retry"]


@dataclass
class Slow:
    """An application that echoes the body once `release` is set."""

    release: asyncio.Event = field(default_factory=asyncio.Event)
    running: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        await self.release.wait()
        message = await receive()
        await JSONResponse(message["body"].decode())(scope, receive, send)
        self.running -= 1


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def limited(slow: Slow) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(
        SubmitLimit(slow, Submits(SETTINGS), SETTINGS.max_json_bytes, BodyBudgets(SETTINGS))
    )
    return httpx.AsyncClient(transport=transport, base_url="http://tidepool")


async def _settle() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


@pytest.mark.parametrize("path", SUBMITS)
async def test_submits_over_the_limit_are_refused_and_the_others_answered(
    limited: httpx.AsyncClient, slow: Slow, path: str
) -> None:
    # given the maximum of submits, none of which ends
    taken = [asyncio.create_task(limited.post(path, content=str(number))) for number in range(SETTINGS.max_submits)]
    await _settle()
    assert slow.running == SETTINGS.submits_at_once

    # when another arrives, then it is refused immediately
    response = await limited.post(path, content="more")
    assert "5 job submissions" in problem(response, 503, "overloaded").detail
    assert int(response.headers["Retry-After"]) > 0
    assert response.headers["X-Request-ID"] == response.json()["request_id"] != ""

    # and the others get their own answers
    slow.release.set()
    assert [(await one).json() for one in taken] == ["0", "1", "2", "3", "4"]
    assert (await limited.post(path, content="again")).json() == "again"


async def test_a_client_that_disconnects_frees_its_slot(limited: httpx.AsyncClient, slow: Slow) -> None:
    # given
    taken = [asyncio.create_task(limited.post("/v1/jobs", content="x")) for _ in range(SETTINGS.max_submits)]
    await _settle()

    # when the client of a running and the client of a waiting submit disconnect
    for submit in (taken[0], taken[-1]):
        submit.cancel()
    await _settle()

    # then two more submits are accepted, and a third is refused
    more = [asyncio.create_task(limited.post("/v1/jobs", content="y")) for _ in range(3)]
    await _settle()
    slow.release.set()
    assert [(await one).status_code for one in more] == [200, 200, 503]


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/jobs"), ("POST", "/v1/jobs/some/cancel"), ("GET", "/livez")])
async def test_other_requests_are_not_counted(limited: httpx.AsyncClient, slow: Slow, method: str, path: str) -> None:
    # given the maximum of submits
    taken = [asyncio.create_task(limited.post("/v1/jobs", content="x")) for _ in range(SETTINGS.max_submits)]
    await _settle()

    # when
    other = asyncio.create_task(limited.request(method, path))
    await _settle()

    # then
    assert slow.running == SETTINGS.submits_at_once + 1
    slow.release.set()
    assert (await other).status_code == 200
    assert {(await one).status_code for one in taken} == {200}


async def test_a_submit_with_an_incomplete_body_takes_no_slot(limited: httpx.AsyncClient, slow: Slow) -> None:
    # given submits with incomplete bodies
    end = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"slow"
        await end.wait()

    waiting = [asyncio.create_task(limited.post("/v1/jobs", content=body())) for _ in range(SETTINGS.max_submits)]
    await _settle()

    # when another submit is complete, then it is answered
    slow.release.set()
    assert (await limited.post("/v1/jobs", content="quick")).json() == "quick"
    end.set()
    assert [(await one).json() for one in waiting] == ["slow"] * SETTINGS.max_submits


async def test_incomplete_bodies_are_bounded_and_small_submits_answered(limited: httpx.AsyncClient, slow: Slow) -> None:
    # given more senders than may hold a large body, none of whom ends
    end = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        yield b"x" * (SETTINGS.max_json_bytes - 2)
        await end.wait()

    slow.release.set()
    senders = [asyncio.create_task(limited.post("/v1/jobs", content=body())) for _ in range(DOCUMENTS)]
    await _settle()

    # then those over the limit are refused, and a small submit is answered
    refused = [sender for sender in senders if sender.done()]
    assert len(refused) == DOCUMENTS // 4
    for sender in refused:
        problem(await sender, 503, "overloaded")
    assert (await limited.post("/v1/jobs", content="quick")).json() == "quick"

    # and when the others end, there is room again
    end.set()
    assert {(await sender).status_code for sender in senders if sender not in refused} == {200}
    assert (await limited.post("/v1/jobs", content=b"x" * (SETTINGS.max_json_bytes - 1))).status_code == 200
