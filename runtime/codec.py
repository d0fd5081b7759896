"""The only place that turns messages into bytes and back, for every process that sends or takes them."""

from typing import TypeVar

import msgpack
from pydantic import ValidationError

from contract.base import Frozen
from contract.errors import Malformed

Message = TypeVar("Message", bound=Frozen)


def encode(message: Frozen) -> bytes:
    """The message as msgpack; bytes fields stay raw bytes."""
    packed: bytes = msgpack.packb(message.model_dump(mode="python"), use_bin_type=True)
    return packed


def decode(kind: type[Message], data: bytes) -> Message:
    """The message of this kind that `encode` wrote; raises Malformed for any other bytes."""
    try:
        return kind.model_validate(msgpack.unpackb(data))
    except ValidationError:
        raise Malformed(f"the bytes are no {kind.__name__}") from None
    except (ValueError, msgpack.UnpackException):
        raise Malformed("the bytes are no msgpack") from None
