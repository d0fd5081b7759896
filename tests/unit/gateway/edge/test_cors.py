"""Pages of listed origins may call the API, others may not, and none may if no origin is listed."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import ValidationError

from contract.access import DEFAULT_PROJECT, Scope
from services.gateway.app import create_app, create_protocol
from services.gateway.dependencies import Backends
from services.gateway.edge import ttl_cache
from services.gateway.edge.cors import EXPOSED
from services.gateway.serving.predictor import ModelQuery
from services.gateway.settings import GatewaySettings
from services.storage.stores import Stores
from tests.support.problems import problem
from tests.unit.gateway.backends import SETTINGS, make_backends
from tests.unit.gateway.fast_path.serving import no_app, serving, warm

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model", "fresh_cache")]

APP, DEV, OTHER = "https://app.example.com", "http://localhost:5173", "https://evil.example.com"
PREDICT = "/v1/models/pet-cnn/predict"
ROUTES = [PREDICT, "/v2/models/pet-cnn/infer", "/v1/jobs", "/v1/me", "/v1/models/none"]


@pytest.fixture
def secret(stores: Stores) -> str:
    return stores.keys.create("test", frozenset({Scope.ADMIN})).secret


@pytest.fixture
def open_backends(stores: Stores, backends: Backends) -> Backends:
    """The backends of a gateway that two origins may call."""
    settings = GatewaySettings(**SETTINGS.model_dump() | {"cors_origins": (APP, DEV)})
    return make_backends(stores, backends.predictor.inference, settings)


@pytest.fixture
async def http(open_backends: Backends, secret: str) -> AsyncIterator[httpx.AsyncClient]:
    await open_backends.predictor.inference.open()
    async with serving(create_app(open_backends), create_protocol(open_backends)) as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        yield client


def preflight(origin: str, method: str = "POST", headers: str = "authorization,content-type") -> dict[str, str]:
    return {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}


def check_readable(response: httpx.Response, origin: str) -> None:
    """Check that a page of this origin may read the response and the headers that matter, without credentials."""
    assert response.headers.get_list("access-control-allow-origin") == [origin]
    assert "access-control-allow-credentials" not in response.headers
    assert "Origin" in response.headers["vary"]
    exposed = set(response.headers["access-control-expose-headers"].split(", "))
    assert exposed == set(EXPOSED) >= {"Retry-After", "X-Request-ID", "Location"}


def check_closed(response: httpx.Response) -> None:
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("origin", [APP, DEV])
@pytest.mark.parametrize("path", ROUTES)
async def test_a_preflight_of_a_listed_origin_is_answered(http: httpx.AsyncClient, origin: str, path: str) -> None:
    del http.headers["Authorization"]  # browsers send none

    response = await http.options(path, headers=preflight(origin) | {"X-Request-ID": "r-1"})

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == origin
    assert "POST" in response.headers["access-control-allow-methods"].split(", ")
    allowed = response.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "idempotency-key", "last-event-id", "x-request-timeout"} <= set(allowed)
    assert response.headers["access-control-max-age"] == "600"
    assert response.headers["x-request-id"] == "r-1"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize(
    "origin", [OTHER, "null", "http://app.example.com", f"{APP}:8443", f"{APP}.evil.com", APP.upper(), "*"]
)
async def test_a_preflight_of_another_origin_is_refused(http: httpx.AsyncClient, origin: str) -> None:
    response = await http.options(PREDICT, headers=preflight(origin))

    assert "origin" in problem(response, 403, "forbidden").detail
    assert response.headers["vary"].startswith("Origin")
    check_closed(response)


@pytest.mark.parametrize(("method", "headers"), [("TRACE", "authorization"), ("POST", "x-unknown")])
async def test_a_preflight_of_an_unknown_method_or_header_is_refused(
    http: httpx.AsyncClient, method: str, headers: str
) -> None:
    response = await http.options(PREDICT, headers=preflight(APP, method, headers))

    assert ("method" if method == "TRACE" else "headers") in problem(response, 403, "forbidden").detail


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/me", 200), ("GET", "/v1/none", 404), ("PATCH", "/v1/me", 405), ("POST", "/v1/keys", 422)],
)
async def test_answers_and_errors_can_be_read_by_a_listed_origin(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await http.request(method, path, headers={"Origin": APP})
    assert response.status_code == status
    check_readable(response, APP)

    check_closed(await http.request(method, path, headers={"Origin": OTHER}))
    check_closed(without := await http.request(method, path))
    assert without.headers["vary"] == "Origin"


async def test_a_missing_key_can_be_read_by_a_listed_origin(http: httpx.AsyncClient) -> None:
    del http.headers["Authorization"]

    response = await http.get("/v1/me", headers={"Origin": APP})

    assert response.status_code == 401
    check_readable(response, APP)


async def test_a_refused_submit_can_be_read_by_a_listed_origin(
    http: httpx.AsyncClient, open_backends: Backends
) -> None:
    open_backends.submits.taken = open_backends.submits.limit

    for path in ("/v1/jobs", "/v1/jobs/01/retry"):  # the first takes the fast path
        response = await http.post(path, json={}, headers={"Origin": DEV})
        assert response.status_code == 503
        check_readable(response, DEV)


@pytest.mark.parametrize("image", [b"image", b"bad"], ids=["answer", "refusal"])
async def test_the_fast_path_answers_as_the_framework_does(
    open_backends: Backends, http: httpx.AsyncClient, secret: str, image: bytes
) -> None:
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "image/png"}
    await warm(open_backends, secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))

    async with serving(no_app, create_protocol(open_backends)) as fast:
        for origin in ({"Origin": APP}, {"Origin": DEV}, {"Origin": OTHER}, {}):
            response = await fast.post(PREDICT, content=image, headers=headers | origin)
            slow = await http.post(PREDICT, content=image, headers=headers | origin | {"X-Request-Timeout": "5"})
            assert response.status_code == slow.status_code
            if origin.get("Origin") in {APP, DEV}:
                check_readable(response, origin["Origin"])
            else:
                check_closed(response)
            assert response.headers["vary"] == slow.headers["vary"]
            assert {name for name in response.headers if name.startswith("access-control-allow")} == {
                name for name in slow.headers if name.startswith("access-control-allow")
            }


async def test_without_origins_nothing_is_cross_origin(backends: Backends, app: object, secret: str) -> None:
    await backends.predictor.inference.open()
    async with serving(app, create_protocol(backends)) as client:
        answer = await client.get("/v1/me", headers={"Origin": APP, "Authorization": f"Bearer {secret}"})
        refused = await client.options(PREDICT, headers=preflight(APP))

    problem(refused, 405, "method_not_allowed")
    for response in (answer, refused):
        assert not [name for name in response.headers if name.startswith("access-control") or name == "vary"]


@pytest.mark.parametrize(
    "origin",
    [APP, DEV, "http://127.0.0.1:8080", "http://[::1]:8080", "capacitor://localhost", "https://xn--mnchen-3ya.de"],
)
def test_exact_origins_are_accepted(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_CORS_ORIGINS", f'["{origin}", "{APP}"]')

    assert GatewaySettings().cors_origins == (origin, APP)


@pytest.mark.parametrize(
    "origin",
    ["*", "https://*.example.com", "null", "", f"{APP}/", f"{APP}/app", "app.example.com", "HTTPS://app.example.com",
     "https://App.example.com", f"{APP}:443", "http://a:80", "https://user@a.com", "https://münchen.de", f"{APP}?a",
     f" {APP}", "https://", "https://a:0", "https://.a", f"{APP}\n"],
)  # fmt: skip
def test_what_is_not_an_exact_origin_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(ValidationError, match=r"is not an origin\. Write scheme and host in lower case"):
        GatewaySettings(cors_origins=(APP, origin))


@pytest.mark.parametrize("origin", [APP, OTHER])
async def test_refusals_of_the_connection_can_be_read_by_a_listed_origin(
    stores: Stores, backends: Backends, secret: str, origin: str
) -> None:
    # given a gateway that gives up on a request after a moment
    short = {"cors_origins": (APP,), "header_timeout_s": 0.2, "body_timeout_s": 0.2}
    settings = GatewaySettings(**SETTINGS.model_dump() | short)
    open_backends = make_backends(stores, backends.predictor.inference, settings)
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nOrigin: {origin}\r\n"
    requests = {
        431: head + "".join(f"X-{number}: a\r\n" for number in range(200)) + "\r\n",
        408: head + "X-Half: a",
        4080: head + "Content-Length: 10\r\n\r\nhalf",
    }
    async with serving(create_app(open_backends), create_protocol(open_backends)) as client:
        for status, request in requests.items():
            reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
            writer.write(request.encode())
            answer = (await asyncio.wait_for(reader.read(), 10)).decode().partition("\r\n\r\n")[0].split("\r\n")
            writer.close()

            # then its page may read why, if it is listed
            assert answer[0].split()[1] == str(status)[:3]
            headers = httpx.Headers([tuple(line.split(": ", 1)) for line in answer[1:]])
            response = httpx.Response(int(str(status)[:3]), headers=headers)
            if origin == APP:
                check_readable(response, APP)
            else:
                check_closed(response)


@pytest.fixture
def bound(stores: Stores) -> str:
    """The secret of a key for pages of one origin; the setting lists none."""
    return stores.keys.create("page", frozenset({Scope.PREDICT}), origins=(APP,)).secret


@pytest.fixture
async def closed(backends: Backends) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway whose setting lists no origin, with images to classify."""
    await backends.predictor.inference.open()
    async with serving(create_app(backends), create_protocol(backends)) as client:
        client.headers["Content-Type"] = "image/png"
        yield client


@pytest.mark.parametrize("warmed", [False, True], ids=["framework", "fast path"])
async def test_a_key_bound_to_an_origin_is_for_its_pages_only(
    closed: httpx.AsyncClient, backends: Backends, bound: str, warmed: bool
) -> None:
    headers = {"Authorization": f"Bearer {bound}"}
    if warmed:
        await warm(backends, bound, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))

    # then its page may ask and read, although no setting names it
    assert (await closed.options(PREDICT, headers=preflight(APP))).status_code == 200
    answered = await closed.post(PREDICT, content=b"image", headers=headers | {"Origin": APP})
    assert answered.status_code == 200
    check_readable(answered, APP)

    # and pages of other origins may not use it
    for origin in (OTHER, "null", f"{APP}.evil.com", f"{APP}:8443"):
        problem(await closed.options(PREDICT, headers=preflight(origin)), 403, "forbidden")
        refused = await closed.post(PREDICT, content=b"image", headers=headers | {"Origin": origin})
        assert "pages of this origin" in problem(refused, 403, "forbidden").detail
        check_closed(refused)

    # and programs, which send no origin, may
    assert (await closed.post(PREDICT, content=b"image", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v2/models/pet-cnn/infer"), ("GET", "/v1/me"), ("POST", "/v1/jobs"), ("GET", "/v2")]
)
async def test_every_way_in_checks_the_origin_of_a_bound_key(
    closed: httpx.AsyncClient, bound: str, method: str, path: str
) -> None:
    response = await closed.request(
        method, path, content=b"{}", headers={"Authorization": f"Bearer {bound}", "Origin": OTHER}
    )

    assert response.status_code == 403
    assert "pages of this origin" in response.text


async def test_a_key_that_is_gone_no_longer_opens_its_origin(
    closed: httpx.AsyncClient, stores: Stores, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ttl_cache, "TTL_S", 0.1)
    assert (await closed.options(PREDICT, headers=preflight(APP))).status_code == 200

    for key in stores.keys.list():
        stores.keys.delete(key.id)
    await asyncio.sleep(0.2)

    problem(await closed.options(PREDICT, headers=preflight(APP)), 405, "method_not_allowed")


async def test_a_key_with_an_origin_is_made_over_the_api(http: httpx.AsyncClient) -> None:
    made = await http.post("/v1/keys", json={"name": "page", "scopes": ["predict"], "origins": [OTHER]})

    assert made.status_code == 201
    assert made.json()["origins"] == [OTHER]
    assert (await http.get("/v1/keys")).json()["items"][-1]["origins"] == [OTHER]
    assert (await http.options(PREDICT, headers=preflight(OTHER))).status_code == 200
    for origins in (["*"], [f"{APP}/"], ["null"], "https://a.example", [APP] * 21):
        refused = await http.post("/v1/keys", json={"name": "page", "scopes": ["predict"], "origins": origins})
        problem(refused, 422, "invalid")
