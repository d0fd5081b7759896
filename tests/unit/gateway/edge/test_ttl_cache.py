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
    """A read that counts per key and blocks until `unblocked` is set."""

    def __init__(self) -> None:
        self.reads: Counter[str] = Counter()
        self.error: Exception | None = None
        self.started = threading.Event()
        self.unblocked = threading.Event()
        self.unblocked.set()

    def __call__(self, key: str) -> str:
        self.reads[key] += 1
        value = f"{key}-{self.reads[key]}"
        self.started.set()
        self.unblocked.wait(30)
        if self.error is not None:
            raise self.error
        return value


@pytest.fixture
def read() -> Iterator[Slow]:
    read = Slow()
    yield read
    read.unblocked.set()


async def test_a_value_is_read_once_while_it_is_fresh(read: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ttl_cache, "TTL_S", 3600.0)
    cache = TtlCache(read)
    assert cache.peek("a") is None

    assert [await cache.get(key) for key in ("a", "a", "b")] == ["a-1", "a-1", "b-1"]

    assert (cache.peek("a"), cache.peek("c")) == ("a-1", None)


async def test_a_cache_may_keep_its_values_longer_than_others(read: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ttl_cache, "TTL_S", -1.0)
    cache = TtlCache(read, ttl_s=60.0)

    assert [await cache.get("a"), await cache.get("a")] == ["a-1", "a-1"]


async def test_an_expired_value_is_read_again(read: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ttl_cache, "TTL_S", -1.0)
    cache = TtlCache(read)

    assert [await cache.get("a"), cache.peek("a"), await cache.get("a")] == ["a-1", None, "a-2"]


async def test_concurrent_readers_share_one_read(read: Slow) -> None:
    cache = TtlCache(read)

    assert await asyncio.gather(*(cache.get("a") for _ in range(20))) == ["a-1"] * 20


async def test_a_cancelled_reader_does_not_cancel_the_shared_read(read: Slow) -> None:
    read.unblocked.clear()
    cache = TtlCache(read)
    cancelled_reader, reader = asyncio.create_task(cache.get("a")), asyncio.create_task(cache.get("a"))
    await asyncio.to_thread(read.started.wait, 30)

    cancelled_reader.cancel()
    read.unblocked.set()

    assert await reader == "a-1"
    assert cancelled_reader.cancelled()


async def test_an_error_reaches_all_readers_and_is_not_cached(read: Slow) -> None:
    cache, read.error = TtlCache(read), ZeroDivisionError()

    result = await asyncio.gather(cache.get("a"), cache.get("a"), return_exceptions=True)

    assert list(map(type, result)) == [ZeroDivisionError] * 2
    read.error = None
    assert await cache.get("a") == "a-2"


async def test_a_value_is_read_again_after_forget(read: Slow) -> None:
    cache = TtlCache(read)
    await cache.get("a")

    cache.forget()

    assert await cache.get("a") == "a-2"


async def test_a_read_in_progress_during_forget_is_not_cached(read: Slow) -> None:
    # given a read in progress
    read.unblocked.clear()
    cache = TtlCache(read)
    before = asyncio.create_task(cache.get("a"))
    await asyncio.to_thread(read.started.wait, 30)

    # when the cache is cleared, and then read again
    cache.forget()
    after = asyncio.create_task(cache.get("a"))
    read.unblocked.set()

    # then only the earlier reader gets the old value
    assert (await before, await after) == ("a-1", "a-2")
    assert cache.peek("a") == "a-2"


async def test_the_cache_holds_at_most_max_entries(read: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ttl_cache, "MAX_ENTRIES", 2)
    cache = TtlCache(read)

    for key in ("a", "b", "c"):
        await cache.get(key)

    assert [key for key in ("a", "b", "c") if cache.peek(key)] == ["c"]


async def test_a_value_is_as_old_as_the_beginning_of_its_read(read: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ttl_cache, "TTL_S", 0.2)
    read.unblocked.clear()
    cache = TtlCache(read)
    reader = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0.3)

    read.unblocked.set()

    assert (await reader, cache.peek("a")) == ("a-1", None)
