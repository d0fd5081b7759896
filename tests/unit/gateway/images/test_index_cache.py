"""Indexes are fetched once, checked, and kept within a size."""

import threading
from pathlib import Path

import pytest

from contract.artifacts import Bucket, ObjectRef
from contract.errors import Corrupt
from services.gateway.images.index_cache import UNUSED_S, IndexCache
from services.storage.memory_objects import MemoryObjects


class CountingObjects(MemoryObjects):
    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    def fetch(self, ref: ObjectRef, path: Path) -> None:
        self.fetched.append(ref.key)
        super().fetch(ref, path)


@pytest.fixture
def objects() -> CountingObjects:
    return CountingObjects()


def test_the_least_recently_used_index_goes_first(objects: CountingObjects) -> None:
    a, b, c = (objects.put(Bucket.JOBS, name, name.encode() * 10) for name in "abc")
    cache = IndexCache(objects, most_bytes=20)

    for ref in (a, b, a, c, a, b):
        with cache.open(ref) as file:
            assert file.read() == ref.key.encode() * 10

    assert objects.fetched == ["a", "b", "c", "b"]


def test_an_open_index_outlives_its_place_in_the_cache(objects: CountingObjects) -> None:
    a, b = (objects.put(Bucket.JOBS, name, name.encode()) for name in "ab")
    cache = IndexCache(objects, most_bytes=0)

    with cache.open(a) as file, cache.open(b):
        assert file.read() == b"a"


def test_a_damaged_index_is_not_kept(objects: CountingObjects) -> None:
    ref = objects.put(Bucket.JOBS, "a", b"good")
    cache = IndexCache(objects, most_bytes=100)
    objects.content[Bucket.JOBS, "a"] = b"bad!"

    with pytest.raises(Corrupt):
        cache.open(ref)

    objects.content[Bucket.JOBS, "a"] = b"good"
    with cache.open(ref) as file:
        assert file.read() == b"good"


def test_simultaneous_readers_share_one_fetch(objects: CountingObjects) -> None:
    ref = objects.put(Bucket.JOBS, "a", b"index")
    cache = IndexCache(objects, most_bytes=100)
    contents: list[bytes] = []

    def read() -> None:
        with cache.open(ref) as file:
            contents.append(file.read())

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (contents, objects.fetched) == ([b"index"] * 8, ["a"])


def test_an_index_that_is_not_used_for_an_hour_is_dropped() -> None:
    now = [0.0]
    objects = MemoryObjects()
    cache = IndexCache(objects, 1000, lambda: now[0])
    used, unused = (objects.put(Bucket.JOBS, name, name.encode()) for name in ("used", "unused"))
    for ref in (used, unused):
        cache.open(ref).close()

    now[0] = UNUSED_S - 1
    cache.open(used).close()
    objects.content.clear()
    now[0] = UNUSED_S + 1

    with cache.open(used) as file:
        assert file.read() == b"used"
    with pytest.raises(Corrupt):
        cache.open(unused)
