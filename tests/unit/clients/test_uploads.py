"""Uploads through presigned URLs: what was interrupted continues, and nothing is sent twice."""

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tidepool_client import Client, Forbidden, Invalid, InvalidInput, retries
from tidepool_client._sync import uploads

CONTENT = b"all of the file"


class Store:
    """A gateway and an object store: remembers announced uploads by their Idempotency-Key, and stored bytes by URL."""

    def __init__(self) -> None:
        self.announced: dict[str, dict[str, Any]] = {}
        self.stored: dict[str, bytes] = {}
        self.requests: list[httpx.Request] = []
        self.failures: list[httpx.HTTPError | httpx.Response] = []  # of PUTs, in order
        self.deleted: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        self.requests.append(request)
        if request.url.host == "store":
            return self._put(request, body)
        if request.url.path.endswith("/complete"):
            return self._complete(request.url.path.split("/")[-2])
        key = request.headers["Idempotency-Key"]
        number = f"u{len(self.announced)}"
        upload = {"id": number, "complete": False, "created_at": "2026-01-01T00:00:00Z", **json.loads(body)}
        upload = self.announced.setdefault(key, upload)
        return httpx.Response(201, json={**upload, "url": f"http://store/{upload['id']}?signature=s"})

    def _put(self, request: httpx.Request, body: bytes) -> httpx.Response:
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, httpx.HTTPError):
                raise failure
            return failure
        self.stored[request.url.path.strip("/")] = body
        return httpx.Response(200)

    def _complete(self, number: str) -> httpx.Response:
        upload = next((upload for upload in self.announced.values() if upload["id"] == number), None)
        if upload is None or number in self.deleted or number not in self.stored:
            return httpx.Response(404, json={"code": "not_found"})
        if hashlib.sha256(self.stored[number]).hexdigest() != upload["sha256"]:
            return httpx.Response(422, json={"code": "invalid", "detail": "another sha256"})
        return httpx.Response(201, json={**upload, "complete": True})

    @property
    def client(self) -> Client:
        return Client("http://tidepool", "tp_key", transport=httpx.MockTransport(self))

    @property
    def puts(self) -> list[httpx.Request]:
        return [request for request in self.requests if request.method == "PUT"]


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "BASE_S", 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pets.zip"
    path.write_bytes(CONTENT)
    return path


def test_a_file_is_announced_with_its_hash_sent_and_completed(file: Path) -> None:
    store, progress = Store(), list[tuple[int, int]]()

    upload = store.client.uploads.send(file, on_bytes=lambda sent, size: progress.append((sent, size)))

    assert (upload.complete, upload.size, upload.sha256) == (True, 15, hashlib.sha256(CONTENT).hexdigest())
    assert store.stored == {upload.id: CONTENT}
    assert progress[-1] == (15, 15)
    (put,) = store.puts
    assert "Authorization" not in put.headers  # the URL carries its own signature
    assert put.headers["Content-Length"] == "15"
    assert put.headers["Host"] == "store"


def test_a_put_that_breaks_off_starts_again(file: Path) -> None:
    store = Store()
    store.failures = [httpx.WriteError("cut"), httpx.Response(503)]
    assert store.client.uploads.send(file).complete
    assert len(store.puts) == 3
    assert set(store.stored.values()) == {CONTENT}


def test_a_refused_put_is_an_error(file: Path) -> None:
    store = Store()
    store.failures = [httpx.Response(403)]
    with pytest.raises(Forbidden):
        store.client.uploads.send(file)
    assert len(store.puts) == 1


def test_a_file_that_was_sent_before_an_interruption_is_not_sent_again(file: Path) -> None:
    store = Store()
    store.client.uploads.send(file)
    assert store.client.uploads.send(file).complete
    assert len(store.puts) == 1
    assert len(store.announced) == 1


def test_an_interrupted_upload_continues_as_the_same_upload(file: Path) -> None:
    store = Store()
    store.failures = [httpx.Response(400)]
    with pytest.raises(Exception, match="400"):
        store.client.uploads.send(file)
    assert store.client.uploads.send(file).id == "u0"


def test_an_upload_that_the_server_has_deleted_starts_anew(file: Path) -> None:
    store = Store()
    store.client.uploads.send(file)
    store.deleted = {"u0"}
    assert store.client.uploads.send(file).id == "u1"


def test_bytes_that_arrive_changed_are_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    monkeypatch.setattr(
        Store, "_put", lambda self, request, body: self.stored.update(u0=b"changed") or httpx.Response(200)
    )
    with pytest.raises(Invalid, match="sha256"):
        store.client.uploads.send(file)


class PartStore(Store):
    """A store that takes parts of four bytes."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        *_, number, last = request.url.path.split("/")
        if request.url.host == "store" or last not in {"parts", "url"}:
            response = super().__call__(request)
            if last != "uploads":
                return response
            return httpx.Response(201, json={**response.json(), "part_size": 4})
        if last == "url":
            return httpx.Response(200, json={"url": f"http://store/{number}"})
        parts = [{"number": int(part), "size": len(data)} for part, data in self.stored.items() if part.isdecimal()]
        return httpx.Response(200, json={"complete": False, "part_size": 4, "parts": parts})

    def _complete(self, number: str) -> httpx.Response:
        self.stored[number] = b"".join(data for _, data in sorted(self.stored.items()))
        return super()._complete(number)


def test_parts_go_straight_to_the_object_store_and_only_the_missing_ones_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "RESUMABLE", 10)
    store, progress = PartStore(), list[tuple[int, int]]()
    store.failures = [httpx.Response(503), httpx.WriteError("cut"), httpx.Response(403)]
    with pytest.raises(Forbidden):
        store.client.uploads.send(file)
    store.stored = {"1": CONTENT[:4], "3": CONTENT[8:12]}
    store.requests.clear()

    assert store.client.uploads.send(file, on_bytes=lambda sent, size: progress.append((sent, size))).complete

    assert [(put.url.path, put.read()) for put in store.puts] == [("/2", CONTENT[4:8]), ("/4", CONTENT[12:])]
    assert progress == [(4, 15), (8, 15), (12, 15), (15, 15)]


def test_a_folder_is_sent_as_a_zip(tmp_path: Path) -> None:
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    (tmp_path / "pets" / "cat" / "1.jpg").write_bytes(b"image")
    store = Store()
    assert store.client.uploads.send(tmp_path / "pets").filename == "pets.zip"
    assert next(iter(store.stored.values())).startswith(b"PK")


def test_a_missing_file_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    store = Store()
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        store.client.uploads.send(tmp_path / "none.zip")
    assert store.requests == []
