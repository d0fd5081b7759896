"""Unknown API keys cost few reads of the database, and do not lock others out."""

import asyncio
from collections import Counter
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI

from contract.access import ApiKey, Caller, Scope
from contract.errors import DatabaseUnavailable, TooManyRequests, Unauthenticated
from contract.projects import Project
from services.gateway.dependencies import Backends
from services.gateway.edge import guesses
from services.gateway.edge.access import Access
from services.gateway.edge.guesses import BURST
from services.storage.access.keys import new_token
from tests.support.problems import problem

pytestmark = pytest.mark.anyio

KEY = ApiKey(id="0123abcd", name="test", scopes=(Scope.READ,), created_at=datetime(2026, 1, 1, tzinfo=UTC))


class Table:
    """Keys, with a count of the reads of each secret."""

    def __init__(self) -> None:
        self.reads: Counter[str] = Counter()
        self.valid = {"good"}
        self.away = False

    def find(self, secret: str) -> Caller:
        self.reads[secret] += 1
        if self.away:
            raise DatabaseUnavailable("away")
        if secret not in self.valid:
            raise Unauthenticated("the API key is not valid")
        return Caller(KEY, KEY.project)


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def access(table: Table) -> Access:
    return Access(
        table.find,
        lambda _: None,
        lambda name: Project(name=name, description="", created_at=KEY.created_at),
        lambda token: Caller(table.find(token), KEY.project),
    )


@pytest.fixture(autouse=True)
def slow_refill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guesses, "PER_S", 0.0)


async def try_keys(access: Access, count: int, address: str = "192.0.2.1", prefix: str = "bad") -> Counter[type]:
    """Send different unknown keys at once; return how often each error was raised."""
    attempts = (access.authenticate(f"Bearer {prefix}-{number}", address=address) for number in range(count))
    return Counter(map(type, await asyncio.gather(*attempts, return_exceptions=True)))


async def test_an_unknown_key_is_looked_up_once_a_second(
    access: Access, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        with pytest.raises(Unauthenticated, match="not valid"):
            await access.authenticate("Bearer bad")
    assert table.reads == {"bad": 1}

    monkeypatch.setattr(guesses, "REFUSED_S", -1.0)
    access.forget()
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await access.authenticate("Bearer bad")
    assert table.reads == {"bad": 3}


async def test_a_flood_of_unknown_keys_reads_the_database_a_few_times(access: Access, table: Table) -> None:
    assert await try_keys(access, 5_000) == {Unauthenticated: BURST, TooManyRequests: 5_000 - BURST}

    assert table.reads.total() == BURST


async def test_a_flood_affects_neither_other_addresses_nor_keys_in_use(access: Access, table: Table) -> None:
    assert (await access.authenticate("Bearer good", address="192.0.2.1")).key == KEY
    await try_keys(access, 500)
    access.forget()

    assert (await access.authenticate("Bearer good", address="192.0.2.1")).key == KEY
    table.valid.add("new")
    assert (await access.authenticate("Bearer new", address="192.0.2.2")).key == KEY


async def test_addresses_of_one_ipv6_network_count_together(access: Access) -> None:
    await try_keys(access, BURST, "2001:db8::1")

    assert await try_keys(access, 1, "2001:db8::ffff:2", "other") == {TooManyRequests: 1}
    assert await try_keys(access, 1, "2001:db8:0:1::1", "another") == {Unauthenticated: 1}


async def test_further_attempts_are_allowed_after_a_while(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    await try_keys(access, BURST)
    monkeypatch.setattr(guesses, "PER_S", 1e6)

    assert await try_keys(access, 1, prefix="later") == {Unauthenticated: 1}


async def test_valid_keys_and_outages_do_not_count(access: Access, table: Table) -> None:
    for number in range(2 * BURST):
        table.valid.add(f"valid-{number}")
        await access.authenticate(f"Bearer valid-{number}", address="192.0.2.1")
    table.away = True
    assert await try_keys(access, BURST) == {DatabaseUnavailable: BURST}
    table.away = False

    assert await try_keys(access, BURST, prefix="later") == {Unauthenticated: BURST}


async def test_many_first_requests_with_one_key_are_admitted(access: Access, table: Table) -> None:
    requests = (access.authenticate("Bearer good", address="192.0.2.1") for _ in range(4 * BURST))

    assert {caller.key for caller in await asyncio.gather(*requests)} == {KEY}
    assert table.reads == {"good": 1}


async def test_a_long_key_is_refused_without_a_read(access: Access, table: Table) -> None:
    with pytest.raises(Unauthenticated):
        await access.authenticate(f"Bearer {'x' * 10_000}")

    assert table.reads == {}


async def test_a_client_that_guesses_is_told_to_wait(
    app: FastAPI, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    find_caller = backends.access._find_caller

    def counted(secret: str) -> Caller:
        reads.append(secret)
        return find_caller(secret)

    monkeypatch.setattr(backends.access, "_find_caller", counted)
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://tidepool") as client:
        for path in ("/v1/me", "/v2"):
            for _ in range(BURST):
                response = await client.get(path, headers={"Authorization": f"Bearer {new_token()}"})
        assert response.status_code == 429
        response = await client.post("/v1/jobs", json={}, headers={"Authorization": f"Bearer {new_token()}"})

    assert "unknown API keys" in problem(response, 429, "too_many_requests").detail
    assert response.headers["retry-after"]
    assert len(reads) == BURST
