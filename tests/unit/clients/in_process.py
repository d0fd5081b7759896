"""The real gateway in this process, behind a transport for the synchronous client; jobs end with example results."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio.from_thread
import httpx
from anyio.from_thread import BlockingPortal

from contract.division import Outcome
from contract.jobs import JobKind
from contract.kinds.evaluate import EvaluationOutput
from services.storage.stores import Stores
from tests.examples import (
    BACKBONE_MANIFEST,
    DATASET_MANIFEST,
    EVALUATION_REPORT,
    MODEL_MANIFEST,
    ROWS_FILE,
    VETTED_MANIFEST,
)
from tests.trust.world import OWNER, World, make_world
from tidepool_client import Client

OUTCOMES: dict[str, Outcome] = {
    "preprocess": DATASET_MANIFEST,
    "train": MODEL_MANIFEST,
    "evaluate": EvaluationOutput(artifact=ROWS_FILE, report=EVALUATION_REPORT),
    "vet": VETTED_MANIFEST,
    "backbone": BACKBONE_MANIFEST,
}


class InProcess(httpx.BaseTransport):
    """Sends requests to the application of a world; every other request finds that the jobs have ended."""

    def __init__(self, world: World, portal: BlockingPortal) -> None:
        self._world = world
        self._portal = portal
        self._transport = httpx.ASGITransport(world.app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        content = request.read()
        end_jobs(self._world.stores)
        return self._portal.call(self._answer, request, content)

    async def _answer(self, request: httpx.Request, content: bytes) -> httpx.Response:
        copy = httpx.Request(request.method, request.url, headers=request.headers, content=content)
        response = await self._transport.handle_async_request(copy)
        return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())


def end_jobs(stores: Stores) -> None:
    """Finish the queued jobs as workers would."""
    for kind, outcome in OUTCOMES.items():
        while (claim := stores.leases.claim(JobKind(kind), "worker")) is not None:
            stores.leases.finish(claim.lease, outcome)


@contextmanager
def client_in_process(folder: Path) -> Iterator[Client]:
    """Yield a client of a project with two versions of everything: `pets`, `pet-cnn`, an alias `production`."""
    world = make_world(folder / "world", full=True)
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(world.app.router.lifespan_context(world.app)),
    ):
        yield Client("http://tidepool", world.secrets[OWNER], transport=InProcess(world, portal))
