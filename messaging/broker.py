"""The Celery application. Messages only wake workers; the state of a job is its row in the database."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import redis
import structlog
from celery import Celery
from celery.worker.consumer import Consumer
from kombu.connection import Connection
from kombu.exceptions import InconsistencyError, KombuError
from kombu.utils.json import dumps

from contract.errors import BrokerUnavailable
from contract.jobs import JobKind
from messaging import redis_keys
from messaging.celery_transport import ANSWER_BATCHES, HEAR_BEAT, RUN_JOB, use_checked_transport
from messaging.redis_address import KEEPALIVE, celery_broker
from messaging.settings import BrokerSettings

log = structlog.get_logger()

REFUSED_PAUSE_S = 2.0
PRIVATE_QUEUE_TTL_S = 120  # Redis then deletes the private queue of a worker that has ended


def celery_app(settings: BrokerSettings) -> Celery:
    """Return a Celery application on Redis. Its messages may be lost: they hold no state."""
    use_checked_transport()
    broker = celery_broker(settings.url.get_secret_value())
    app = Celery("tidepool", broker=broker.url)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=False,  # the lease recovers a job, not a redelivery
        task_create_missing_queues=True,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,  # its channel would let one service stop the workers of all
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # see PatientConsumer
        worker_consumer="messaging.broker:PatientConsumer",
        broker_connection_timeout=3,
        broker_use_ssl=broker.tls,
        broker_transport_options={
            "ack_emulation": False,  # queues are consumed with no_ack
            "priority_steps": [0],  # one Redis list a queue
            "socket_timeout": 5,  # without it a frozen Redis blocks a publish indefinitely
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "socket_keepalive_options": KEEPALIVE,
            "health_check_interval": 10,
            "max_retries": 1,  # of a publish's connection; callers retry
            "interval_start": 0,
            **broker.options,
        },
    )
    return app


def consume(app: Celery, queues: Sequence[str], tasks: Mapping[str, Callable[..., None]]) -> None:
    """Run a Celery worker that calls the function of every task on `queues`, one at a time, until SIGTERM.

    The worker receives no messages while a function runs, so a long task must start a thread of its own. Celery's
    thread pool is not used: it fetches the next message up to a second late, as a finished thread does not wake it.
    """
    # no_ack: no message needs redelivery, and an acknowledgement lost in an outage would stop the worker permanently
    app.conf.task_queues = {name: {"exchange": name, "routing_key": name, "no_ack": True} for name in queues}
    for task, function in tasks.items():
        app.task(name=task)(function)
    name = f"--hostname={queues[0]}@%h-{os.getpid()}"
    options = ["--pool=solo", "--concurrency=1", f"--queues={','.join(queues)}", name, "--loglevel=INFO"]
    silent = ["--without-gossip", "--without-mingle", "--without-heartbeat"]  # these talk to other workers
    app.worker_main(["--quiet", "worker", *options, *silent])


class PatientConsumer(Consumer):  # type: ignore[misc]
    """Celery's consumer that waits before it connects again because Redis refused a command.

    A Redis without free memory refuses the commands with which a consumer begins. Celery would end the worker, or with
    `broker_channel_error_retry` alone, connect five times a second.
    """

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        super().on_connection_error_after_connected(exc)
        if isinstance(exc, redis.ResponseError):
            if redis_keys.is_wrong_type(exc):
                self._delete_other_types()
            time.sleep(REFUSED_PAUSE_S)

    def _delete_other_types(self) -> None:
        """Delete the keys of queues that are not lists, which would keep the worker from every message."""
        with contextlib.suppress(BrokerUnavailable), mapped_errors(), self.app.connection_for_write() as connection:
            client = connection.default_channel.client
            for queue in self.app.conf.task_queues:
                try:
                    client.llen(queue)
                except redis.ResponseError:
                    log.warning("key deleted, it was not a queue", queue=queue)
                    client.delete(queue)


class Broker:
    """Sends messages to the queues of pools and workers."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def wake(self, kind: JobKind, job_id: str) -> None:
        """Wake the pool of a job kind. After BrokerUnavailable, the message may or may not have been sent.

        The storage process looks for its own jobs without a message.
        """
        if not kind.definition.internal:
            self._send(RUN_JOB, [job_id], kind.pool)

    def wakeup_message(self, queue: str) -> bytes:
        """Return the message, as Celery encodes it on a Redis list, that wakes a replica to answer batches."""
        with Connection("memory://") as connection:  # type: ignore[no-untyped-call]
            self._app.send_task(ANSWER_BATCHES, queue=queue, connection=connection, ignore_result=True)
            return bytes(dumps(connection.default_channel._get(queue)), "utf-8")  # type: ignore[no-untyped-call]

    def beat(self, queue: str) -> None:
        """Send a heartbeat to a worker's private queue; raises BrokerUnavailable."""
        self._send(HEAR_BEAT, [], queue)
        with mapped_errors(), self._app.connection_for_write() as connection:
            client = connection.default_channel.client
            for key in (queue, *redis_keys.bindings(queue)):
                client.expire(key, PRIVATE_QUEUE_TTL_S)

    def _send(self, task: str, args: list[object], queue: str) -> None:
        with mapped_errors():
            self._app.send_task(task, args, queue=queue, retry=False, ignore_result=True)


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Raise every error of kombu and redis as BrokerUnavailable."""
    try:
        yield
    except (KombuError, InconsistencyError, redis.RedisError, OSError) as error:
        raise BrokerUnavailable("the broker does not answer; try again soon") from error
