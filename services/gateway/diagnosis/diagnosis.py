"""The health report of the deployment: every check at the same time, each with a deadline."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import structlog
from anyio import CapacityLimiter, to_thread

from contract import __version__
from contract.errors import TidepoolError
from contract.health import Check, HealthReport, passed, problem, warning, worst
from services.gateway.diagnosis import processes, servers
from services.gateway.serving.batching.batcher import InferenceClient
from services.storage.diagnosis import database_facts, store_facts, try_object
from services.storage.pools.demand import ONLINE, Demand
from services.storage.stores import Stores

DEADLINE_S = 5.0  # of each check
PING_S = 3.0  # of the answer of a replica
SLOW_PING_S = 1.0
LOW_BYTES, VERY_LOW_BYTES = 5 << 30, 500 << 20  # free for uploads while they arrive, and for indexes of images
DISK_ADVICE = "Free some, or give the gateway a larger volume for temporary files: uploads pass through it."
THREADS = 8  # a server that hangs keeps the threads of one report, and later reports say that they got none

STARTED = time.monotonic()  # of the process, whose imports end with this one

log = structlog.get_logger()

Value = TypeVar("Value")


class Diagnosis:
    """Makes reports; requests that come while one is being made get the same."""

    def __init__(self, stores: Stores, demand: Demand, inference: InferenceClient) -> None:
        self._stores = stores
        self._demand = demand
        self._inference = inference
        self._threads = CapacityLimiter(THREADS)
        self._report: asyncio.Task[HealthReport] | None = None

    async def report(self) -> HealthReport:
        """Return a report that was begun when or after this was called, or shortly before."""
        if self._report is None or self._report.done():
            self._report = asyncio.get_running_loop().create_task(self._make())
        return await asyncio.shield(self._report)

    async def _make(self) -> HealthReport:
        parts: dict[str, Callable[[], Awaitable[Sequence[Check]]]] = {
            "gateway": self._gateway,
            "database": partial(self._in_thread, self._database),
            "redis": partial(self._in_thread, self._broker),
            "object store": partial(self._in_thread, self._objects),
            "processes": partial(self._in_thread, self._processes),
            ONLINE: self._replica,
        }
        results = await asyncio.gather(*(_within_deadline(name, part) for name, part in parts.items()))
        checks = _by_component(check for result in results for check in result)
        return HealthReport(status=worst(checks), version=__version__, at=datetime.now(UTC), checks=checks)

    async def _gateway(self) -> Sequence[Check]:
        up = processes.span(time.monotonic() - STARTED)
        version = passed("gateway", "version", f"Tidepool {__version__}, which has run for {up}")
        return (version, *await self._in_thread(_disk_checks))

    def _database(self) -> Sequence[Check]:
        return servers.database_checks(database_facts(self._stores.database), datetime.now(UTC))

    def _broker(self) -> Sequence[Check]:
        return servers.broker_checks(self._demand.reports.broker_facts(), time.time())

    def _objects(self) -> Sequence[Check]:
        facts = store_facts(self._stores.objects)
        checks = servers.store_checks(facts, datetime.now(UTC))
        return checks if facts.missing else (*checks, _tried(partial(try_object, self._stores.objects)))

    def _processes(self) -> Sequence[Check]:
        settings, measured = self._stores.pools.list(), self._demand.measure()
        reports, own = self._demand.reports.read(), self._demand.reports.read_processes()
        has_autoscaler = any(setting.created is not None for setting in settings)
        return (
            *processes.gateway_checks(reports),
            *processes.process_checks(own, has_autoscaler),
            *(processes.pool_check(setting, measured[setting.name], reports) for setting in settings),
        )

    async def _replica(self) -> Sequence[Check]:
        """Measure the way to a replica and back, if there is one; without any, no replica is started for it."""
        reports = await self._in_thread(self._demand.reports.read)
        replicas = () if reports is None or ONLINE not in reports else reports[ONLINE].replicas.values()
        if all(replica.draining for replica in replicas):
            return ()
        seconds = await self._inference.ping_replica(PING_S)
        message = "the way from this gateway to a replica and back works"
        if seconds <= SLOW_PING_S:
            return (passed(ONLINE, "latency", message, 1000 * seconds),)
        advice = "Predictions wait for each other. Add replicas, or let the pool follow its load: `tidepool scale`."
        return (warning(ONLINE, "latency", f"{message}, but slowly", advice, 1000 * seconds),)

    async def _in_thread(self, function: Callable[[], Value]) -> Value:
        return await to_thread.run_sync(function, abandon_on_cancel=True, limiter=self._threads)


def _by_component(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Return the checks with those of each component together, in the order in which the components come first."""
    groups: dict[str, list[Check]] = {}
    for check in checks:
        groups.setdefault(check.component, []).append(check)
    return tuple(check for group in groups.values() for check in group)


async def _within_deadline(component: str, part: Callable[[], Awaitable[Sequence[Check]]]) -> Sequence[Check]:
    """Run a part of the report; what it raises, or that it takes too long, becomes a problem."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await part()
    except TimeoutError:
        message = f"no result within {DEADLINE_S:g} s"
    except TidepoolError as error:
        message = error.message
    except Exception:
        log.exception("health check failed", component=component)
        message = "the check failed, which is a defect; the gateway's log says more"
    return (problem(component, "answers", message, ADVICE[component]),)


def _tried(try_: Callable[[], float]) -> Check:
    """Return the check of writing, reading and deleting an object."""
    try:
        return passed("object store", "objects", "an object was written, read and deleted", 1000 * try_())
    except TidepoolError as error:
        advice = (
            "Does the gateway's key permit PutObject, GetObject and DeleteObject in the bucket uploads, and has the "
            "store free space?"
        )
        return problem("object store", "objects", f"an object could not be written, read and deleted: {error}", advice)


ADVICE = {
    "gateway": "Look at the gateway's log, and at the load of its machine.",
    "database": "Is the database running, and can the gateway reach it? See its log and TIDEPOOL_DATABASE_URL.",
    "redis": "Is Redis running, and can the gateway reach it? See its log and TIDEPOOL_BROKER_URL.",
    "object store": "Is the object store running, and can the gateway reach it? See its log and TIDEPOOL_S3_ENDPOINT.",
    "processes": "The state of the processes comes from the database and Redis; repair those first.",
    ONLINE: "Are the inference replicas stuck or overloaded? See their logs, and the pool's queue.",
}


def _disk_checks() -> Sequence[Check]:
    """Check the disk on which the gateway keeps uploads while they arrive, and indexes of images."""
    free = shutil.disk_usage(tempfile.gettempdir()).free
    message = f"{free / 2**30:.1f} GiB free for temporary files"
    if free < VERY_LOW_BYTES:
        return (problem("gateway", "disk", message, DISK_ADVICE),)
    if free < LOW_BYTES:
        return (warning("gateway", "disk", message, DISK_ADVICE),)
    return (passed("gateway", "disk", message),)
