"""JSON that is nested deeply, or has numbers or texts that cannot be stored, in every body that has JSON."""

import json

import httpx
import pytest
from fastapi import FastAPI

from messaging.in_memory import MemoryChannel
from services.gateway.app import create_app
from services.gateway.edge.json_text import MAX_DEPTH, MAX_DIGITS
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds
from services.gateway.settings import GatewaySettings
from services.storage.stores import Stores
from tests.support.problems import problem
from tests.unit.gateway.backends import make_backends

pytestmark = pytest.mark.anyio

FILE = ("file", b"bytes", "application/octet-stream")
JSON_ROUTES = [
    ("POST", "/v1/jobs"),
    ("POST", "/v1/jobs/none/cancel"),
    ("POST", "/v1/keys"),
    ("POST", "/v1/uploads"),
    ("POST", "/v1/datasets/pets/versions"),
    ("PUT", "/v1/models/pet-cnn/aliases/production"),
    ("PATCH", "/v1/pools/trainer"),
]
FORMS = [
    ("/v1/datasets/pets/versions", "archive", "spec"),
    ("/v1/models/pet-cnn/versions", "model", "metadata"),
    ("/v1/backbones", "backbone", "metadata"),
]


def arrays(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def objects(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


BAD = {
    "arrays": arrays(MAX_DEPTH + 1),
    "objects": objects(MAX_DEPTH + 1),
    "deeper than the recursion limit": arrays(5_000),
    "unclosed": b"[" * 100_000,
    "in a field": b'{"kind": "train", "spec": {"layers": ' + arrays(MAX_DEPTH) + b"}}",
    "a number of 100,000 digits": b'{"priority": ' + b"1" * 100_000 + b"}",
    "a negative number": b'{"priority": -' + b"9" * MAX_DIGITS + b"}",
}
NOT_UNICODE = {"an encoded surrogate": b'{"kind": "\xed\xa0\x80"}'}


@pytest.fixture
def app(stores: Stores, channel: MemoryChannel) -> FastAPI:
    """The application with the limits of a deployment."""
    return create_app(make_backends(stores, Batcher(channel, Bounds()), GatewaySettings()))


@pytest.mark.parametrize("body", (BAD | NOT_UNICODE).values(), ids=BAD | NOT_UNICODE)
@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8", "application/x+json"])
async def test_a_json_body_beyond_the_bounds_is_malformed(
    client: httpx.AsyncClient, method: str, path: str, media_type: str, body: bytes
) -> None:
    response = await client.request(method, path, content=body, headers={"Content-Type": media_type})

    assert problem(response, 400, "malformed").detail.startswith("the body ")


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
@pytest.mark.parametrize(("path", "file", "document"), FORMS)
@pytest.mark.parametrize("as_file", [False, True])
async def test_a_json_part_beyond_the_bounds_is_malformed(
    client: httpx.AsyncClient, path: str, file: str, document: str, as_file: bool, body: bytes
) -> None:
    part = ("document.json", body) if as_file else (None, body)

    response = await client.post(path, files={file: FILE, document: part})

    assert problem(response, 400, "malformed").detail.startswith(f"the part `{document}` ")


@pytest.mark.parametrize(("path", "file", "document"), FORMS)
@pytest.mark.parametrize("as_file", [False, True])
async def test_a_json_part_is_not_read_beyond_its_limit(
    client: httpx.AsyncClient, path: str, file: str, document: str, as_file: bool
) -> None:
    part = ("document.json" if as_file else None, b" " * ((1 << 20) + 1))

    response = await client.post(path, files={file: FILE, document: part})

    assert "1048576 bytes" in problem(response, 413, "too_large").detail


async def test_half_of_a_surrogate_pair_is_invalid(client: httpx.AsyncClient) -> None:
    for text in ('{"spec": {"samples": {"x": ["\\ud800"]}}}', '{"samples": {"\\uDFFF": 1}}'):
        response = await client.post("/v1/jobs", content=text, headers={"Content-Type": "application/json"})
        assert "surrogate" in problem(response, 422, "invalid").detail
        response = await client.post("/v1/models/a/versions", files={"model": FILE, "metadata": (None, text)})
        assert "surrogate" in problem(response, 422, "invalid").detail


async def test_json_within_the_bounds_is_read(client: httpx.AsyncClient) -> None:
    within = [objects(MAX_DEPTH), b'{"name": "\\ud83d\\ude00"}', b'{"priority": ' + b"1" * MAX_DIGITS + b"}"]
    for body in within:
        response = await client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 422

    twice = b'{"name": "a", "name": "b", "scopes": ["read"]}'
    response = await client.post("/v1/keys", content=twice, headers={"Content-Type": "application/json"})
    assert response.json()["name"] == "b"


async def test_numbers_that_are_not_finite_are_refused_by_their_field(client: httpx.AsyncClient) -> None:
    for number in ("NaN", "Infinity", "-Infinity", "1e999"):
        body = '{"image": {"size": [8, 8]}, "split": {"train": %s}}' % number  # noqa: UP031  # braces
        response = await client.post("/v1/datasets/pets/versions", files={"archive": FILE, "spec": (None, body)})
        assert "finite" in problem(response, 422, "invalid").detail


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
async def test_an_inference_request_beyond_the_bounds_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1]}
    nested = json.dumps({"inputs": [tensor | {"data": "?"}]}).encode().replace(b'"?"', body)
    parameters = b'{"parameters": ' + body + b"}"
    requests = [("models/none/infer", content) for content in (body, nested, parameters)]
    for path, content in [*requests, ("repository/models/none/load", parameters)]:
        response = await client.post(f"/v2/{path}", content=content)
        assert response.status_code == 400
        assert set(response.json()) == {"error"}
