"""`tidepool datasets`"""

import pytest

from contract.catalog import Dataset, DatasetVersion
from tests.unit.tidepool.cli.conftest import Deployment, example, run

DATASET, VERSION = example(Dataset), example(DatasetVersion)


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    """A deployment with the dataset pets."""
    deployment.on("GET", "/v1/datasets", {"items": [DATASET], "next": None})
    deployment.on("GET", "/v1/datasets/pets", DATASET)
    deployment.on("GET", "/v1/datasets/pets/versions/2", VERSION)
    deployment.on("DELETE", "/v1/datasets/pets/versions/2", None, status=204)
    return deployment


def test_ls_shows_the_newest_version(deployment: Deployment) -> None:
    assert run("datasets", "ls").out.splitlines()[1].split()[:3] == ["pets", "2", "2"]
    assert run("datasets", "ls", "--json").json == [DATASET]


def test_show_counts_images_by_class_and_names_what_was_left_out(deployment: Deployment) -> None:
    lines = run("datasets", "show", "pets").out.splitlines()

    assert [line.split() for line in lines[1:5]] == [
        ["class", "train", "val", "test"],
        ["cat", "2", "0", "1"],
        ["dog", "2", "0", "1"],
        ["all", "4", "0", "2"],
    ]
    assert "  2 images have the same content (cat/1.jpg, cat/2.jpg)" in lines
    assert lines[-2:] == ["Left out, 1 in all:", "  cat/notes.txt: is not an image"]
    assert run("datasets", "show", "pets@2", "--json").json == VERSION


def test_rm_needs_a_version(deployment: Deployment) -> None:
    assert run("datasets", "rm", "pets").code == 2
    assert run("datasets", "rm", "pets@2").err == "Deleted pets@2.\n"
    assert deployment.paths == ["DELETE /v1/datasets/pets/versions/2"]


def test_an_unknown_dataset_is_refused_by_the_server(deployment: Deployment) -> None:
    result = run("datasets", "show", "none@1")

    assert (result.code, result.out) == (3, "")
    assert result.err == "There is no /v1/datasets/none/versions/1 (404 not_found).\n"
