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
    if word == b"until":
        path = Path(rest.decode())
        path.with_name("busy").touch()
        wait_for(path)
    return body[::-1]


def wait_for(path: Path) -> None:
    """Return when the file exists, or after 20 seconds."""
    give_up = time.monotonic() + 20
    while not path.exists() and time.monotonic() < give_up:
        time.sleep(0.01)


def setup(_: Stores) -> Answer:
    return answer


if __name__ == "__main__":
    serve("echo", setup=setup)
