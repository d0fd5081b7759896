"""`tidepool upload`"""

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from contract.jobs import JobState
from tests.unit.clients.test_client import Server, job
from tidepool.cli import connection
from tidepool.cli.app import app
from tidepool_client import Client

RESULT = {
    "dataset": "pets@3",
    "classes": ["cat", "dog"],
    "counts": {"train": 80, "val": 10, "test": 10},
    "rejected": 4,
    "shape": [3, 224, 224],
    "warnings": [
        {
            "code": "duplicate_images",
            "message": "5 images are in the dataset more than once",
            "count": 5,
            "examples": ["cat/1.jpg", "cat/2.jpg", "cat/3.jpg", "cat/4.jpg", "cat/5.jpg"],
            "advice": "remove the copies",
        }
    ],
    "decisions": [{"what": "image.size", "value": [36, 40], "because": "most images are larger"}],
}
REJECTED = ("cat/broken.png", "dog/cut.png", "dog/empty.jpg", "notes.txt")
DATASET = {
    **{"name": "pets", "version": 3, "job": "j1", "created_at": "2026-01-01T00:00:00Z", "classes": ["cat", "dog"]},
    **{"image": {"size": [36, 40], "mode": "RGB"}, "shape": [3, 36, 40], "mean": [0.5] * 3, "std": [0.5] * 3},
    **{"counts": RESULT["counts"], "counts_by_class": {}, "thumbnails": [], "rejected": 4},
    "rejected_files": [{"file": file, "reason": f"reason of {file}"} for file in REJECTED],
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that accepts an upload, prepares it and succeeds."""
    server = Server(
        httpx.Response(202, json=job()),
        httpx.Response(200, json=job(JobState.RUNNING)),
        httpx.Response(200, json=job(JobState.SUCCEEDED, result=RESULT)),
        httpx.Response(200, json=DATASET),
    )
    monkeypatch.setattr("tidepool_client._sync.jobs.POLL_S", 0)
    monkeypatch.setattr(connection, "connect", lambda _: server.client)
    return server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "My Pets" / "cat"
    path.mkdir(parents=True)
    (path / "1.jpg").write_bytes(b"image")
    return path.parent


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["upload", *map(str, arguments)])


def test_a_folder_is_uploaded_and_its_result_explained(server: Server, folder: Path) -> None:
    result = run(folder)

    assert result.exit_code == 0, result.output
    assert server.requests[0].url.path == "/v1/datasets/my-pets/versions"
    content = server.requests[0].content
    assert int(server.requests[0].headers["content-length"]) == len(content)
    start, end = content.index(b"PK"), content.rindex(b"\r\n--")
    assert zipfile.ZipFile(BytesIO(content[start:end])).namelist() == ["cat/1.jpg"]
    for text in (
        "Dataset pets@3 is ready.",
        "2 classes: cat, dog",
        "80 images to train, 10 to validate, 10 to test",
        "4 files were left out:",
        "cat/broken.png: reason of cat/broken.png",
        "all of them: GET /v1/datasets/pets/versions/3, under rejected_files",
        "5 images are in the dataset more than once (cat/1.jpg, cat/2.jpg, cat/3.jpg, …)",
        "What to do: remove the copies",
        "image.size = 40 wide and 36 high, because most images are larger",
    ):
        assert text in result.output
    assert "notes.txt" not in result.output


def test_one_file_that_was_left_out_is_named(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Server(
        httpx.Response(202, json=job()),
        httpx.Response(200, json=job(JobState.SUCCEEDED, result=RESULT | {"rejected": 1})),
        httpx.Response(200, json=DATASET | {"rejected": 1, "rejected_files": DATASET["rejected_files"][:1]}),
    )
    monkeypatch.setattr(connection, "connect", lambda _: other.client)

    output = run(folder).output

    assert "1 file was left out:\n    cat/broken.png: reason of cat/broken.png\n" in output
    assert "all of them" not in output


def test_an_archive_is_uploaded_with_a_name_and_a_class_level(server: Server, tmp_path: Path) -> None:
    archive = tmp_path / "photos.tar.gz"
    archive.write_bytes(b"bytes")

    assert run(archive, "--name", "pets", "--class-level", "2").exit_code == 0
    assert server.requests[0].url.path == "/v1/datasets/pets/versions"
    assert b'filename="photos.tar.gz"' in server.requests[0].content
    assert b'{"layout": {"class_level": 2}}' in server.requests[0].content


def test_the_columns_of_a_table_can_be_named(server: Server, folder: Path) -> None:
    assert run(folder, "--label-column", "dx", "--path-column", "image id").exit_code == 0
    assert b'{"layout": {"label_column": "dx", "path_column": "image id"}}' in server.requests[0].content


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    result = run(tmp_path / "none")

    assert result.exit_code == 1
    assert "none does not exist" in result.stderr


def test_an_empty_path_is_not_the_current_folder(server: Server) -> None:
    result = run("")

    assert result.exit_code == 1
    assert "The path is empty." in result.stderr
    assert not server.requests


def test_a_failed_preprocessing_is_an_error(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = job(JobState.FAILED, error={"code": "bad_dataset", "message": "no images were found"})
    other = Server(httpx.Response(202, json=job()), httpx.Response(200, json=failed))
    monkeypatch.setattr(connection, "connect", lambda _: other.client)

    result = run(folder)

    assert result.exit_code == 1
    assert "no images were found" in result.stderr
    assert isinstance(server.client, Client)


def test_a_prefix_of_a_bucket_becomes_a_dataset_with_its_name(server: Server) -> None:
    result = run("s3://photos/2024/My Pets/", "--class-level", "2")

    assert result.exit_code == 0, result.output
    request = server.requests[0]
    assert request.url.path == "/v1/datasets/my-pets/versions"
    assert json.loads(request.content) == {"source": {"s3": "s3://photos/2024/My Pets/"}, "layout": {"class_level": 2}}
    assert "Dataset pets@3 is ready." in result.output
