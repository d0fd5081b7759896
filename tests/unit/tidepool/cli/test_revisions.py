"""`tidepool datasets`: relabel, remove, revise, import-labels, diff and export."""

import hashlib
from pathlib import Path

import pytest

from contract.catalog import Dataset, DatasetVersion, Upload
from contract.kinds.revise import ReviseResult
from contract.revisions import VersionDiff
from tests.unit.tidepool.cli.conftest import Deployment, example, run

FILE = b"a photo"
SHA256 = hashlib.sha256(FILE).hexdigest()
VERSIONS = "/v1/datasets/pets/versions"


@pytest.fixture
def deployment(deployment: Deployment, environment: Path) -> Deployment:
    """A deployment with the dataset pets, and a file of an image in this folder."""
    (environment / "cat.jpg").write_bytes(FILE)
    revision = {"parent": "pets@1", "relabelled": 1, "added": 0, "removed": 0, "held_back": 0, "unmatched": 0}
    result = example(ReviseResult, dataset="pets@2", revision=revision | {"test_split": "frozen"})
    deployment.jobs(VERSIONS, "revise", result)
    deployment.on("GET", "/v1/datasets/pets", example(Dataset))
    deployment.on("GET", f"{VERSIONS}/2", example(DatasetVersion, version=2))
    return deployment


@pytest.mark.parametrize("image", ["cat.jpg", SHA256.upper()])
def test_relabel_sends_the_hash_of_an_image(deployment: Deployment, image: str) -> None:
    result = run("datasets", "relabel", "pets@1", "dog", image)

    assert (result.code, result.out.splitlines()) == (
        0,
        ["pets@2, from pets@1: 1 relabelled, 0 added, 0 removed.", "Next:", "  tidepool datasets diff pets@2 1"],
    )
    (body,) = deployment.bodies("POST")
    assert body["changes"] == [{"sha256": SHA256, "label": "dog", "remove": False}]
    assert body["parent"] == "pets@1"
    assert "test_split" not in body


def test_remove_can_open_the_test_split_and_drop_classes(deployment: Deployment) -> None:
    run("datasets", "remove", "pets", "cat.jpg", "--open-test", "--drop-empty")

    (body,) = deployment.bodies("POST")
    assert body["changes"] == [{"sha256": SHA256, "label": None, "remove": True}]
    assert (body["test_split"], body["empty_classes"]) == ("open", "drop")


def test_revise_applies_all_answers(deployment: Deployment) -> None:
    assert run("datasets", "revise", "pets@1").code == 0
    assert [body["reviews"] for body in deployment.bodies("POST")] == ["all"]


def test_answers_that_only_confirm_make_no_version(deployment: Deployment) -> None:
    revision = {"parent": "pets@1", "relabelled": 0, "added": 0, "removed": 0}
    deployment.jobs(VERSIONS, "revise", example(ReviseResult, dataset="pets@1", revision=revision, reviews=3))

    assert run("datasets", "revise", "pets@1").out == (
        "The 3 answers confirm the labels of pets@1, so there is no new version.\n"
    )


def test_what_is_no_image_is_refused(deployment: Deployment) -> None:
    result = run("datasets", "relabel", "pets@1", "dog", "none.jpg")

    assert (result.code, deployment.requests) == (2, [])
    assert "none.jpg does not exist. Name an image file, or the 64 hex digits of its SHA-256." in result.err


def test_import_labels_sends_the_file(deployment: Deployment, environment: Path) -> None:
    (environment / "labels.csv").write_text("sha256,label\n")
    upload = example(Upload, id="u1", complete=False) | {"url": "http://tidepool/put", "part_size": 1 << 20}
    deployment.on("POST", "/v1/uploads", upload, status=201)
    deployment.on("GET", "/v1/uploads/u1/parts", {"complete": False, "part_size": 1 << 20, "parts": []})
    deployment.on("PUT", "/v1/uploads/u1/parts/1", None, status=204)
    deployment.on("POST", "/v1/uploads/u1/complete", example(Upload, id="u1"))

    assert run("datasets", "import-labels", "pets@1", "labels.csv").code == 0
    (body,) = deployment.bodies_of(f"POST {VERSIONS}")
    assert body["labels"] == {"upload": "u1"}


def test_diff_counts_and_lists(deployment: Deployment) -> None:
    diff = example(VersionDiff)
    deployment.on("GET", f"{VERSIONS}/2/diff/1", diff)

    result = run("datasets", "diff", "pets@2", "1")

    assert result.out.splitlines() == [
        "pets@2 against pets@1: 2 added, 1 removed, 1 relabelled, 0 in another split, 4 equal.",
        "change      in pets@1  in pets@2  image",
        "relabelled  train cat  train dog  train/cat/1.jpg",
    ]
    assert "3 more images differ" in result.err
    assert run("datasets", "diff", "pets@2", "pets@1", "--json").json == diff


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("dogs@1", "dogs@1 is not of the dataset pets."),
        ("pets", "pets names no version."),
        ("0", "0 names no version."),
    ],
)
def test_diff_refuses_what_is_no_version_of_the_dataset(deployment: Deployment, base: str, message: str) -> None:
    result = run("datasets", "diff", "pets@2", base)

    assert (result.code, deployment.requests) == (2, [])
    assert message in result.err


def test_export_writes_a_file_that_is_named_like_the_version(deployment: Deployment, environment: Path) -> None:
    deployment.on("GET", f"{VERSIONS}/2/export", "path,label\n")

    result = run("datasets", "export", "pets", "--format", "csv")

    assert (result.code, result.err) == (0, "Wrote pets@2 to pets-2.csv.\n")
    assert (environment / "pets-2.csv").read_text() == "path,label\n"
    assert deployment.requests[-1].url.params["format"] == "csv"
    assert "no format" in run("datasets", "export", "pets", "--format", "xml").err
