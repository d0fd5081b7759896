"""/live: the one event stream of a page, with what changes in the project and, if asked, the events of a job."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from sse_starlette import ServerSentEvent

from contract.errors import TidepoolError, Unauthenticated
from contract.jobs import JobEvent
from services.gateway.api.events import Stream
from services.gateway.console.screens.pools import live_pools
from services.gateway.console.viewer import MAY_SEE, Viewer, ViewerDep
from services.gateway.edge.ttl_cache import TtlCache
from services.gateway.edge.watches import Watched
from services.gateway.serving.batching.metrics import answered_in
from services.storage.screens.live_jobs import LiveJobs

router = APIRouter(include_in_schema=False)

PERIOD_S = 1.0  # between two readings of a topic
Read = Callable[[Viewer], Any]


def _live_jobs(viewer: Viewer) -> Any:
    jobs = LiveJobs(viewer.stores.database, viewer.caller.project).list()
    return [job.model_dump() for job in jobs]


def _answered(viewer: Viewer) -> int:
    return answered_in(viewer.caller.project)


# What a page can ask for by `topic=`: a function that reads something small and returns JSON. It runs in a thread, at
# most once a second for a project, and browsers get its answer when it has changed.
TOPICS: dict[str, Read] = {"jobs": _live_jobs, "answered": _answered, "pools": live_pools}


@dataclass(frozen=True)
class Topic:
    """A topic of a project, as the key of its cached value; two viewers of a project share the value."""

    name: str
    project: str


class Readings:
    """The values of the topics, shared by all streams of this gateway."""

    def __init__(self) -> None:
        self._viewers: dict[Topic, Viewer] = {}
        self._values: TtlCache[Topic, str] = TtlCache(self._read)

    async def get(self, name: str, viewer: Viewer) -> str:
        """Return a topic's value as JSON, at most a second old; raises what reading raises."""
        topic = Topic(name, viewer.caller.project)
        self._viewers[topic] = viewer
        return await self._values.get(topic)

    def _read(self, topic: Topic) -> str:
        return json.dumps(TOPICS[topic.name](self._viewers[topic]), separators=(",", ":"))


@router.get("/live", dependencies=MAY_SEE)
async def live(
    request: Request,
    viewer: ViewerDep,
    topic: Annotated[list[str], Query(max_length=8)] = [],  # noqa: B006  FastAPI copies it
    job: Annotated[str, Query(max_length=64)] = "",
    after: Annotated[int, Query(ge=0)] = 0,
    last_event_id: Annotated[str, Header(pattern="^[0-9]{0,9}$")] = "",
) -> Response:
    """Events named after the topics, and `state`, `progress`, `metrics` and `log` of a job after number `after`."""
    watches = viewer.backends.watches
    recheck = partial(viewer.backends.access.recheck, None, viewer.token)
    if job:
        await watches.read(viewer.stores.jobs.get, job)  # raises NotFound before the stream begins
    last = int(last_event_id or after)
    topics = [name for name in dict.fromkeys(topic) if name in TOPICS]
    readings: Readings = request.app.state.readings
    return Stream(watches.stream(viewer.caller.key_id), _events(viewer, readings, topics, job, last, recheck))


async def _events(
    viewer: Viewer,
    readings: Readings,
    topics: list[str],
    job: str,
    last: int,
    recheck: Callable[[], Awaitable[None]],
) -> AsyncIterator[ServerSentEvent]:
    sent: dict[str, str] = {}
    async with AsyncExitStack() as open_until_the_end:
        watched: Watched | None = None
        if job:
            watched = await open_until_the_end.enter_async_context(viewer.backends.watches.follow(viewer.stores, job))
        while True:
            try:
                await recheck()
            except Unauthenticated:
                yield ServerSentEvent("{}", event="signed-out")
                return
            except TidepoolError:  # an outage; go on when it is over
                await asyncio.sleep(PERIOD_S)
                continue
            for event in await _job_events(watched, last):
                last = event.id
                yield ServerSentEvent(event.model_dump_json(include={"at", "data"}), id=str(event.id), event=event.kind)
            for name in topics:
                value = await _reading(readings, name, viewer)
                if value is not None and sent.get(name) != value:
                    sent[name] = value
                    yield ServerSentEvent(value, event=name)
            await _pause(watched, last)


async def _reading(readings: Readings, name: str, viewer: Viewer) -> str | None:
    try:
        return await readings.get(name, viewer)
    except TidepoolError:
        return None


async def _job_events(watched: Watched | None, last: int) -> tuple[JobEvent, ...]:
    if watched is None:
        return ()
    try:
        return await watched.events_after(last)
    except TidepoolError:
        return ()


async def _pause(watched: Watched | None, last: int) -> None:
    if watched is None or (watched.ended and last >= watched.last):
        await asyncio.sleep(PERIOD_S)
    elif last >= watched.last:
        await watched.tick()
