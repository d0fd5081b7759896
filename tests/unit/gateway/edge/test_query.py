"""Query parameters that a path does not have."""

import time

import httpx
import pytest

from contract.jobs import Job
from tests.support.problems import problem

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("method", "path", "name", "hint"),
    [
        (
            "POST",
            "/v1/models/pet-cnn/predict?topk=3",
            "topk",
            "did you mean top_k? this path has alias, top_k, version",
        ),
        ("POST", "/v1/models/pet-cnn/predict?top_k=1&Top-K=3", "Top-K", "did you mean top_k?"),
        ("POST", "/v1/models/pet-cnn/predict?versoin=3", "versoin", "did you mean version?"),
        ("GET", "/v1/jobs?created_after=", "created_after", "has cursor, dataset, kind, limit, model, parent, state"),
        ("GET", "/v1/jobs?limit=2&status=failed", "status", "did you mean state?"),
        ("GET", "/v1/jobs/none?timeout=3", "timeout", "this path has wait"),
        ("POST", "/v1/jobs?priority=1", "priority", "this path has no query parameters"),
        ("GET", "/v1/datasets/pets?page=2", "page", "this path has no query parameters"),
        ("DELETE", "/v1/datasets/pets/versions/1?force=true", "force", "this path has no query parameters"),
        ("GET", "/v1/me?x", "x", "this path has no query parameters"),
        ("GET", "/v1/models?offset=9", "offset", "this path has cursor, limit"),
    ],
)
@pytest.mark.usefixtures("dataset", "model")
async def test_an_unknown_parameter_is_named(
    client: httpx.AsyncClient, method: str, path: str, name: str, hint: str
) -> None:
    result = problem(await client.request(method, path), 422, "invalid")

    (fault,) = result.errors
    assert fault.where == f"query.{name}"
    assert hint in fault.message
    assert hint in result.detail


@pytest.mark.usefixtures("dataset")
async def test_nothing_is_changed_by_a_request_with_an_unknown_parameter(client: httpx.AsyncClient) -> None:
    await client.delete("/v1/datasets/pets/versions/1?dry_run=true")

    assert (await client.get("/v1/datasets/pets/versions/1")).status_code == 200


async def test_a_long_name_is_cut(client: httpx.AsyncClient) -> None:
    result = problem(await client.get(f"/v1/jobs?{'x' * 5_000}=1"), 422, "invalid")

    assert len(result.detail) < 300


async def test_the_key_is_checked_first(anonymous: httpx.AsyncClient) -> None:
    result = problem(await anonymous.get("/v1/jobs?x=1"), 401, "unauthenticated")

    assert not result.errors


async def test_an_empty_cursor_is_the_first_page(client: httpx.AsyncClient, dataset: Job) -> None:
    for path in ("jobs", "datasets"):
        page = (await client.get(f"/v1/{path}?cursor=")).json()
        assert page == (await client.get(f"/v1/{path}")).json()
        assert len(page["items"]) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2"),
        ("GET", "/v2/models/pet-cnn"),
        ("GET", "/v2/models/pet-cnn/versions/1/ready"),
        ("POST", "/v2/models/pet-cnn/infer"),
        ("POST", "/v2/models/pet-cnn/versions/1/infer"),
        ("POST", "/v2/repository/index"),
        ("POST", "/v2/repository/models/pet-cnn/load"),
    ],
)
@pytest.mark.usefixtures("model")
async def test_the_inference_protocol_names_unknown_parameters(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    response = await client.request(method, f"{path}?topk=3")

    assert response.status_code == 400
    assert response.json()["error"].startswith("query.topk: unknown parameter; this path has ")


async def test_health_and_the_documentation_ignore_parameters(client: httpx.AsyncClient) -> None:
    for path in ("/docs?x=1", "/openapi.json?x=1", "/v2/health/live?x=1", "/livez?x=1"):
        assert (await client.get(path)).status_code == 200


async def test_an_answer_to_very_many_unknown_parameters_is_quick(client: httpx.AsyncClient) -> None:
    query = "&".join(f"{number:x}" for number in range(8000))
    started = time.monotonic()

    response = await client.get(f"/v1/me?{query}")

    assert len(problem(response, 422, "invalid").errors) == 20
    assert time.monotonic() - started < 5
