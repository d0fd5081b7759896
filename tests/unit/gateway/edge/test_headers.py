"""Security headers on every kind of answer, over real connections."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Response

from contract.access import DEFAULT_PROJECT, Scope
from services.gateway.app import create_app, create_protocol
from services.gateway.dependencies import Backends
from services.gateway.serving.predictor import ModelQuery
from services.gateway.settings import GatewaySettings
from services.storage.stores import Stores
from tests.support.certificates import Authority
from tests.support.problems import problem
from tests.unit.gateway.backends import SETTINGS, make_backends
from tests.unit.gateway.fast_path.serving import no_app, serving, warm

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model", "fresh_cache")]

COMMON = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
PREDICT = "/v1/models/pet-cnn/predict"


@pytest.fixture
def secret(stores: Stores) -> str:
    return stores.keys.create("test", frozenset({Scope.ADMIN})).secret


@pytest.fixture
async def http(app: FastAPI, backends: Backends, secret: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway with an admin key, over a real connection."""

    @app.get("/bug")
    def bug() -> None:
        raise RuntimeError("a bug")

    await backends.predictor.inference.open()
    async with serving(app, create_protocol(backends)) as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        yield client


def check(response: httpx.Response, **changed: str) -> None:
    """Check that the response has each header once, and does not name the server's software."""
    expected = COMMON | {name.replace("_", "-"): value for name, value in changed.items()}
    assert {name: response.headers.get_list(name) for name in expected} == {
        name: [value] for name, value in expected.items()
    }
    assert not {"server", "x-powered-by", "strict-transport-security", "access-control-allow-origin"} & set(
        response.headers
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/me", 200),
        ("GET", "/v1/keys", 200),
        ("GET", "/livez", 200),
        ("GET", "/openapi.json", 200),
        ("HEAD", "/openapi.json", 200),
        ("HEAD", "/v1/me", 405),
        ("GET", "/docs2", 404),
        ("GET", "/v1/models/none", 404),
        ("GET", "/v2/models/none", 404),
        ("GET", "/v2/health/live", 200),
        ("POST", "/v1/keys", 422),
        ("PATCH", "/v1/me", 405),
        ("OPTIONS", "/v1/me", 405),
        ("GET", "/bug", 500),
        ("GET", "/v1/jobs/", 307),
    ],
)
async def test_every_answer_of_the_framework_has_the_headers(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await http.request(method, path)

    assert response.status_code == status
    check(response)


async def test_an_answer_without_a_key_and_one_to_a_large_body_have_the_headers(http: httpx.AsyncClient) -> None:
    large = await http.post("/v1/jobs", content=b"x" * 3_000, headers={"Content-Type": "application/json"})
    del http.headers["Authorization"]
    without_a_key = await http.get("/v1/me")

    assert (large.status_code, without_a_key.status_code) == (413, 401)
    check(large)
    check(without_a_key)


async def test_a_refused_submit_has_the_headers(http: httpx.AsyncClient, backends: Backends) -> None:
    backends.submits.taken = backends.submits.limit

    fast = await http.post("/v1/jobs", json={})
    slow = await http.post("/v1/jobs/01/retry")

    assert (fast.status_code, slow.status_code) == (503, 503)
    check(fast)
    check(slow)


@pytest.mark.parametrize("image", [b"image", b"bad"], ids=["answer", "refusal"])
async def test_an_answer_of_the_fast_path_has_the_headers(backends: Backends, secret: str, image: bytes) -> None:
    await backends.predictor.inference.open()
    await warm(backends, secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "image/png", "X-Request-ID": "r-1"}

    async with serving(no_app, create_protocol(backends)) as client:
        response = await client.post(PREDICT, content=image, headers=headers)

    assert response.status_code == (422 if image == b"bad" else 200)
    assert response.headers["x-request-id"] == "r-1"
    check(response)


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n"])
async def test_bytes_that_are_not_http_get_a_problem_with_the_headers(http: httpx.AsyncClient, data: bytes) -> None:
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(data)

    head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")

    writer.close()
    status, *lines = head.decode().split("\r\n")
    headers = httpx.Headers([tuple(line.split(": ", 1)) for line in lines])
    assert status == "HTTP/1.1 400 Bad Request"
    response = httpx.Response(400, headers=headers, content=body)
    assert problem(response, 400, "malformed").request_id == headers["x-request-id"]
    assert headers["connection"] == "close"
    check(response)


@pytest.mark.parametrize("path", ["/docs", "/docs/start.js", "/docs/static/swagger-ui-bundle.js"])
async def test_the_documentation_may_load_scripts_of_this_server_only(http: httpx.AsyncClient, path: str) -> None:
    response = await http.get(path)

    assert response.status_code == 200
    policy = dict(part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == policy["script-src"] == policy["style-src"] == "'self'"


async def test_the_openapi_document_is_made_once(
    app: FastAPI, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    document = app.openapi()
    monkeypatch.setattr(app, "openapi", lambda: made.append(1) or document)

    responses = await asyncio.gather(*(http.get("/openapi.json") for _ in range(20)))

    assert {response.status_code for response in responses} == {200}
    assert responses[0].json() == document
    assert len(made) == 1


async def test_a_header_that_an_endpoint_sets_is_kept(app: FastAPI, http: httpx.AsyncClient) -> None:
    @app.get("/immutable")
    def immutable() -> Response:
        return Response(headers={"Cache-Control": "private, max-age=60"})

    response = await http.get("/immutable")

    assert (response.status_code, response.headers["cache-control"]) == (200, "private, max-age=60")
    check(response, cache_control="private, max-age=60")


async def test_browsers_are_told_to_stay_with_https(stores: Stores, tmp_path: Path, backends: Backends) -> None:
    # given a gateway with a certificate, a warm key and a warm model
    authority = Authority(tmp_path)
    issued = authority.issue()
    settings = GatewaySettings(**SETTINGS.model_dump() | {"tls_cert": issued.cert, "tls_key": issued.key})
    backends = make_backends(stores, backends.predictor.inference, settings)
    await backends.predictor.inference.open()
    secret = stores.keys.create("test", frozenset({Scope.PREDICT})).secret
    await warm(backends, secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "image/png"}
    certificate = backends.certificate
    assert certificate is not None
    tls: tuple[ssl.SSLContext, ssl.SSLContext] = (certificate.context, authority.client_context)

    # then the answers of the framework and those of the fast path have HSTS
    async with serving(create_app(backends), create_protocol(backends), tls) as client:
        assert (await client.get("/livez")).headers["strict-transport-security"] == "max-age=31536000"
    async with serving(no_app, create_protocol(backends), tls) as client:
        for image in (b"image", b"x" * 8_000, b"bad"):
            response = await client.post(PREDICT, content=image, headers=headers)
            assert response.status_code == (422 if image == b"bad" else 200)
            assert response.headers["strict-transport-security"] == "max-age=31536000"
