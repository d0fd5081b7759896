"""The head of a request, to find out whether further ones have the same without parsing them."""

import re
from typing import Self

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)\r\n", re.IGNORECASE)
_MOST_DIGITS = 20


class RepeatedHead:
    """The request line and the headers of a request as they were sent, but for the digits of its Content-Length."""

    __slots__ = ("_after", "_before")

    def __init__(self, before: bytes, after: bytes) -> None:
        """`before` and `after` are what surrounds the digits."""
        self._before = before
        self._after = after

    @classmethod
    def of(cls, data: bytes) -> Self | None:
        """Return the head of the request that is all of `data`; None if it is no request, a part of one, or more."""
        end = data.find(_END) + len(_END)
        length = _LENGTH.search(data, 0, end)
        if length is None:
            return None
        head = cls(data[: length.start(1)], data[length.end(1) : end])
        return None if head.body_of(data) is None else head

    def body_of(self, data: bytes) -> bytes | None:
        """Return the body of a request that has this head and is all of `data`; None for anything else."""
        before, after = self._before, self._after
        if not data.startswith(before):
            return None
        at = len(before)
        stop = data.find(b"\r", at, at + _MOST_DIGITS)
        digits = data[at:stop]
        if stop < 0 or not digits.isdigit() or not data.startswith(after, stop):
            return None
        body = data[stop + len(after) :]
        return body if len(body) == int(digits) else None
