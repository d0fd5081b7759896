"""The id of a request, in its response and its log line."""

import httpx
import pytest
from prometheus_client import REGISTRY
from structlog.typing import EventDict

from contract.jobs import Job
from tests.support.problems import problem

pytestmark = pytest.mark.anyio


async def test_the_answer_has_the_request_id_of_the_client(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.get("/v1/me", headers={"X-Request-ID": "Trace-7.a_b"})

    assert problem(response, 401, "unauthenticated").request_id == "Trace-7.a_b"


@pytest.mark.parametrize("request_id", [None, "", "a b", "x" * 65, "{inject}", "é"])
async def test_an_id_is_generated_if_the_client_sends_no_valid_one(
    anonymous: httpx.AsyncClient, request_id: str | None
) -> None:
    headers = [] if request_id is None else [(b"X-Request-ID", request_id.encode())]

    ids = {(await anonymous.get("/livez", headers=headers)).headers["x-request-id"] for _ in range(2)}

    assert len(ids) == 2
    assert all(len(id_) == 32 and id_.isalnum() for id_ in ids)


async def test_a_request_is_counted_and_logged_once(
    client: httpx.AsyncClient, dataset: Job, logs: list[EventDict]
) -> None:
    labels = {"method": "GET", "route": "/v1/jobs/{job_id}", "status": "200"}
    before = REGISTRY.get_sample_value("tidepool_http_requests_total", labels) or 0.0

    await client.get(f"/v1/jobs/{dataset.id}")

    # the label is the route, because one time series per job would be too many
    assert REGISTRY.get_sample_value("tidepool_http_requests_total", labels) == before + 1
    (line,) = logs
    assert (line["method"], line["path"], line["status"]) == ("GET", f"/v1/jobs/{dataset.id}", 200)
    assert line["ms"] > 0


async def test_unknown_paths_share_one_label(anonymous: httpx.AsyncClient) -> None:
    labels = {"method": "GET", "route": "unknown", "status": "404"}
    before = REGISTRY.get_sample_value("tidepool_http_requests_total", labels) or 0.0

    for path in ("/a", "/b"):
        await anonymous.get(path)

    assert REGISTRY.get_sample_value("tidepool_http_requests_total", labels) == before + 2


async def test_unusual_methods_share_one_label(anonymous: httpx.AsyncClient) -> None:
    labels = {"method": "OTHER", "route": "/livez", "status": "405"}
    before = REGISTRY.get_sample_value("tidepool_http_requests_total", labels) or 0.0

    for method in ("PROPFIND", "M-SEARCH", "TRACE", "MKCALENDAR"):
        await anonymous.request(method, "/livez")

    assert REGISTRY.get_sample_value("tidepool_http_requests_total", labels) == before + 4
