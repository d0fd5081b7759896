"""The id of a request, in its answer, its job and its log line."""

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


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 65, "{inject}", "é"])
async def test_an_id_is_generated_if_the_client_sends_no_acceptable_one(
    anonymous: httpx.AsyncClient, given: str | None
) -> None:
    headers = [] if given is None else [(b"X-Request-ID", given.encode())]

    ids = {(await anonymous.get("/livez", headers=headers)).headers["x-request-id"] for _ in range(2)}

    assert len(ids) == 2
    assert all(len(made) == 32 and made.isalnum() for made in ids)


async def test_a_request_is_counted_and_logged_once(
    client: httpx.AsyncClient, dataset: Job, logs: list[EventDict]
) -> None:
    labels = {"method": "GET", "route": "/v1/jobs/{job_id}", "status": "200"}
    before = REGISTRY.get_sample_value("tidepool_http_requests_total", labels) or 0.0

    await client.get(f"/v1/jobs/{dataset.id}")

    # by its route, as every job would be a time series of its own
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
