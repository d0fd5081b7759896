"""Celery's Redis transport, which drops messages that the services do not send.

Celery ends the worker if a message on its queue is not JSON or lacks a field. It also decompresses messages, and keeps
those with an ETA in memory, neither of which the services use.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from queue import Empty
from typing import Annotated, Any, Literal

import msgspec
import redis
import structlog
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis

from messaging import redis_address
from messaging.dropped import drop

RUN_JOB = "tidepool.run_job"
ANSWER_BATCHES = "tidepool.answer_batches"
HEAR_BEAT = "tidepool.hear_beat"
KIND = "wake-up message"
LARGEST = 4096  # characters of a body

log = structlog.get_logger()


class _Headers(msgspec.Struct):
    task: Literal["tidepool.run_job", "tidepool.answer_batches", "tidepool.hear_beat"]
    id: Annotated[str, msgspec.Meta(max_length=64)]
    root_id: Annotated[str, msgspec.Meta(max_length=64)] | None
    parent_id: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    compression: None = None
    eta: None = None
    expires: None = None
    group: None = None
    stamped_headers: None = None
    timelimit: tuple[None, None] = (None, None)
    retries: Literal[0] = 0


class _DeliveryInfo(msgspec.Struct):
    exchange: str
    routing_key: str


class _Properties(msgspec.Struct):
    body_encoding: Literal["base64"]
    delivery_tag: str
    delivery_info: _DeliveryInfo
    priority: Literal[0] = 0
    reply_to: str | None = None
    correlation_id: str | None = None


class _Message(msgspec.Struct):
    body: Annotated[str, msgspec.Meta(max_length=LARGEST)]
    headers: _Headers
    properties: _Properties
    content_type: Literal["application/json"] = msgspec.field(name="content-type")
    content_encoding: Literal["utf-8"] = msgspec.field(name="content-encoding")


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """Keyword arguments, of which the tasks have none."""


class _Then(msgspec.Struct, forbid_unknown_fields=True):
    """What Celery would send when the task has ended."""

    callbacks: None = None
    errbacks: None = None
    chain: None = None
    chord: None = None


_ARGUMENTS: Mapping[str, Callable[[bytes], Any]] = {
    RUN_JOB: msgspec.json.Decoder(tuple[tuple[str], _Nothing, _Then]).decode,
    ANSWER_BATCHES: msgspec.json.Decoder(tuple[tuple[()], _Nothing, _Then]).decode,
    HEAR_BEAT: msgspec.json.Decoder(tuple[tuple[()], _Nothing, _Then]).decode,
}


def check(message: object) -> None:
    """Raise ValueError unless a message, decoded from JSON, is one that the services send."""
    checked = msgspec.convert(message, _Message)
    _ARGUMENTS[checked.headers.task](b64decode(checked.body, validate=True))


class _DropsDamaged:
    """Reads messages from queues, and drops those that are not JSON."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except (Empty, OSError, redis.RedisError):  # no message, or no connection: Celery handles these
            raise
        except Exception as error:  # whatever a message does, the next one is read
            if not isinstance(error, ValueError | RecursionError):
                log.exception("a message was not handled")
            drop(KIND, 0, error)
            return True


class CheckedChannel(_DropsDamaged, kombu_redis.Channel):
    """A channel of one Redis."""

    connection_class = redis_address.ServerConnection
    connection_class_ssl = redis_address.SecureServerConnection


class CheckedSentinelChannel(_DropsDamaged, kombu_redis.SentinelChannel):
    """A channel of the master that Sentinels name."""

    connection_class = redis_address.MasterConnection
    connection_class_ssl = redis_address.SecureMasterConnection  # type: ignore[assignment]  # not kombu's own


class _ChecksMessages:
    """Passes messages to Celery if the services could have sent them."""

    def _deliver(self, message: Any, queue: str) -> None:
        try:
            check(message)
        except (ValueError, RecursionError) as error:
            drop(KIND, 0, error)
        else:
            super()._deliver(message, queue)  # type: ignore[misc]


class CheckedTransport(_ChecksMessages, kombu_redis.Transport):
    """The transport of `redis://` and `rediss://`."""

    Channel = CheckedChannel


class CheckedSentinelTransport(_ChecksMessages, kombu_redis.SentinelTransport):
    """The transport of `sentinel://`."""

    Channel = CheckedSentinelChannel


def use_checked_transport() -> None:
    """Let every connection to Redis in this process use these transports."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:{CheckedTransport.__name__}"))
    TRANSPORT_ALIASES["sentinel"] = f"{__name__}:{CheckedSentinelTransport.__name__}"
