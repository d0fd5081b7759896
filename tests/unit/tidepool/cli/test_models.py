"""`tidepool models`, `tidepool promote` and `tidepool export`"""

from pathlib import Path

import httpx
import pytest

from contract.catalog import Alias, Model, ModelVersion
from tests.unit.tidepool.cli.conftest import Deployment, example, run

MODEL, VERSION = example(Model), example(ModelVersion)
ALIAS = "/v1/models/pet-cnn/aliases/production"


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    """A deployment with the model pet-cnn, whose version 1 is in production."""
    deployment.on("GET", "/v1/models", {"items": [MODEL], "next": None})
    deployment.on("GET", "/v1/models/pet-cnn", MODEL)
    deployment.on("GET", "/v1/models/pet-cnn/versions/1", VERSION)
    deployment.on("GET", "/v1/models/pet-cnn/versions/2", example(ModelVersion, version=2))
    deployment.on("PUT", ALIAS, example(Alias, version=2, versions={"2": 100}))
    deployment.on("GET", "/v1/models/pet-cnn/versions/1/card", httpx.Response(200, text="# pet-cnn"))
    deployment.on("GET", "/v1/models/pet-cnn/versions/1/export", httpx.Response(200, content=b"a zip"))
    deployment.on("DELETE", "/v1/models/pet-cnn/versions/1/quarantine", VERSION)
    for path in ("/v1/models/pet-cnn/versions/1", ALIAS):
        deployment.on("DELETE", path, None, status=204)
    return deployment


def test_ls_shows_versions_and_aliases(deployment: Deployment) -> None:
    row = run("models", "ls").out.splitlines()[1]

    assert row.split()[:6] == ["pet-cnn", "1", "1", "production", "=", "version"]
    assert run("models", "ls", "--json").json == [MODEL]


def test_without_models_ls_says_how_to_make_one(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/models", {"items": [], "next": None})

    result = run("models", "ls")

    assert (result.code, result.out) == (0, "")
    assert "tidepool train FOLDER" in result.err


@pytest.mark.parametrize("reference", ["pet-cnn", "pet-cnn@1", "pet-cnn@production"])
def test_show_says_how_good_a_version_is(deployment: Deployment, reference: str) -> None:
    text = run("models", "show", reference).out

    assert text.startswith("pet-cnn@1 is ready\n  trained on pets@1 ")
    assert "right on 50.0 % of 2 test images" in text
    assert "answers as pet-cnn@production" in text
    assert [line.split() for line in text.splitlines() if line.startswith("cat ")] == [
        ["cat", "2", "50.0", "%", "100.0", "%", "–"]
    ]
    assert run("models", "show", reference, "--json").json == VERSION


def test_a_rejected_version_shows_its_reason(deployment: Deployment) -> None:
    rejected = example(ModelVersion, status="rejected", reason="the graph cannot run", metrics=None, decisions=[])
    deployment.on("GET", "/v1/models/pet-cnn/versions/1", rejected)

    assert run("models", "show", "pet-cnn@1").out.startswith("pet-cnn@1 is rejected: the graph cannot run\n")


def test_the_card_is_printed(deployment: Deployment) -> None:
    assert run("models", "card", "pet-cnn").out == "# pet-cnn\n"


def test_versions_and_aliases_are_deleted_by_their_whole_name(deployment: Deployment) -> None:
    assert run("models", "rm", "pet-cnn@1").err == "Deleted pet-cnn@1.\n"
    assert run("models", "rm-alias", "pet-cnn@production").err == "Deleted the alias pet-cnn@production.\n"
    assert run("models", "rm", "pet-cnn").code == 2
    assert run("models", "rm-alias", "pet-cnn").code == 2

    assert deployment.paths == ["DELETE /v1/models/pet-cnn/versions/1", f"DELETE {ALIAS}"]


def test_a_quarantine_is_lifted(deployment: Deployment) -> None:
    assert run("models", "lift-quarantine", "pet-cnn@1").out == "pet-cnn@1 serves again; it is ready.\n"
    assert deployment.paths == ["DELETE /v1/models/pet-cnn/versions/1/quarantine"]


def test_promote_says_how_to_roll_back(deployment: Deployment) -> None:
    result = run("promote", "pet-cnn@2")

    assert result.out.splitlines() == [
        "pet-cnn@production is version 2 now.",
        "It was version 1; `tidepool promote pet-cnn@1 --alias production` rolls back.",
    ]
    assert deployment.bodies("PUT") == [{"version": 2}]
    assert run("promote", "pet-cnn@2", "--json").json["versions"] == {"2": 100}


def test_promote_takes_another_alias(deployment: Deployment) -> None:
    deployment.on("PUT", "/v1/models/pet-cnn/aliases/staging", example(Alias, alias="staging"))

    assert run("promote", "pet-cnn", "--alias", "staging").out == "pet-cnn@staging is version 1 now.\n"


def test_export_writes_a_zip_named_after_the_version(deployment: Deployment, environment: Path) -> None:
    assert run("export", "pet-cnn@production").out == "pet-cnn@1 is in pet-cnn-1.zip, 1 KiB.\n"
    assert run("export", "pet-cnn", "-o", "mine.zip", "--variant", "int8").code == 0

    assert sorted(path.name for path in environment.iterdir()) == ["mine.zip", "pet-cnn-1.zip"]
    assert (environment / "mine.zip").read_bytes() == b"a zip"
    assert deployment.requests[-1].url.params["variant"] == "int8"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [(["--variant", "int9"], 2, "choose one of fp32, fp16, int8"), (["-o", "none/a.zip"], 1, "none does not exist")],
)
def test_an_export_that_cannot_be_written_downloads_nothing(
    deployment: Deployment, words: list[str], code: int, message: str
) -> None:
    result = run("export", "pet-cnn", *words)

    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert not any("export" in path for path in deployment.paths)
