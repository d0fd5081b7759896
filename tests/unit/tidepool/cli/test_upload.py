"""`tidepool upload`"""

from pathlib import Path

import pytest

from contract.catalog import DatasetVersion
from contract.jobs import JobState
from contract.kinds.preprocess import PreprocessResult
from tests.unit.tidepool.cli.conftest import Deployment, example, run

WARNING = {
    "code": "duplicate_images",
    "message": "5 images are in the dataset more than once",
    "count": 5,
    "examples": ["cat/1.jpg", "cat/2.jpg", "cat/3.jpg", "cat/4.jpg", "cat/5.jpg"],
    "advice": "remove the copies",
}
RESULT = example(
    PreprocessResult,
    dataset="my-pets@3",
    counts={"train": 8000, "val": 10, "test": 10},
    rejected=4,
    warnings=[WARNING],
    decisions=[{"what": "image.size", "value": [36, 40], "because": "most images are larger"}],
)
FILES = ("cat/broken.png", "dog/cut.png", "dog/empty.jpg", "notes.txt")
REJECTED = [{"file": file, "reason": f"reason of {file}"} for file in FILES]


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    """A deployment that accepts an upload and prepares it."""
    deployment.jobs("/v1/datasets/my-pets/versions", "preprocess", RESULT)
    deployment.on("GET", "/v1/datasets/my-pets/versions/3", example(DatasetVersion, rejected_files=REJECTED))
    return deployment


def test_a_folder_is_uploaded_and_what_was_made_of_it_is_shown(deployment: Deployment, folder: Path) -> None:
    result = run("upload", folder)

    assert result.code == 0
    assert deployment.requests[0].url.path == "/v1/datasets/my-pets/versions"
    assert b'filename="My Pets.zip"' in deployment.requests[0].content
    assert result.out.splitlines() == [
        "Dataset my-pets@3 is ready.",
        "  2 classes: cat, dog",
        "  8,000 images to train, 10 to validate, 10 to test",
        "  prepared as 32 by 32 pixels in color",
        "  4 files were left out:",
        "    cat/broken.png: reason of cat/broken.png",
        "    dog/cut.png: reason of dog/cut.png",
        "    dog/empty.jpg: reason of dog/empty.jpg",
        "    all of them: tidepool datasets show my-pets@3",
        "Warnings:",
        "  5 images are in the dataset more than once (cat/1.jpg, cat/2.jpg, cat/3.jpg, …)",
        "    What to do: remove the copies",
        "Decided from the images:",
        "  image.size = 40 wide and 36 high, because most images are larger",
        "Next:",
        "  tidepool train my-pets --follow",
    ]
    assert "Uploading: done" in result.err
    assert "Preparing the images: done" in result.err


def test_a_single_rejected_file_is_named(deployment: Deployment, folder: Path) -> None:
    deployment.jobs("/v1/datasets/my-pets/versions", "preprocess", RESULT | {"rejected": 1})
    deployment.on("GET", "/v1/datasets/my-pets/versions/3", example(DatasetVersion, rejected_files=REJECTED[:1]))

    output = run("upload", folder).out

    assert "1 file was left out:\n    cat/broken.png: reason of cat/broken.png\nWarnings" in output


def test_an_archive_is_uploaded_with_a_name_and_a_class_level(deployment: Deployment, tmp_path: Path) -> None:
    archive = tmp_path / "photos.tar.gz"
    archive.write_bytes(b"bytes")

    assert run("upload", archive, "--name", "my-pets", "--class-level", "2").code == 0
    assert b'filename="photos.tar.gz"' in deployment.requests[0].content
    assert b'{"layout": {"class_level": 2}}' in deployment.requests[0].content


def test_the_columns_of_a_table_can_be_named(deployment: Deployment, folder: Path) -> None:
    assert run("upload", folder, "--label-column", "dx", "--path-column", "image id").code == 0
    assert b'{"layout": {"label_column": "dx", "path_column": "image id"}}' in deployment.requests[0].content


def test_json_is_the_job_and_nothing_else(deployment: Deployment, folder: Path) -> None:
    job = run("upload", folder, "--json").json

    assert (job["state"], job["result"]["dataset"]) == ("succeeded", "my-pets@3")


@pytest.mark.parametrize(("path", "message"), [("none", "none does not exist"), ("", "The path is empty.")])
def test_a_path_that_does_not_exist_is_wrong_usage(deployment: Deployment, path: str, message: str) -> None:
    result = run("upload", path)

    assert (result.code, deployment.requests) == (2, [])
    assert message in result.err


def test_an_empty_folder_is_wrong_usage(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    result = run("upload", tmp_path / "empty")

    assert (result.code, deployment.requests) == (2, [])
    assert "has no files to upload" in result.err


def test_a_failed_preparation_says_why(deployment: Deployment, folder: Path) -> None:
    error = {"code": "bad_dataset", "message": "no images were found"}
    deployment.jobs("/v1/datasets/my-pets/versions", "preprocess", state=JobState.FAILED, error=error)

    result = run("upload", folder)

    assert (result.code, result.out) == (4, "")
    assert "no images were found. `tidepool jobs logs preprocess-1` shows what it did.\n" in result.err


def test_a_prefix_of_a_bucket_becomes_a_dataset_with_its_name(deployment: Deployment) -> None:
    result = run("upload", "s3://photos/2024/My Pets/", "--class-level", "2")

    assert result.code == 0
    (body,) = deployment.bodies("POST")
    assert body == {"source": {"s3": "s3://photos/2024/My Pets/"}, "layout": {"class_level": 2}}


def test_ctrl_c_stops_the_upload(deployment: Deployment, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tidepool_client._sync.datasets.Datasets.upload", interrupt)

    result = run("upload", folder)

    assert (result.code, result.out) == (130, "")
    assert "The upload was stopped" in result.err
