"""A replica for the tests of calls: what it is asked says how it behaves."""

import time
from pathlib import Path

from contract.errors import BadImage
from runtime.calls import Answer
from runtime.replica import serve
from runtime.stores import Stores

COMPUTED: list[bytes] = []


def answer(body: bytes) -> bytes:
    """The body backwards, or after `bad`, `bug`, `computed` and `until <path exists>` something else."""
    COMPUTED.append(body)
    word, _, rest = body.partition(b" ")
    if word == b"bad":
        raise BadImage("the file is damaged")
    if word == b"bug":
        raise ZeroDivisionError("secret detail")
    if word == b"computed":
        return b"\n".join(COMPUTED)
    while word == b"until" and not Path(rest.decode()).exists():
        time.sleep(0.01)
    return body[::-1]


def setup(_: Stores) -> Answer:
    return answer


if __name__ == "__main__":
    serve("echo", setup=setup)
