"""The cache of database reads."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from services.gateway.edge import ttl_cache
from services.gateway.edge.ttl_cache import TtlCache

pytestmark = pytest.mark.anyio


class Slow:
    """A read that counts per key and blocks until `may` is set."""

    def __init__(self) -> None:
        self.reads: Counter[str] = Counter()
        self.error: Exception | None = None
        self.began = threading.Event()
        self.may = threading.Event()
        self.may.set()

    def __call__(self, key: str) -> str:
        self.reads[key] += 1
        mine = f"{key}-{self.reads[key]}"
        self.began.set()
        self.may.wait(30)
        if self.error is not None:
            raise self.error
        return mine


@pytest.fixture
def read() -> Iterator[Slow]:
    read = Slow()
    yield read
    read.may.set()


async def test_a_value_is_read_once_while_it_is_fresh(read: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ttl_cache, "TTL_S", 3600.0)
    kept = TtlCache(read)
    assert kept.peek("a") is None

    assert [await kept.get(key) for key in ("a", "a", "b")] == ["a-1", "a-1", "b-1"]

    assert (kept.peek("a"), kept.peek("c")) == ("a-1", None)


async def test_an_expired_value_is_read_again(read: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ttl_cache, "TTL_S", -1.0)
    kept = TtlCache(read)

    assert [await kept.get("a"), kept.peek("a"), await kept.get("a")] == ["a-1", None, "a-2"]


async def test_concurrent_readers_share_one_read(read: Slow) -> None:
    kept = TtlCache(read)

    assert await asyncio.gather(*(kept.get("a") for _ in range(20))) == ["a-1"] * 20


async def test_a_cancelled_reader_does_not_cancel_the_shared_read(read: Slow) -> None:
    read.may.clear()
    kept = TtlCache(read)
    leaves, stays = asyncio.create_task(kept.get("a")), asyncio.create_task(kept.get("a"))
    await asyncio.to_thread(read.began.wait, 30)

    leaves.cancel()
    read.may.set()

    assert await stays == "a-1"
    assert leaves.cancelled()


async def test_an_error_reaches_all_readers_and_is_not_cached(read: Slow) -> None:
    kept, read.error = TtlCache(read), ZeroDivisionError()

    result = await asyncio.gather(kept.get("a"), kept.get("a"), return_exceptions=True)

    assert list(map(type, result)) == [ZeroDivisionError] * 2
    read.error = None
    assert await kept.get("a") == "a-2"


async def test_a_value_is_read_again_after_forget(read: Slow) -> None:
    kept = TtlCache(read)
    await kept.get("a")

    kept.forget()

    assert await kept.get("a") == "a-2"


async def test_a_read_in_progress_during_forget_is_not_cached(read: Slow) -> None:
    # given a read in progress
    read.may.clear()
    kept = TtlCache(read)
    before = asyncio.create_task(kept.get("a"))
    await asyncio.to_thread(read.began.wait, 30)

    # when the cache is cleared, and then read again
    kept.forget()
    after = asyncio.create_task(kept.get("a"))
    read.may.set()

    # then only the earlier reader gets the old value
    assert (await before, await after) == ("a-1", "a-2")
    assert kept.peek("a") == "a-2"


async def test_the_cache_holds_at_most_max_entries(read: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ttl_cache, "MAX_ENTRIES", 2)
    kept = TtlCache(read)

    for key in ("a", "b", "c"):
        await kept.get(key)

    assert [key for key in ("a", "b", "c") if kept.peek(key)] == ["c"]
