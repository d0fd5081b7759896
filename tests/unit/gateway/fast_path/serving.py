"""The gateway's connections on a real socket, in the event loop of the test."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn
from uvicorn.server import ServerState

from services.gateway.dependencies import Backends
from services.gateway.serving.predictor import ModelQuery


@asynccontextmanager
async def serving(
    app: Any, protocol: Callable[..., asyncio.Protocol], tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve an application over connections made by `protocol`; yields a client.

    `tls` are the contexts of the server and of the client, for HTTPS.
    """
    server_context, client_context = tls or (None, None)
    scheme = "http" if tls is None else "https"
    config, state = uvicorn.Config(app, lifespan="off", log_config=None), ServerState()

    def connect() -> asyncio.Protocol:
        return protocol(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0, ssl=server_context)
    host, port = server.sockets[0].getsockname()
    verify = True if client_context is None else client_context
    async with server, httpx.AsyncClient(base_url=f"{scheme}://{host}:{port}", verify=verify) as client:
        yield client


async def warm(backends: Backends, secret: str, *queries: ModelQuery) -> None:
    """Put a key and models into the gateway's caches."""
    await backends.access.authenticate(f"Bearer {secret}")
    for query in queries:
        await backends.predictor.choose(query)
        await backends.plane.model_metadata(query.project, query.name, str(query.version or ""))


async def no_app(_: object, __: object, ___: object) -> None:
    raise AssertionError("the request did not take the fast path")
