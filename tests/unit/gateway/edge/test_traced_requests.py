"""Traces of requests by REST, in the fast path and by gRPC, and what a span of the gateway may hold."""

from collections.abc import Callable, Iterator

import grpc.aio
import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan
from structlog.typing import EventDict

from contract.access import DEFAULT_PROJECT, Scope
from contract.errors import BrokerUnavailable
from contract.jobs import Job
from messaging.in_memory import MemoryChannel
from services.gateway.app import create_protocol
from services.gateway.dependencies import Backends
from services.gateway.oip.grpc import serving_grpc
from services.gateway.oip.proto import inference_pb2 as messages
from services.gateway.oip.proto.inference_pb2_grpc import GRPCInferenceServiceStub
from services.gateway.serving.predictor import ModelQuery
from services.gateway.settings import GatewaySettings
from services.storage.stores import Stores
from tests.support.servers import free_port
from tests.support.tracing import SPAN, TRACE, TRACEPARENT, recording
from tests.unit.gateway.backends import make_backends
from tests.unit.gateway.fast_path.serving import no_app, serving, warm

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model", "fresh_cache")]

Spans = Callable[[], list[ReadableSpan]]

PREDICT = "/v1/models/pet-cnn/predict"
ROUTE = "POST /v1/models/{name}/predict"
IMAGE = {"Content-Type": "image/png"}
TRACED = {"traceparent": TRACEPARENT}


@pytest.fixture
def spans() -> Iterator[Spans]:
    """The spans that have ended; only requests of clients that ask for it are traced."""
    with recording(share=0.0) as spans:
        yield spans


@pytest.fixture
def secret(stores: Stores) -> str:
    return stores.keys.create("test", frozenset({Scope.ADMIN})).secret


def described(span: ReadableSpan) -> tuple[str, str]:
    """A span's name, and its parent's id, or its own trace's if the parent is the client."""
    assert span.context is not None
    assert span.parent is not None
    assert format(span.context.trace_id, "032x") == TRACE
    return span.name, format(span.parent.span_id, "016x")


async def test_a_prediction_by_rest_is_traced(client: httpx.AsyncClient, spans: Spans, channel: MemoryChannel) -> None:
    response = await client.post(PREDICT, content=b"image", headers=IMAGE | TRACED)

    assert response.headers["x-trace-id"] == TRACE
    by_name = {span.name: span for span in spans()}
    request, waiting, flight = by_name[ROUTE], by_name["wait for a batch"], by_name["batch in flight"]
    assert described(request) == (ROUTE, SPAN)
    assert waiting.parent == flight.parent == request.context
    assert dict(request.attributes) == {
        "http.request.method": "POST",
        "http.route": "/v1/models/{name}/predict",
        "http.response.status_code": 200,
    }
    assert flight.attributes["tidepool.model"] == "pet-cnn"
    (batch,) = channel.sent
    assert batch.questions[0].traceparent == f"00-{TRACE}-{flight.context.span_id:016x}-01"


async def test_a_prediction_in_the_fast_path_is_traced(
    backends: Backends, secret: str, spans: Spans, channel: MemoryChannel
) -> None:
    await warm(backends, secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))
    headers = IMAGE | {"Authorization": f"Bearer {secret}"}
    async with serving(no_app, create_protocol(backends)) as client:
        traced = await client.post(PREDICT, content=b"image", headers=headers | TRACED)
        bad = await client.post(PREDICT, content=b"bad", headers=headers | TRACED)
        untraced = await client.post(PREDICT, content=b"image", headers=headers)

    assert [answer.headers.get("x-trace-id") for answer in (traced, bad, untraced)] == [TRACE, TRACE, None]
    assert [answer.status_code for answer in (traced, bad, untraced)] == [200, 422, 200]
    assert [span.name for span in spans()] == ["wait for a batch", "batch in flight", ROUTE] * 2
    assert described(spans()[2]) == (ROUTE, SPAN)
    assert spans()[4].status.description == "bad_image"
    assert spans()[5].status.is_unset  # an error of the client is none of the server
    assert [bool(batch.questions[0].traceparent) for batch in channel.sent] == [True, True, False]


async def test_a_call_by_grpc_is_traced(app: FastAPI, stores: Stores, secret: str, spans: Spans) -> None:
    settings = GatewaySettings(grpc_port=free_port())
    backends = make_backends(stores, app.state.backends.predictor.inference, settings)
    metadata = (("authorization", f"Bearer {secret}"), ("traceparent", TRACEPARENT))
    async with serving_grpc(backends), grpc.aio.insecure_channel(f"127.0.0.1:{settings.grpc_port}") as channel:
        stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        call = stub.ModelReady(messages.ModelReadyRequest(name="pet-cnn"), metadata=metadata)
        assert (await call).ready
        trailing = dict(await call.trailing_metadata())
        untraced = stub.ModelReady(messages.ModelReadyRequest(name="pet-cnn"), metadata=metadata[:1])
        await untraced

    assert trailing["x-trace-id"] == TRACE
    assert "x-trace-id" not in dict(await untraced.trailing_metadata())
    root = spans()[-1]
    assert described(root) == ("ModelReady", SPAN)
    assert dict(root.attributes)["rpc.response.status_code"] == "OK"


async def test_log_lines_and_jobs_have_the_trace_of_their_request(
    client: httpx.AsyncClient, dataset: Job, stores: Stores, spans: Spans, logs: list[EventDict]
) -> None:
    body = {"kind": "train", "spec": {"dataset": "pets", "model": "m"}}
    response = await client.post("/v1/jobs", json=body, headers=TRACED)
    unsampled = await client.post("/v1/jobs", json=body, headers={"traceparent": TRACEPARENT[:-1] + "0"})
    invalid = await client.post("/v1/jobs", json=body, headers={"traceparent": "00-abc-def-01"})

    assert [answer.status_code for answer in (response, unsampled, invalid)] == [202] * 3, response.text
    causes = [claim.cause for claim in (stores.leases.claim("train", "worker") for _ in range(3)) if claim is not None]
    request = spans()[-1].context
    assert causes == [(TRACE, format(request.span_id, "016x"), True), (TRACE, SPAN, False), None]
    assert [line["project"] for line in logs if line["event"] == "request"] == ["default"] * 3


async def test_a_failure_of_the_server_is_an_error_of_the_span(
    client: httpx.AsyncClient, channel: MemoryChannel, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise BrokerUnavailable("the broker does not answer; try again soon")

    monkeypatch.setattr(channel, "send", fail)
    await client.post(PREDICT, content=b"image", headers=IMAGE | TRACED)

    errors = {span.name: span.status.description for span in spans()}
    assert (errors["batch in flight"], errors[ROUTE]) == ("broker_unavailable", "503")


async def test_no_span_has_keys_bodies_paths_or_queries(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, secret: str, spans: Spans
) -> None:
    await client.post(PREDICT + "?top_k=2", content=b"S3cr3t-image", headers=IMAGE | TRACED)
    await client.get("/v1/jobs?model=S3cr3t-model", headers=TRACED)
    await anonymous.get("/sign-in?token=S3cr3t-token", headers=TRACED)
    await anonymous.get("/S3cr3t-path", headers=TRACED)

    texts = [str((span.name, dict(span.attributes), span.events, span.status.description)) for span in spans()]
    assert len(texts) >= 6
    assert not [text for text in texts if "S3cr3t" in text or "tp_" in text]
