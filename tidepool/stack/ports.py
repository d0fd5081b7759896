"""The only place that picks or checks ports, always on loopback."""

import random
import socket
from contextlib import ExitStack

from tidepool.errors import StackFailed

HOST = "127.0.0.1"
# Below Linux's ephemeral range (32768-60999): a port in it may be taken by any outgoing connection while its
# component restarts.
RANGE = range(15000, 32000)


def free_ports(count: int, *, besides: int = 0) -> list[int]:
    """Different free ports, none of them `besides`; all are held until the last is found."""
    found: list[int] = []
    with ExitStack() as held:
        for port in random.sample(RANGE, len(RANGE)):
            if len(found) == count:
                break
            if port == besides:
                continue
            try:
                held.enter_context(_bound(port))
            except OSError:
                continue
            found.append(port)
    return found


def require_free(port: int) -> None:
    """Raise StackFailed if somebody listens on the port."""
    try:
        _bound(port).close()
    except OSError as error:
        raise StackFailed(
            f"Port {port} on {HOST} is in use. Choose another one, for example: TIDEPOOL_PORT=8090 make up"
        ) from error


def _bound(port: int) -> socket.socket:
    candidate = socket.socket()
    try:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT are no hindrance
        candidate.bind((HOST, port))
    except (OSError, OverflowError):
        candidate.close()
        raise
    return candidate
