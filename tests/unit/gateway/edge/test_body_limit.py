"""Bodies over the size limit, with and without a Content-Length."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.problems import problem
from tests.unit.gateway.backends import SETTINGS

pytestmark = pytest.mark.anyio

FORM = "multipart/form-data; boundary=x"
ROUTES = [
    ("POST", "/v1/jobs", "application/json", SETTINGS.max_json_bytes),
    ("PUT", "/v1/models/pet-cnn/aliases/a", "application/json", SETTINGS.max_json_bytes),
    ("POST", "/v1/datasets/pets/versions", FORM, SETTINGS.max_upload_bytes),
    ("POST", "/v1/datasets/pets/versions", "application/json", SETTINGS.max_json_bytes),
    ("POST", "/v1/models/pet-cnn/predict", FORM, SETTINGS.max_predict_bytes),
    ("POST", "/v1/models/pet-cnn/predict", "image/png", SETTINGS.max_predict_bytes),
]


async def _chunks(size: int) -> AsyncIterator[bytes]:
    yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    for _ in range(size // 100 + 1):
        yield b" " * 100


@pytest.mark.parametrize(("method", "path", "media_type", "limit"), ROUTES)
async def test_a_body_with_too_large_a_content_length_is_refused(
    client: httpx.AsyncClient, method: str, path: str, media_type: str, limit: int
) -> None:
    response = await client.request(method, path, content=b" " * (limit + 1), headers={"Content-Type": media_type})

    assert str(limit) in problem(response, 413, "too_large").detail


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(("method", "path", "media_type", "limit"), ROUTES)
async def test_a_streamed_body_over_the_limit_is_refused(
    client: httpx.AsyncClient, method: str, path: str, media_type: str, limit: int
) -> None:
    response = await client.request(method, path, content=_chunks(limit), headers={"Content-Type": media_type})

    assert str(limit) in problem(response, 413, "too_large").detail


async def test_a_body_of_exactly_the_limit_is_read(client: httpx.AsyncClient) -> None:
    body = b'{"name": "a", "scopes": ["read"]}'.ljust(SETTINGS.max_json_bytes)

    response = await client.post("/v1/keys", content=body, headers={"Content-Type": "application/json"})

    assert response.status_code == 201


@pytest.mark.parametrize("length", ["-1", "ten", "1e9", ""])
async def test_a_content_length_that_is_not_a_number_is_refused(client: httpx.AsyncClient, length: str) -> None:
    response = await client.post("/v1/keys", content=b"{}", headers={"Content-Length": length})

    assert "Content-Length" in problem(response, 400, "malformed").detail
