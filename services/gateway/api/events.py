"""/v1/jobs/{id}/events: the events of a job as Server-Sent Events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from contract.errors import DatabaseUnavailable, Unauthenticated
from contract.jobs import EventKind
from services.gateway.api.jobs import JobId
from services.gateway.dependencies import MAY_READ, Recheck, RecheckDep, StoresDep
from services.gateway.edge.problems import documented
from services.storage.stores import ProjectStores

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

POLL_S = 0.5
SEND_TIMEOUT_S = 10  # a client that does not take an event in this time is disconnected; it may resume
_EVENT = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": list(EventKind)},
        "data": {"type": "string", "description": "JSON: `at`, and the `data` of this kind of event."},
    },
}
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"itemSchema": _EVENT}}, "description": "The events."},
    204: {"description": "The job has ended and has no later events; an EventSource does not connect again."},
}


@router.get(
    "/{job_id}/events",
    dependencies=MAY_READ,
    response_class=Response,
    responses=documented(404) | STREAM,
)
async def stream_events(
    job_id: JobId,
    stores: StoresDep,
    recheck: RecheckDep,
    last_event_id: Annotated[str, Header(pattern="^[0-9]{0,9}$", description="Resume after this event.")] = "",
) -> Response:
    """`state`, `progress`, `metrics` and `log` events, from the first or after Last-Event-ID, until the job ends.

    The stream also ends when the key is revoked or expires.
    """
    last = int(last_event_id or 0)
    # read in this order: a job has no events after its end
    ended = (await run_in_threadpool(stores.jobs.get, job_id)).state.terminal
    if ended and last and not await run_in_threadpool(stores.events.after, job_id, last):
        return Response(status_code=204)
    stream = _events(stores, job_id, last, recheck)
    return EventSourceResponse(stream, ping=15, send_timeout=SEND_TIMEOUT_S)


async def _events(stores: ProjectStores, job_id: str, last: int, recheck: Recheck) -> AsyncIterator[ServerSentEvent]:
    while True:
        try:
            await recheck()
            ended = (await run_in_threadpool(stores.jobs.get, job_id)).state.terminal
            events = await run_in_threadpool(stores.events.after, job_id, last)
        except Unauthenticated:
            return
        except DatabaseUnavailable:
            ended, events = False, ()  # poll on through an outage
        for event in events:
            last = event.id
            yield ServerSentEvent(event.model_dump_json(include={"at", "data"}), id=str(event.id), event=event.kind)
        if ended and not events:
            return
        if not events:
            await asyncio.sleep(POLL_S)
