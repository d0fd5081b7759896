"""/openapi.json, and /docs: Swagger UI with files from this server, for machines without internet and a strict CSP."""

import asyncio
import json
from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

FILES = Path(__file__).parents[1] / "console" / "vendor" / "swagger-ui-dist"
STATIC = "/docs/static"

# Addresses are relative, so that the page works behind a proxy that adds a prefix.
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tidepool API</title>
<link rel="icon" href="docs/static/favicon-32x32.png">
<link rel="stylesheet" href="docs/static/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript. The same document as JSON: <a href="openapi.json">openapi.json</a></noscript>
<script src="docs/static/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  layout: "BaseLayout"
});
"""


class Document:
    """The OpenAPI document as bytes, made once, in a thread: that takes a second, and even another time 25 ms."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._bytes: asyncio.Task[bytes] | None = None

    async def get(self, _: Request) -> Response:
        if self._bytes is None:
            self._bytes = asyncio.create_task(run_in_threadpool(self._make))
        return Response(await asyncio.shield(self._bytes), media_type="application/json")

    def _make(self) -> bytes:
        return json.dumps(self._app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()


def add_documentation(app: FastAPI) -> None:
    """Add the OpenAPI document, the page, its script, and the files of Swagger UI."""
    app.add_route("/openapi.json", Document(app).get, include_in_schema=False)
    app.add_route("/docs", _page, include_in_schema=False)
    app.add_route("/docs/start.js", _start, include_in_schema=False)
    app.mount(STATIC, StaticFiles(directory=FILES), name="documentation")


async def _page(_: Request) -> Response:
    return HTMLResponse(_PAGE)


async def _start(_: Request) -> Response:
    return Response(_START, media_type="text/javascript", headers={"Cache-Control": "no-cache"})
