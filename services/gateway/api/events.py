"""/v1/jobs/{id}/events: what happens to a job, as it happens, as Server-Sent Events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from contract.errors import DatabaseUnavailable
from contract.events import EventKind
from services.gateway.api.jobs import JobId
from services.gateway.dependencies import MAY_READ, Behind
from services.gateway.edge.problems import documented
from services.storage.stores import Stores

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

POLL_S = 0.5
SEND_WITHIN_S = 10  # a reader that takes longer to take an event is dropped; it may resume
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
    200: {"content": {"text/event-stream": {"itemSchema": _EVENT}}, "description": "The events."}
}


@router.get(
    "/{job_id}/events",
    dependencies=MAY_READ,
    response_class=Response,
    responses=documented(404) | STREAM,
)
async def stream_events(
    job_id: JobId,
    behind: Behind,
    last_event_id: Annotated[str, Header(pattern="^[0-9]{0,9}$", description="Resume after this event.")] = "",
) -> EventSourceResponse:
    """`state`, `progress`, `metrics` and `log` events, from the first or after Last-Event-ID, until the job ends."""
    await run_in_threadpool(behind.stores.jobs.get, job_id)
    stream = _until_the_end(behind.stores, job_id, int(last_event_id or 0))
    return EventSourceResponse(stream, ping=15, send_timeout=SEND_WITHIN_S)


async def _until_the_end(stores: Stores, job_id: str, last: int) -> AsyncIterator[ServerSentEvent]:
    while True:
        try:
            over = (await run_in_threadpool(stores.jobs.get, job_id)).state.terminal
            found = await run_in_threadpool(stores.events.after, job_id, last)
        except DatabaseUnavailable:
            over, found = False, ()  # an outage is a pause
        for event in found:
            last = event.id
            yield ServerSentEvent(event.model_dump_json(include={"at", "data"}), id=str(event.id), event=event.kind)
        if over and not found:
            return
        if not found:
            await asyncio.sleep(POLL_S)
