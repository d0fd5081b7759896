"""S3Objects on a real S3 server and MemoryObjects: both give the same guarantees."""

import io
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.artifacts import Bucket, ByteRange, ObjectRef
from contract.errors import Corrupt, NotFound
from services.storage.memory_objects import MemoryObjects
from services.storage.objects import Objects

HELLO = ObjectRef(
    bucket=Bucket.JOBS,
    key="hello",
    size=5,
    sha256="2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
)


@pytest.fixture(params=["s3", "memory"])
def store(request: pytest.FixtureRequest) -> Objects:
    if request.param == "memory":
        return MemoryObjects()
    store: Objects = request.getfixturevalue("objects")
    return store


@pytest.fixture
def folder() -> str:
    """A prefix that no other test uses."""
    return f"{uuid.uuid4()}/"


def test_bytes_files_and_streams_are_stored_alike(store: Objects, folder: str, tmp_path: Path) -> None:
    # given
    (tmp_path / "hello.txt").write_bytes(b"hello")

    # when
    refs = [
        store.put(Bucket.JOBS, folder + "bytes", b"hello"),
        store.put(Bucket.JOBS, folder + "file", tmp_path / "hello.txt"),
        store.put_stream(Bucket.JOBS, folder + "stream", io.BytesIO(b"hello")),
    ]

    # then
    names = ["bytes", "file", "stream"]
    assert refs == [HELLO.model_copy(update={"key": folder + name}) for name in names]
    assert [store.read(ref) for ref in refs] == [b"hello"] * 3


@pytest.mark.parametrize("name", ["x", "a/b/c.npy", "with space", "ünï/côdé", "+&?%#=.bin"])
def test_an_object_is_read_under_its_key(store: Objects, folder: str, name: str) -> None:
    ref = store.put(Bucket.UPLOADS, folder + name, b"hello")

    assert store.read(ref) == b"hello"
    assert store.adopt(Bucket.UPLOADS, folder + name) == ref


def test_an_empty_object_is_stored_and_read(store: Objects, folder: str, tmp_path: Path) -> None:
    ref = store.put(Bucket.JOBS, folder + "empty", b"")

    store.fetch(ref, tmp_path / "empty")

    assert (ref.size, store.read(ref), (tmp_path / "empty").read_bytes()) == (0, b"", b"")


def test_an_object_is_fetched_into_a_file(store: Objects, folder: str, tmp_path: Path) -> None:
    ref = store.put(Bucket.JOBS, folder + "x", b"hello")

    store.fetch(ref, tmp_path / "x")

    assert (tmp_path / "x").read_bytes() == b"hello"


def test_the_last_object_stored_under_a_key_wins(store: Objects, folder: str) -> None:
    first = store.put(Bucket.JOBS, folder + "x", b"first")

    second = store.put(Bucket.JOBS, folder + "x", b"second")

    assert store.read(second) == b"second"
    with pytest.raises(Corrupt):
        store.read(first)


@pytest.mark.parametrize("wrong", [{"size": 4}, {"sha256": "0" * 64}], ids=str)
def test_an_object_that_differs_from_its_reference_is_corrupt(
    store: Objects, folder: str, tmp_path: Path, wrong: dict[str, object]
) -> None:
    ref = store.put(Bucket.JOBS, folder + "x", b"hello").model_copy(update=wrong)

    with pytest.raises(Corrupt):
        store.read(ref)
    with pytest.raises(Corrupt):
        store.fetch(ref, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_range_is_read_and_checked_by_its_own_hash(store: Objects, folder: str) -> None:
    ref = store.put(Bucket.JOBS, folder + "x", b"say hello twice")
    span = ByteRange(start=4, stop=9, sha256=HELLO.sha256)

    assert store.read_range(ref, span) == b"hello"
    beyond = {"start": 40, "stop": 45}
    for wrong in ({"stop": 10}, {"start": 3, "stop": 8}, {"sha256": "0" * 64}, beyond, {"stop": 90}):
        with pytest.raises(Corrupt):
            store.read_range(ref, span.model_copy(update=wrong))
    store.delete(Bucket.JOBS, folder)
    with pytest.raises(Corrupt):
        store.read_range(ref, span)


def test_a_slice_is_read_without_a_hash(store: Objects, folder: str) -> None:
    ref = store.put(Bucket.JOBS, folder + "x", b"say hello twice")

    assert store.read_slice(ref, 4, 5) == b"hello"
    assert store.read_slice(ref, 0, ref.size) == b"say hello twice"
    for start, size in ((10, 6), (15, 1), (40, 5)):
        with pytest.raises(Corrupt):
            store.read_slice(ref, start, size)
    store.delete(Bucket.JOBS, folder)
    with pytest.raises(Corrupt):
        store.read_slice(ref, 4, 5)


def test_a_deleted_object_is_corrupt(store: Objects, folder: str, tmp_path: Path) -> None:
    ref = store.put(Bucket.JOBS, folder + "x", b"hello")
    store.delete(Bucket.JOBS, folder)

    with pytest.raises(Corrupt):
        store.read(ref)
    with pytest.raises(Corrupt):
        store.fetch(ref, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_missing_object_is_not_found(store: Objects, folder: str) -> None:
    store.put(Bucket.JOBS, folder + "x", b"in the other bucket")

    with pytest.raises(NotFound):
        store.adopt(Bucket.UPLOADS, folder + "x")


def test_deleting_a_prefix_deletes_all_objects_under_it(store: Objects, folder: str) -> None:
    # given
    doomed = [store.put(Bucket.JOBS, f"{folder}1/{name}", b"x") for name in ("a", "b/c")]
    kept = store.put(Bucket.JOBS, folder + "10/a", b"x")
    other = store.put(Bucket.UPLOADS, folder + "1/a", b"x")

    # when
    assert [store.delete(Bucket.JOBS, folder + "1/") for _ in range(2)] == [len(doomed), 0]

    # then
    assert store.prefixes(Bucket.JOBS, folder) == [folder + "10/"]
    assert (store.read(kept), store.read(other)) == (b"x", b"x")


def test_objects_are_listed_with_the_time_at_which_they_were_written(store: Objects, folder: str) -> None:
    begin = datetime.now(UTC)
    for name in ("a", "b/c"):
        store.put(Bucket.JOBS, folder + name, b"x")

    written = {entry.key: entry.modified_at for entry in store.entries(Bucket.JOBS) if entry.key.startswith(folder)}

    assert written.keys() == {folder + "a", folder + "b/c"}
    assert all(abs(at - begin) < timedelta(minutes=1) for at in written.values())
    assert not [entry for entry in store.entries(Bucket.UPLOADS) if entry.key.startswith(folder)]


def test_only_the_named_objects_are_removed(store: Objects, folder: str) -> None:
    for name in ("a", "ab", "b"):
        store.put(Bucket.JOBS, folder + name, b"x")

    for _ in range(2):
        store.remove(Bucket.JOBS, [folder + "a", folder + "b"])
    store.remove(Bucket.JOBS, [])

    assert [entry.key for entry in store.entries(Bucket.JOBS) if entry.key.startswith(folder)] == [folder + "ab"]


def test_the_folders_under_a_prefix_are_listed(store: Objects, folder: str) -> None:
    for name in ("b/1/x", "a/1/x", "a/2/y", "top"):
        store.put(Bucket.JOBS, folder + name, b"x")

    assert store.prefixes(Bucket.JOBS, folder) == [folder + "a/", folder + "b/"]
    assert store.prefixes(Bucket.JOBS, folder + "a/") == [folder + "a/1/", folder + "a/2/"]
    assert store.prefixes(Bucket.JOBS, folder + "a/1/") == []
    assert folder in store.prefixes(Bucket.JOBS)
    assert folder not in store.prefixes(Bucket.UPLOADS)


def test_a_ping_of_a_running_store_succeeds(store: Objects) -> None:
    assert store.ping() is None  # it would raise ObjectsUnavailable
