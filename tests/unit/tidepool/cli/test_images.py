"""`tidepool images`"""

import hashlib
from pathlib import Path

import pytest

from contract.image_index import ImageHolding
from contract.jobs import JobState
from contract.kinds.erase import EraseResult
from tests.unit.clients.test_client import job
from tests.unit.tidepool.cli.conftest import Deployment, example, run

FILE = b"a photo"
SHA256 = hashlib.sha256(FILE).hexdigest()
HOLDING = example(ImageHolding, sha256=SHA256)
RESULT = example(EraseResult, sha256=SHA256)


@pytest.fixture
def deployment(deployment: Deployment, environment: Path) -> Deployment:
    """A deployment that holds an image, and its file in this folder."""
    (environment / "cat.jpg").write_bytes(FILE)
    deployment.on("GET", f"/v1/images/{SHA256}", HOLDING)
    deployment.on("DELETE", f"/v1/images/{SHA256}", job(id="j1", kind="erase"), status=202)
    ended = job(JobState.SUCCEEDED, id="j1", kind="erase", result=RESULT)
    deployment.on("GET", "/v1/jobs/j1", job(JobState.RUNNING, id="j1", kind="erase"), ended)
    return deployment


@pytest.mark.parametrize("image", ["cat.jpg", SHA256, SHA256.upper()])
def test_show_says_what_holds_an_image(deployment: Deployment, image: str) -> None:
    lines = run("images", "show", image).out.splitlines()

    (record,) = HOLDING["occurrences"]
    assert lines[:2] == [SHA256, f"  pets@1: {record['path']} ({record['split']}, {record['label']})"]
    assert "  models that learned from it: pet-cnn@1" in lines
    assert "  not searched: birds@1" in lines
    assert run("images", "show", image, "--json").json == HOLDING
    assert set(deployment.paths) == {f"GET /v1/images/{SHA256}"}


def test_show_lists_some_of_many_places(deployment: Deployment) -> None:
    many = HOLDING | {"occurrences": HOLDING["occurrences"] * 1021}
    deployment.on("GET", f"/v1/images/{SHA256}", many)

    assert "  and 1,001 more places" in run("images", "show", SHA256).out.splitlines()


def test_rm_asks_and_then_follows_the_job(deployment: Deployment) -> None:
    result = run("images", "rm", "cat.jpg", typed="y\n")

    assert result.code == 0
    assert "pets@1" in result.err
    assert "Erase it everywhere in the project? It cannot be brought back." in result.err
    assert "Erasing the image" in result.err
    changed = ["  pets@1: 1 removed", "  archives made anew: 1"]
    assert result.out.splitlines()[1:4] == [f"Erased {SHA256}.", *changed]  # the first is what was typed
    assert "weights forget" in result.out
    assert deployment.paths[:2] == [f"GET /v1/images/{SHA256}", f"DELETE /v1/images/{SHA256}"]


@pytest.mark.parametrize(("typed", "code"), [("n\n", 0), ("\n", 0), ("", 2)])
def test_rm_erases_nothing_without_a_yes(deployment: Deployment, typed: str, code: int) -> None:
    result = run("images", "rm", SHA256, typed=typed)

    assert (result.code, result.out.strip()) == (code, typed.strip())  # the runner echoes what is typed
    assert "othing was erased" in result.err
    assert deployment.paths == [f"GET /v1/images/{SHA256}"]


def test_rm_with_yes_does_not_ask(deployment: Deployment) -> None:
    result = run("images", "rm", "cat.jpg", "--yes", "--project", "lab", "--json")

    assert (result.code, result.json["result"]) == (0, RESULT)
    assert deployment.paths[0] == f"DELETE /v1/images/{SHA256}"
    assert {request.headers["Tidepool-Project"] for request in deployment.requests} == {"lab"}


def test_an_erasure_that_fails_has_the_exit_code_of_jobs(deployment: Deployment) -> None:
    failed = job(JobState.FAILED, id="j1", kind="erase", error={"code": "internal", "message": "the worker died"})
    deployment.on("GET", "/v1/jobs/j1", failed)

    result = run("images", "rm", SHA256, "--yes")

    assert result.code == 4
    assert "tidepool jobs retry j1" in result.err


def test_an_image_that_nothing_holds_is_refused(deployment: Deployment) -> None:
    for words in (("show", "0" * 64), ("rm", "0" * 64), ("rm", "0" * 64, "--yes")):
        assert run("images", *words, typed="y\n").code == 3


@pytest.mark.parametrize("image", ["no-such-file.jpg", ".", "9" * 63, ""])
def test_what_is_neither_a_file_nor_a_hash_is_wrong_usage(deployment: Deployment, image: str) -> None:
    result = run("images", "show", image)

    assert (result.code, deployment.requests) == (2, [])
    assert "64 hex digits" in result.err
