"""The process of one replica: it runs the jobs of its pool, answers the pool's calls, or does both."""

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

import redis
import structlog
from celery import Celery, signals

from contract.jobs import POOLS
from runtime.broker import ANSWER_CALL, HEAR_BEAT, RUN_JOB, Broker, celery_app, consume
from runtime.calls import Answer, Responder
from runtime.heartbeat import Heartbeat
from runtime.settings import BrokerSettings, TelemetrySettings
from runtime.stores import Stores
from runtime.task import Handler
from runtime.telemetry import start_telemetry
from runtime.worker import Worker

log = structlog.get_logger()

Setup = Callable[[Stores], Answer]


def serve(pool: str, handler: Handler | None = None, setup: Setup | None = None) -> None:
    """Run jobs with `handler` and answer calls with what `setup` makes, until SIGTERM; a composition root."""
    start_telemetry(pool, TelemetrySettings())
    settings = BrokerSettings()
    app = celery_app(settings)
    stores = Stores.from_environment()
    tasks: dict[str, Callable[..., None]] = {}
    if setup is not None:
        client = redis.Redis.from_url(settings.url.get_secret_value(), socket_timeout=5, socket_connect_timeout=3)
        tasks[ANSWER_CALL] = Responder(pool, client, setup(stores)).respond
    private = f"{pool}.{socket.gethostname()}.{os.getpid()}"
    heartbeat = Heartbeat(lambda: Broker(app).beat(private))
    tasks[HEAR_BEAT] = heartbeat.hear
    heartbeat.start()
    if handler is None:
        consume(app, [pool, private], tasks)
    else:
        kind = next(kind for kind, its_pool in POOLS.items() if its_pool == pool)
        _run_jobs(Worker(kind, handler, stores), app, [pool, private], tasks)


def _run_jobs(worker: Worker, app: Celery, queues: Sequence[str], tasks: dict[str, Callable[..., None]]) -> None:
    """Consume, while the worker runs jobs in a thread beside; what runs at SIGTERM is drained."""

    def run_job(job_id: str) -> None:
        log.debug("bell", job_id=job_id)
        worker.ring()

    def drain(**_: Any) -> None:
        worker.drain()

    signals.worker_shutting_down.connect(drain, weak=False)
    worker.start()
    try:
        consume(app, queues, tasks | {RUN_JOB: run_job})
    finally:
        worker.drain()
        worker.join()
