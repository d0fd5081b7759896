"""/v1/jobs/{id}/events: the events of a job as Server-Sent Events."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from contract.errors import DatabaseUnavailable, Unauthenticated
from contract.jobs import EventKind
from services.gateway.api.jobs import JobId
from services.gateway.dependencies import MAY_READ, BackendsDep, CallerDep, Recheck, RecheckDep, StoresDep
from services.gateway.edge.problems import documented
from services.gateway.edge.watches import Watched

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

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
    responses=documented(404, 429) | STREAM,
)
async def stream_events(
    job_id: JobId,
    backends: BackendsDep,
    caller: CallerDep,
    stores: StoresDep,
    recheck: RecheckDep,
    last_event_id: Annotated[str, Header(pattern="^[0-9]{0,9}$", description="Resume after this event.")] = "",
) -> Response:
    """`state`, `progress`, `metrics` and `log` events, from the first or after Last-Event-ID, until the job ends.

    The stream also ends when the key is revoked or expires.
    """
    last, watches = int(last_event_id or 0), backends.watches
    # read in this order: a job has no events after its end
    ended = (await watches.read(stores.jobs.get, job_id)).state.terminal
    if ended and last and not await watches.read(stores.events.after, job_id, last):
        return Response(status_code=204)
    events = _events(watches.follow(stores, job_id), last, recheck)
    return Stream(watches.stream(caller.key_id), events)


class Stream(EventSourceResponse):
    """A stream of events that counts among those of its key."""

    def __init__(
        self, counted: AbstractContextManager[None], content: AsyncIterator[ServerSentEvent], **options: Any
    ) -> None:
        super().__init__(content, ping=15, send_timeout=SEND_TIMEOUT_S)
        self._open = ExitStack()
        self._open.enter_context(counted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._open:
            await super().__call__(scope, receive, send)


async def _events(
    following: AbstractAsyncContextManager[Watched], last: int, recheck: Recheck
) -> AsyncIterator[ServerSentEvent]:
    async with following as watched:
        while True:
            try:
                await recheck()
                events = await watched.events_after(last)
            except Unauthenticated:
                return
            except DatabaseUnavailable:
                events = ()  # poll on through an outage
            for event in events:
                last = event.id
                yield ServerSentEvent(event.model_dump_json(include={"at", "data"}), id=str(event.id), event=event.kind)
            if events:
                continue
            if watched.ended and last >= watched.last:
                return
            await watched.tick()
