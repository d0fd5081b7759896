"""Messages from Redis that are not what a service would send: logged, counted and dropped."""

from collections.abc import Callable
from typing import TypeVar

import structlog
from prometheus_client import Counter

log = structlog.get_logger()

DROPPED = Counter(
    "tidepool_dropped_messages_total", "Messages from Redis that were dropped because they were damaged.", ["kind"]
)

Message = TypeVar("Message")


def drop(kind: str, size: int, error: Exception) -> None:
    """Log and count a message that is dropped, without its content."""
    DROPPED.labels(kind).inc()
    log.warning("damaged message dropped", kind=kind, size=size, error=type(error).__name__)


def decoded(kind: str, decode: Callable[[bytes], Message], message: bytes | memoryview) -> Message | None:
    """Decode a message with msgspec; drop it and return None if it is damaged."""
    try:
        return decode(message)  # type: ignore[arg-type]  # msgspec takes both, typeshed's Buffer
    except (ValueError, RecursionError) as error:  # ValueError: msgspec's errors, and text that is not UTF-8
        drop(kind, len(message), error)
        return None


def text(name: bytes) -> str:
    """Decode a name; bytes that are not UTF-8 become escapes, as nothing else has such a name."""
    return name.decode(errors="backslashreplace")
