"""The Celery application and its only caller of send_task: messages are doorbells, the rows are the truth."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import redis
from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import InconsistencyError, KombuError
from kombu.utils.json import dumps

from contract.errors import BrokerUnavailable
from contract.jobs import JobKind
from messaging.settings import BrokerSettings

RUN_JOB = "tidepool.run_job"
ANSWER_BATCHES = "tidepool.answer_batches"
HEAR_BEAT = "tidepool.hear_beat"
FORGET_S = 120  # after which Redis forgets the private queue of a worker that is gone


def celery_app(settings: BrokerSettings) -> Celery:
    """A Celery application on Redis that loses nothing that matters, because nothing that matters is in it."""
    app = Celery("tidepool", broker=settings.url.get_secret_value())
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=False,  # the lease recovers a job, not a redelivery
        task_create_missing_queues=True,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=3,
        broker_transport_options={
            "visibility_timeout": 3600,
            "socket_timeout": 5,  # without it a frozen Redis blocks a publish for ever
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "max_retries": 1,  # of a publish's connection; who rings tries again by itself
            "interval_start": 0,
        },
    )
    return app


def consume(app: Celery, queues: Sequence[str], tasks: Mapping[str, Callable[..., None]]) -> None:
    """Run a Celery worker that calls the function of every task on `queues`, one at a time, until SIGTERM.

    A function keeps the worker from the broker until it returns, so long work belongs in a thread of its own. Celery's
    own pool of threads fetches the next message up to a second late: a thread that ends does not wake its loop.
    """
    # no_ack: nothing needs a redelivery, and an acknowledgement lost in an outage would stop the worker for good
    app.conf.task_queues = {name: {"exchange": name, "routing_key": name, "no_ack": True} for name in queues}
    for task, function in tasks.items():
        app.task(name=task)(function)
    name = f"--hostname={queues[0]}@%h-{os.getpid()}"
    options = ["--pool=solo", "--concurrency=1", f"--queues={','.join(queues)}", name, "--loglevel=INFO"]
    app.worker_main(["--quiet", "worker", *options, "--without-gossip", "--without-mingle"])


class Broker:
    """Rings the pools' queues."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def wake(self, kind: JobKind, job_id: str) -> None:
        """Tell the pool of a kind that there is work; raises BrokerUnavailable, and then it may have woken or not."""
        self._send(RUN_JOB, [job_id], kind.pool)

    def wakeup(self, queue: str) -> bytes:
        """The message, as Celery puts it on a Redis list, that wakes a replica to answer batches."""
        with Connection("memory://") as connection:  # type: ignore[no-untyped-call]
            self._app.send_task(ANSWER_BATCHES, queue=queue, connection=connection, ignore_result=True)
            return bytes(dumps(connection.default_channel._get(queue)), "utf-8")  # type: ignore[no-untyped-call]

    def beat(self, queue: str) -> None:
        """Send a beat to a worker's private queue; raises BrokerUnavailable."""
        self._send(HEAR_BEAT, [], queue)
        with mapped_errors(), self._app.connection_for_write() as connection:
            client = connection.default_channel.client
            for key in (queue, f"_kombu.binding.{queue}"):
                client.expire(key, FORGET_S)

    def _send(self, task: str, args: list[object], queue: str) -> None:
        with mapped_errors():
            self._app.send_task(task, args, queue=queue, retry=False, ignore_result=True)


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Map whatever kombu and redis raise to the error tree."""
    try:
        yield
    except (KombuError, InconsistencyError, redis.RedisError, OSError) as error:
        raise BrokerUnavailable("the broker does not answer; try again soon") from error
