"""The response to every error class."""

import httpx
import pytest
from fastapi import FastAPI

from contract.errors import TidepoolError
from tests.support.problems import problem

pytestmark = pytest.mark.anyio


def _kinds(root: type[TidepoolError]) -> list[type[TidepoolError]]:
    return [root, *(result for kind in root.__subclasses__() for result in _kinds(kind))]


@pytest.mark.parametrize("kind", _kinds(TidepoolError), ids=lambda kind: kind.__name__)
async def test_every_error_has_its_own_status_and_code(
    app: FastAPI, anonymous: httpx.AsyncClient, kind: type[TidepoolError]
) -> None:
    # given an endpoint that fails with an internal cause
    @app.get("/fail")
    def fail() -> None:
        raise kind("what to do about it") from OSError("/srv/secret: no such file")

    response = await anonymous.get("/fail")

    # then the answer has the error's message, and not its cause
    result = problem(response, kind.status, kind.code)
    assert result.detail == "what to do about it"
    assert "secret" not in response.text
    assert (response.headers.get("retry-after") == "2") == (kind.status in {429, 503})
    assert (response.headers.get("www-authenticate") == "Bearer") == (kind.status == 401)


async def test_an_unknown_path_is_not_found(client: httpx.AsyncClient) -> None:
    result = problem(await client.get("/v1/images"), 404, "no_such_path")

    assert result.detail == "there is no such path; /docs lists them all"


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/v1/me", "GET"), ("/v1/keys", "GET, POST"), ("/v1/models/a/versions/1", "DELETE, GET"), ("/docs", "GET, HEAD")],
)
async def test_a_method_that_the_path_does_not_support_is_refused(
    client: httpx.AsyncClient, path: str, methods: str
) -> None:
    response = await client.patch(path)

    result = problem(response, 405, "method_not_allowed")
    assert result.detail == f"this path does not take PATCH; it takes {methods}"
    assert response.headers["allow"] == methods


@pytest.mark.parametrize("body", [b"{", b"{'kind': 'train'}", b"\xff\xfe", b"[" * 1_500], ids=repr)
async def test_a_body_that_is_not_json_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert "JSON" in problem(response, 400, "malformed").detail


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
async def test_json_with_another_media_type_is_refused(client: httpx.AsyncClient, media_type: str) -> None:
    response = await client.post("/v1/keys", content=b'{"name": "a"}', headers={"Content-Type": media_type})

    assert "application/json" in problem(response, 415, "unsupported_media").detail


async def test_a_missing_body_is_refused(client: httpx.AsyncClient) -> None:
    result = problem(await client.post("/v1/keys"), 422, "invalid")

    assert [(fault.where, fault.message) for fault in result.errors] == [("body", "Field required")]


async def test_at_most_twenty_validation_errors_are_listed(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/keys", json={f"field{index}": 1 for index in range(100)})

    assert len(problem(response, 422, "invalid").errors) == 20
