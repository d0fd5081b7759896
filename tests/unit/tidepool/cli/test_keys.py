"""`tidepool keys`"""

from datetime import UTC, datetime, timedelta

import pytest

from contract.access import ApiKey
from tests.unit.tidepool.cli.conftest import Deployment, example, run

SECRET = "tp_0123abcd_" + "A" * 43
API_KEY = example(ApiKey)


@pytest.fixture
def deployment(deployment: Deployment) -> Deployment:
    """A deployment with one key."""
    deployment.on("GET", "/v1/keys", {"items": [API_KEY], "next": None})
    deployment.on("POST", "/v1/keys", API_KEY | {"secret": SECRET}, status=201)
    deployment.on("DELETE", "/v1/keys/0123abcd", None, status=204)
    return deployment


def test_ls_shows_each_key_without_its_secret(deployment: Deployment) -> None:
    table = run("keys", "ls").out

    assert all(text in table for text in ("0123abcd", "laptop", "predict, read", "2026-01-0", "never"))
    assert run("keys", "ls", "--json").json == [API_KEY]


def test_show_finds_a_key_by_its_id(deployment: Deployment) -> None:
    assert "laptop, key 0123abcd of the project default" in run("keys", "show", "0123abcd").out
    assert run("keys", "show", "0123abcd", "--json").json == API_KEY

    missing = run("keys", "show", "ffffffff")

    assert (missing.code, missing.out) == (3, "")
    assert "There is no key ffffffff" in missing.err


def test_create_prints_only_the_secret(deployment: Deployment) -> None:
    result = run("keys", "create", "laptop", "--role", "labeller", "--days", "30")

    assert (result.code, result.out) == (0, SECRET + "\n")
    assert "Created the key 0123abcd, which expires" in result.err
    (body,) = deployment.bodies("POST")
    expires_at = datetime.fromisoformat(body.pop("expires_at"))
    assert abs(expires_at - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    assert body == {"name": "laptop", "role": "labeller"}


def test_create_takes_scopes_in_place_of_a_role(deployment: Deployment) -> None:
    words = ("--scope", "read", "--scope", "predict", "--origin", "https://a.example", "--json")

    assert run("keys", "create", "laptop", *words).json["secret"] == SECRET
    body = {"name": "laptop", "scopes": ["read", "predict"], "origins": ["https://a.example"]}
    assert deployment.bodies("POST") == [body]


@pytest.mark.parametrize("words", [[], ["--role", "viewer", "--scope", "read"]])
def test_create_needs_either_a_role_or_scopes(deployment: Deployment, words: list[str]) -> None:
    result = run("keys", "create", "laptop", *words)

    assert (result.code, deployment.requests) == (2, [])
    assert "Give a role" in result.err


def test_rm_revokes_a_key(deployment: Deployment) -> None:
    assert run("keys", "rm", "0123abcd").err == "Revoked the key 0123abcd.\n"

    other = run("keys", "rm", "../jobs")

    assert (other.code, other.err) == (3, "There is no /v1/keys/../jobs (404 not_found).\n")
    assert deployment.requests[-1].url.raw_path == b"/v1/keys/..%2Fjobs"


def test_the_project_is_named_in_a_header(deployment: Deployment) -> None:
    run("keys", "ls", "--project", "lab")

    assert deployment.requests[0].headers["Tidepool-Project"] == "lab"
