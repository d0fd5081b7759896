"""The process of a replica: runs the jobs of its pool, answers batches of predictions, or both."""

import gc
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import structlog
from celery import Celery, signals

from contract.jobs import JobKind
from messaging import redis_keys
from messaging.answering import BatchHandler
from messaging.broker import Broker, celery_app, consume
from messaging.busy import Busy
from messaging.celery_transport import ANSWER_BATCHES, HEAR_BEAT, RUN_JOB
from messaging.heartbeat import Heartbeat
from messaging.local_server import answering_locally
from messaging.presence import Presence
from messaging.redis_address import redis_client
from messaging.responder import Responder
from messaging.scrape import SCRAPE, watch_disk
from messaging.settings import BrokerSettings, TelemetrySettings, TracingSettings
from messaging.telemetry import start_telemetry
from messaging.tracing import start_tracing, stop_tracing
from services.storage.stores import Stores
from worker.gpu import Gpu
from worker.metrics import busy_reader
from worker.seats import TakePart
from worker.settings import WorkerSettings
from worker.task import Handler
from worker.usage_writer import UsageWriter
from worker.worker import Worker

log = structlog.get_logger()

Setup = Callable[[Stores], BatchHandler]


def serve(
    pool: str,
    handlers: Mapping[JobKind, Handler] | None = None,
    setup: Setup | None = None,
    gpu: Callable[[], int | None] = lambda: None,
    preload: Sequence[str] = (),
    seats: Mapping[JobKind, TakePart] | None = None,
) -> None:
    """Run jobs with `handlers`, answer batches with the handler that `setup` returns, or both, until SIGTERM.

    `gpu` returns the number, among the GPUs visible to CUDA, of the one in use, or None. The process that attempts are
    forked from imports the modules `preload` as soon as it starts. An idle replica takes part in jobs that others lead,
    by the functions `seats`.
    """
    start_telemetry(pool, TelemetrySettings())
    start_tracing(pool, TracingSettings())
    settings = BrokerSettings()
    app = celery_app(settings)
    stores, device = Stores.from_environment(), gpu()
    client = redis_client(settings.url.get_secret_value(), timeout_s=5, connect_timeout_s=3)
    tasks: dict[str, Callable[..., None]] = {}
    private = redis_keys.private_queue(pool, f"{socket.gethostname()}.{os.getpid()}")
    queues = [pool, private]
    online, jobs, running = Busy(), Busy(), ExitStack()
    wakeups = redis_keys.wakeups(pool)
    wakeup = Broker(app).wakeup_message(wakeups)
    if setup is not None:
        handler = setup(stores)
        tasks[ANSWER_BATCHES] = Responder(pool, client, handler, wakeup, online).run
        queues.append(wakeups)
        running.callback(handler.close)  # after the local batches have ended
        running.enter_context(answering_locally(pool, private, handler, online))
    worker = Worker(handlers or {}, stores, jobs, preload, seats)
    SCRAPE.before(busy_reader(pool, {"online": online, "jobs": jobs}))
    SCRAPE.merge_with(worker.metrics.merged_with)
    watch_disk("scratch", WorkerSettings().scratch)
    if setup is None:  # a replica that mostly answers batches saves the memory until its first job
        worker.warm_up()
    heartbeat = Heartbeat(lambda: Broker(app).beat(private))
    tasks[HEAR_BEAT] = heartbeat.hear
    heartbeat.start()
    presence = Presence(pool, private, client, online, jobs, worker.cordon, _gpu_busy(device))
    presence.start()
    signals.worker_shutting_down.connect(lambda **_: presence.drain(), weak=False)
    usage_writer = UsageWriter(pool, device is not None, stores.ledger, (online, jobs))
    usage_writer.start()
    gc.freeze()  # a full collection of the objects that exist by now would cost 50 ms each time
    try:
        if handlers is None:
            consume(app, queues, tasks)
        else:
            _run_jobs(worker, app, queues, tasks)
    finally:
        running.close()
        usage_writer.write()
        stop_tracing()
        if not isinstance(sys.exception(), Exception):  # after an error, a batch may be unanswered
            presence.leave(wakeup)


def _gpu_busy(device: int | None) -> Callable[[], float | None]:
    if device is None:
        return lambda: None
    import pynvml  # noqa: PLC0415  only services that may have a GPU list NVML's bindings

    return Gpu(pynvml, device).busy


def _run_jobs(worker: Worker, app: Celery, queues: Sequence[str], tasks: dict[str, Callable[..., None]]) -> None:
    """Consume messages while the worker runs jobs in its own thread; drain the worker at SIGTERM."""

    def run_job(job_id: str) -> None:
        log.debug("wake-up message", job_id=job_id)
        worker.wake()

    def drain(**_: Any) -> None:
        worker.drain()

    signals.worker_shutting_down.connect(drain, weak=False)
    worker.start()
    try:
        consume(app, queues, tasks | {RUN_JOB: run_job})
    finally:
        worker.drain()
        worker.join()
