"""Uploads in parts through the real gateway: an interrupted one goes on with the parts that are not stored."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from services.storage.catalog import upload_parts
from tests.unit.clients.in_process import InProcess, client_in_process
from tidepool_client import Client, ClientError, Invalid, NotFound, retries
from tidepool_client._sync import datasets, uploads

PART, PARTS = 1000, 4
CONTENT = random.Random(1).randbytes(PART * PARTS - 500)


class Line:
    """The connection to the gateway: counts the bytes of the parts that arrive, and is cut after some of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.received = 0
        self.most: int | None = None  # parts that arrive
        answer = InProcess.handle_request

        def handle_request(transport: InProcess, request: httpx.Request) -> httpx.Response:
            if request.method == "PUT":
                if self.most == 0:
                    raise httpx.WriteError("cut")
                self.most = None if self.most is None else self.most - 1
                self.received += len(request.read())
            return answer(transport, request)

        monkeypatch.setattr(InProcess, "handle_request", handle_request)


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(monkeypatch)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(retries, "BASE_S", 0)
    monkeypatch.setattr(upload_parts, "PART_BYTES", PART)
    for module in (datasets, uploads):
        monkeypatch.setattr(module, "RESUMABLE", PART)
    with capture_logs(), client_in_process(tmp_path) as client:
        yield client


@pytest.fixture(params=["file", "folder"])
def source(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    if request.param == "file":
        (tmp_path / "pets.zip").write_bytes(CONTENT)
        return tmp_path / "pets.zip"
    for number in range(PARTS - 1):
        path = tmp_path / "pets" / "cat" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT[:PART])
    return tmp_path / "pets"


def test_an_upload_that_was_cut_in_the_middle_goes_on_with_the_missing_parts(
    client: Client, line: Line, source: Path
) -> None:
    # given an upload of which two parts have arrived
    line.most = 2
    with pytest.raises(ClientError, match="does not answer"):
        client.datasets.upload("cats", source)
    assert line.received == 2 * PART

    # when it is sent again
    line.most, line.received, progress = None, 0, list[tuple[int, int]]()
    job = client.datasets.upload("cats", source, on_bytes=lambda sent, size: progress.append((sent, size)))

    # then only the other parts are sent, and the file is the same
    upload = client.uploads.complete(job.spec["source"]["upload"])
    assert line.received == upload.size - 2 * PART
    if source.is_file():
        assert (upload.size, upload.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert progress[-1] == (upload.size, upload.size)

    # and a third time nothing is sent
    line.received = 0
    assert client.datasets.upload("cats", source).spec["source"]["upload"] == upload.id
    assert line.received == 0


def test_a_part_that_breaks_off_is_sent_again_by_itself(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, failures = InProcess.handle_request, [True, False, True]

    def handle_request(transport: InProcess, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT" and failures and failures.pop():
            raise httpx.WriteError("cut")
        return answer(transport, request)

    monkeypatch.setattr(InProcess, "handle_request", handle_request)
    (tmp_path / "pets.zip").write_bytes(CONTENT)

    assert client.uploads.send(tmp_path / "pets.zip", direct=False).complete


def test_an_upload_whose_version_is_refused_is_deleted(client: Client, line: Line, tmp_path: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(CONTENT)
    created: list[Any] = []
    create = client.uploads.create

    client.uploads.create = lambda *names, **options: created.append(create(*names, **options)) or created[-1]  # type: ignore[func-returns-value, method-assign]
    with pytest.raises(Invalid):
        client.datasets.upload("cats", tmp_path / "pets.zip", spec={"split": {"test": 7}})

    with pytest.raises(NotFound):
        client.uploads.parts(created[0].id)


def test_another_file_of_the_same_name_is_another_upload(client: Client, line: Line, tmp_path: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(CONTENT)
    line.most = 2
    with pytest.raises(ClientError):
        client.datasets.upload("cats", tmp_path / "pets.zip")

    line.most, line.received = None, 0
    (tmp_path / "pets.zip").write_bytes(CONTENT[::-1])  # another upload
    job = client.datasets.upload("cats", tmp_path / "pets.zip")

    assert line.received == len(CONTENT)
    sha256 = client.uploads.complete(job.spec["source"]["upload"]).sha256
    assert sha256 == hashlib.sha256(CONTENT[::-1]).hexdigest()
