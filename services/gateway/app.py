"""The FastAPI application: routers, error handlers and middlewares; and the connection protocol in front of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from messaging.tracing import stop_tracing
from services.gateway.api import (
    audit,
    backbones,
    datasets,
    erasure,
    events,
    exports,
    health,
    images,
    jobs,
    keys,
    model_files,
    model_uploads,
    models,
    pipelines,
    pools,
    predict,
    projects,
    review_sources,
    reviews,
    revisions,
    sampling,
    uploads,
    usage,
)
from services.gateway.api.documentation import add_documentation
from services.gateway.console.errors import add_error_pages, unexpected
from services.gateway.console.live import Readings
from services.gateway.console.router import router as console
from services.gateway.dependencies import Backends
from services.gateway.edge.body_limit import BodyLimit
from services.gateway.edge.certificate import renewing
from services.gateway.edge.cors import Cors
from services.gateway.edge.headers import EncodedHeaders, SecurityHeaders
from services.gateway.edge.json_bodies import JsonBodies
from services.gateway.edge.key_first import KeyFirst
from services.gateway.edge.last_resort import LastResort
from services.gateway.edge.problems import add_problem_handlers, problem_schemas
from services.gateway.edge.quotas import QuotaGate
from services.gateway.edge.request_id import RequestId
from services.gateway.edge.submit_limit import SubmitLimit
from services.gateway.fast_path.infer import InferShortcut
from services.gateway.fast_path.predict import PredictShortcut
from services.gateway.fast_path.protocol import FastPathProtocol
from services.gateway.fast_path.submit import SubmitShortcut
from services.gateway.oip import http as oip
from services.gateway.oip.grpc import serving_grpc
from services.gateway.oip.refusals import Refusals
from services.gateway.serving.traffic import recording

DESCRIPTION = """Upload labelled images, train, promote, predict.
Every error is `application/problem+json` with a stable `code` and a `request_id`."""


# The framework's own spans have paths and queries, and so tokens of links; see docs/adr/0034.
NO_TELEMETRY = TelemetryConfig(auto_configure=False, tracing=False, metrics=False, logs=False)


class Api(FastAPI):
    """FastAPI whose OpenAPI document also has the schemas of problems, and whose answers all have the same headers."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["components"]["schemas"] |= problem_schemas()
        return document

    def build_middleware_stack(self) -> ASGIApp:
        """Add CORS and security headers to all answers, also to those of the framework's own error handler."""
        backends = self.state.backends
        app = Cors(super().build_middleware_stack(), backends.origins)
        return SecurityHeaders(app, https=backends.settings.https)


def create_app(backends: Backends) -> FastAPI:
    """Return the application over the given backends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await backends.predictor.inference.open()
        async with serving_grpc(backends), renewing(backends.certificate), recording(backends.stores.traffic):
            yield
        await backends.predictor.inference.close()
        await run_in_threadpool(stop_tracing)

    app = Api(
        title="Tidepool",
        version="1",
        description=DESCRIPTION,
        openapi_url=None,
        lifespan=lifespan,
        telemetry=NO_TELEMETRY,
    )
    app.state.backends = backends
    app.state.readings = Readings()
    for noun in (
        datasets,
        images,
        revisions,
        exports,
        erasure,
        uploads,
        jobs,
        events,
        models,
        model_files,
        model_uploads,
        sampling,
        backbones,
        pipelines,
        predict,
        review_sources,  # before the path with an item's id
        reviews,
        oip,
        pools,
        usage,
        keys,
        projects,
        audit,
        health,
    ):
        app.include_router(noun.router)
    add_documentation(app)
    app.include_router(console)
    add_problem_handlers(app)
    add_error_pages(app)
    app.add_middleware(JsonBodies)
    app.add_middleware(BodyLimit, settings=backends.settings, budgets=backends.bodies)
    app.add_middleware(LastResort, answer=unexpected)
    app.add_middleware(RequestId)
    app.add_middleware(
        SubmitLimit, submits=backends.submits, max_body=backends.settings.max_json_bytes, budgets=backends.bodies
    )
    app.add_middleware(QuotaGate, access=backends.access, quotas=backends.quotas)
    app.add_middleware(KeyFirst, access=backends.access)
    app.add_middleware(Refusals)
    return app


def create_protocol(backends: Backends) -> "partial[FastPathProtocol]":
    """Return the factory of connection protocols, with the fast path; for uvicorn's `http` setting."""
    settings = backends.settings
    submits = SubmitShortcut(backends.submits, settings.max_json_bytes)
    headers = EncodedHeaders(https=settings.https, origins=backends.origins)
    shortcuts = (PredictShortcut(backends), InferShortcut(backends), submits)
    return partial(FastPathProtocol, settings, shortcuts, headers, backends.bodies.predictions)
