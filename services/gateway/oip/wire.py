"""Parses gRPC messages, after a look at their bytes: a few megabytes of tiny fields can become gigabytes of objects."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError

from contract.errors import Malformed, TidepoolError, TooLarge

SMALL = 256 << 10  # bytes of a message that needs no look
MAX_FIELDS = 4096  # of the message itself
MAX_PARSED = 4 << 20  # bytes beside raw tensors, which become one object each
_RAW_INPUT_CONTENTS = 7  # of ModelInferRequest
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # wire types

Parse = Callable[[bytes], Any]


def bounded(parse: Parse) -> Parse:
    """Return a deserializer that returns an error instead of a message which is malformed or too costly to parse.

    An error that a deserializer raises would be INTERNAL for the client.
    """

    def parse_bounded(data: bytes) -> Any:
        try:
            if len(data) > SMALL:
                _check(data)
            return parse(data)
        except TidepoolError as error:
            return error
        except DecodeError:
            return Malformed("the message is not what the protocol says")

    return parse_bounded


def _check(data: bytes) -> None:
    """Raise TooLarge for too many fields or too many bytes beside raw tensors, and Malformed for what is no message."""
    position, fields, parsed = 0, 0, 0
    while position < len(data):
        start = position
        tag, position = _varint(data, position)
        position = _skip(data, position, tag & 7)
        fields += 1
        if tag >> 3 != _RAW_INPUT_CONTENTS:
            parsed += position - start
        if fields > MAX_FIELDS or parsed > MAX_PARSED:
            raise TooLarge(
                f"a message may have {MAX_FIELDS} fields and {MAX_PARSED} bytes beside raw_input_contents; send large "
                "tensors there"
            )


def _skip(data: bytes, position: int, wire_type: int) -> int:
    """Return the position after a field's value."""
    if wire_type == _VARINT:
        return _varint(data, position)[1]
    if wire_type == _LENGTH:
        length, position = _varint(data, position)
        return _within(data, position + length)
    if wire_type in (_FIXED64, _FIXED32):
        return _within(data, position + (8 if wire_type == _FIXED64 else 4))
    raise Malformed("the message is not what the protocol says")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[_within(data, position + 1) - 1]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise Malformed("the message is not what the protocol says")


def _within(data: bytes, position: int) -> int:
    if position > len(data):
        raise Malformed("the message is not what the protocol says")
    return position
