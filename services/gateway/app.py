"""The FastAPI application: routers, problems, and the middlewares around them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from services.gateway import datasets, events, health, jobs, keys, models, predict, uploads
from services.gateway.body_limit import BodyLimit
from services.gateway.dependencies import Backends
from services.gateway.last_resort import LastResort
from services.gateway.problems import add_problem_handlers, problem_schemas
from services.gateway.request_id import RequestId

DESCRIPTION = """Upload labelled pictures, train, promote, predict.
Every error is `application/problem+json` with a stable `code` and a `request_id`."""


class Api(FastAPI):
    """FastAPI whose OpenAPI document holds the schemas of problems, too."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document["components"]["schemas"] |= problem_schemas()
        return document


def create_app(backends: Backends) -> FastAPI:
    """The whole REST API over the given backends."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await backends.predictor.close()

    app = Api(title="Tidepool", version="1", description=DESCRIPTION, redoc_url=None, lifespan=lifespan)
    app.state.backends = backends
    for noun in (datasets, uploads, jobs, events, models, predict, keys, health):
        app.include_router(noun.router)
    add_problem_handlers(app)
    app.add_middleware(BodyLimit, settings=backends.settings)
    app.add_middleware(LastResort)
    app.add_middleware(RequestId)
    return app
