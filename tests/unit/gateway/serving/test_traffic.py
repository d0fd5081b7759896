"""The requests of each minute are recorded, those of an outage with the next minute's."""

import asyncio
from contextlib import suppress
from itertools import chain, repeat

import pytest

from contract.errors import DatabaseUnavailable
from contract.pools import PoolName
from services.gateway.serving import traffic as module
from services.storage.database import Database
from services.storage.pools.traffic import Traffic

pytestmark = pytest.mark.anyio


class Outage(Traffic):
    """Fails once, and then notes what is added."""

    def __init__(self) -> None:
        super().__init__(Database.in_memory())
        self.failures = [DatabaseUnavailable("the database does not answer")]
        self.added: list[tuple[PoolName, int]] = []

    def add(self, pool: PoolName, requests: int) -> None:
        if self.failures:
            raise self.failures.pop()
        self.added.append((pool, requests))


async def test_what_was_answered_during_an_outage_counts_for_the_next_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY_S", 0.001)
    totals, traffic = chain([5, 8, 10], repeat(11)), Outage()

    with suppress(TimeoutError):
        await asyncio.wait_for(module._record(traffic, lambda: next(totals)), 0.5)

    assert traffic.added == [("inference", 5), ("inference", 1)]
