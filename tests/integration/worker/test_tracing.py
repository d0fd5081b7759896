"""Traces across processes: a gateway in this one, a worker, Redis, S3, a database and a collector."""

import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from contract.access import DEFAULT_PROJECT, Scope
from contract.artifacts import Bucket
from contract.jobs import JobState
from messaging.settings import BrokerSettings, TracingSettings
from messaging.tracing import start_tracing, stop_tracing
from services.gateway.app import create_app
from services.storage.database import Database
from services.storage.objects import S3Objects
from services.storage.stores import Stores
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.integration.worker.test_worker import Harness, ended
from tests.support.batcher import batcher
from tests.support.publication import publish
from tests.support.servers import S3Server, Server, free_port, service_environment
from tests.support.tracing import SPAN, TRACE, TRACEPARENT, Collector, Received, collecting
from tests.unit.gateway.backends import make_backends

pytestmark = pytest.mark.anyio

TRACED = {"traceparent": TRACEPARENT}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def endpoint(collector: Collector) -> str:
    return collector.url


@pytest.fixture
def harness(
    migrated_file: Path,
    objects: S3Objects,
    redis: Server,
    s3: S3Server,
    tmp_path: Path,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Harness]:
    """A worker on an empty SQLite database; it and this process trace what clients ask for, and nothing else."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")  # milliseconds between two exports
    start_tracing("gateway", TracingSettings(otlp_endpoint=endpoint, trace_sample=0.0))
    url = f"sqlite:///{shutil.copyfile(migrated_file, tmp_path / 'tidepool.db')}"
    tracing = {"TIDEPOOL_OTLP_ENDPOINT": endpoint, "TIDEPOOL_TRACE_SAMPLE": "0", "TIDEPOOL_SCRATCH": str(tmp_path)}
    environment = os.environ | service_environment(url, redis, s3) | tracing
    database = Database.connect(url)
    settings = BrokerSettings.model_validate({"url": redis.url})
    harness = Harness(Stores(database, objects), settings, environment, tmp_path / "worker.log")
    yield harness
    harness.process.kill()
    harness.process.wait(30)
    database.engine.dispose()
    stop_tracing()


@pytest.fixture
async def gateway(harness: Harness) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway whose predictions go to the worker."""
    publish(harness.stores, TRAIN_REQUEST, MODEL_MANIFEST)
    key = harness.stores.keys.create("test", frozenset({Scope.ADMIN})).secret
    async with batcher("preprocess", harness.settings.url.get_secret_value()) as inference:
        transport = httpx.ASGITransport(create_app(make_backends(harness.stores, inference)))
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://tidepool", headers=headers) as client:
            yield client


async def submit(gateway: httpx.AsyncClient, harness: Harness, behaviour: str, **headers: str) -> httpx.Response:
    """Submit a job by REST; its answer has the job."""
    upload = harness.stores.objects.put(Bucket.UPLOADS, f"uploads/{behaviour}", b"archive")
    harness.stores.of(DEFAULT_PROJECT).uploads.add("archive.zip", upload)
    spec = {"dataset": behaviour, "source": {"upload": behaviour}}
    response = await gateway.post("/v1/jobs", json={"kind": "preprocess", "spec": spec}, headers=headers)
    assert response.status_code == 202, response.text
    return response


def run(harness: Harness, response: httpx.Response) -> JobState:
    """Wait for the end of a submitted job."""
    return harness.until(harness.stores.of(DEFAULT_PROJECT).jobs.get(response.json()["id"]), ended).state


def named(spans: list[Received], name: str) -> list[Received]:
    return [span for span in spans if span.name == name]


async def test_an_attempt_links_to_the_request_that_submitted_its_job(
    gateway: httpx.AsyncClient, harness: Harness, collector: Collector
) -> None:
    response = await submit(gateway, harness, "good", **TRACED)
    assert response.headers["x-trace-id"] == TRACE
    assert run(harness, response) == JobState.SUCCEEDED

    spans = collector.until(lambda spans: named(spans, "attempt preprocess"))
    (request,) = named(spans, "POST /v1/jobs")
    assert (request.service, request.trace_id, request.parent_id) == ("gateway", TRACE, SPAN)
    assert any(span.parent_id == request.span_id for span in named(spans, "SQL write"))

    (attempt,) = named(spans, "attempt preprocess")
    assert (attempt.service, attempt.parent_id, attempt.links) == ("preprocess", "", (request.span_id,))
    assert attempt.trace_id != TRACE
    assert attempt.attributes["tidepool.job.id"] == response.json()["id"]
    (handler,), (publish,) = named(spans, "handler"), named(spans, "publish")
    assert (handler.trace_id, handler.parent_id, publish.parent_id) == (attempt.trace_id, *[attempt.span_id] * 2)
    (put,) = (span for span in named(spans, "S3 put") if span.trace_id == attempt.trace_id)
    assert (put.parent_id, put.attributes) == (handler.span_id, {"tidepool.bucket": "jobs", "tidepool.bytes": 4})
    (write,) = (span for span in named(spans, "SQL write") if span.parent_id == publish.span_id)
    assert write.attributes["db.statements"] > 1

    lines = [json.loads(line) for line in harness.log.read_text().splitlines() if line.startswith("{")]
    (line,) = (line for line in lines if line["event"] == "attempt succeeded")
    assert (line["trace_id"], line["span_id"]) == (attempt.trace_id, publish.span_id)
    ids = {"job_id": response.json()["id"], "attempt": 1, "fence": 1, "project": "default", "role": "preprocess"}
    assert ids.items() <= line.items()
    assert line["replica"].endswith(f":{harness.process.pid}")


async def test_parts_link_to_the_attempt_that_divided_the_job_and_a_retry_to_the_request(
    gateway: httpx.AsyncClient, harness: Harness, collector: Collector
) -> None:
    assert run(harness, await submit(gateway, harness, "dividing", **TRACED)) == JobState.SUCCEEDED
    spans = collector.until(lambda spans: len(named(spans, "attempt preprocess")) == 6)
    (request,) = named(spans, "POST /v1/jobs")
    attempts = named(spans, "attempt preprocess")
    parts = [span for span in attempts if "tidepool.job.part" in span.attributes]
    first, last = (span for span in attempts if span not in parts)
    assert first.links == last.links == (request.span_id,)
    publishing = {span.span_id for span in named(spans, "publish") if span.trace_id == first.trace_id}
    assert len(parts) == 4
    assert {span.links for span in parts} == {tuple(publishing)}

    # an attempt that failed links to the request, too, and so does the copy that a retry makes
    failed = await submit(gateway, harness, "bad", **TRACED)
    assert run(harness, failed) == JobState.FAILED
    assert run(harness, await gateway.post(f"/v1/jobs/{failed.json()['id']}/retry")) == JobState.FAILED
    spans = collector.until(lambda spans: len(named(spans, "attempt preprocess")) == 8)
    _, request = named(spans, "POST /v1/jobs")
    assert [span.links for span in named(spans, "attempt preprocess")[6:]] == [(request.span_id,)] * 2
    assert [span.failed for span in named(spans, "handler")[-2:]] == [True, True]


async def test_a_prediction_is_one_trace_through_redis_and_the_replica(
    gateway: httpx.AsyncClient, collector: Collector
) -> None:
    headers = {"Content-Type": "image/png", "X-Request-Timeout": "40"}
    response = await gateway.post("/v1/models/pet-cnn/predict", content=b"hello", headers=headers | TRACED)
    assert response.json()["predictions"] == [{"label": "olleh", "score": 1.0}]
    assert response.headers["x-trace-id"] == TRACE

    spans = collector.until(lambda spans: {"POST /v1/models/{name}/predict", "answer batch"} <= {s.name for s in spans})
    spans = [span for span in spans if span.trace_id == TRACE]
    by_name = {span.name: span for span in spans}
    request, flight, batch = (
        by_name[name] for name in ("POST /v1/models/{name}/predict", "batch in flight", "answer batch")
    )
    assert (request.service, request.parent_id) == ("gateway", SPAN)
    assert by_name["wait for a batch"].parent_id == flight.parent_id == request.span_id
    assert (batch.service, batch.parent_id, batch.links) == ("preprocess", flight.span_id, (flight.span_id,))
    assert by_name["reply"].parent_id == batch.span_id
    assert batch.attributes["tidepool.batch.id"] == flight.attributes["tidepool.batch.id"]

    # and requests of clients that record nothing are not traced
    untraced = await gateway.post("/v1/models/pet-cnn/predict", content=b"hello", headers=headers)
    assert "x-trace-id" not in untraced.headers


@pytest.mark.parametrize("endpoint", [f"http://127.0.0.1:{free_port()}"], ids=["unreachable"])
async def test_without_its_collector_everything_works(gateway: httpx.AsyncClient, harness: Harness) -> None:
    with capture_logs() as lines:
        assert run(harness, await submit(gateway, harness, "good", **TRACED)) == JobState.SUCCEEDED
        response = await gateway.post("/v1/models/pet-cnn/predict", content=b"hello", headers=TRACED)
        assert response.json()["predictions"][0]["label"] == "olleh"
        stop_tracing()

    assert not [line for line in lines if line["log_level"] == "error"]
