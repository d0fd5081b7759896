"""Find and check free ports on loopback."""

import random
import socket
from contextlib import ExitStack

from tidepool.errors import StackFailed

HOST = "127.0.0.1"
# Below Linux's ephemeral range (32768-60999), from which an outgoing connection could take a port while its component
# restarts.
RANGE = range(15000, 32000)


def free_ports(count: int, *, exclude: int = 0) -> list[int]:
    """Return `count` different free ports other than `exclude`; each stays bound until all are found."""
    ports: list[int] = []
    with ExitStack() as held:
        for port in random.sample(RANGE, len(RANGE)):
            if len(ports) == count:
                break
            if port == exclude:
                continue
            try:
                held.enter_context(_bound(port))
            except OSError:
                continue
            ports.append(port)
    return ports


def require_free(port: int) -> None:
    """Raise StackFailed if the port is in use."""
    try:
        _bound(port).close()
    except OSError as error:
        raise StackFailed(
            f"Port {port} on {HOST} is in use. Choose another one, for example: TIDEPOOL_PORT=8090 make up"
        ) from error


def _bound(port: int) -> socket.socket:
    candidate = socket.socket()
    try:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore connections in TIME_WAIT
        candidate.bind((HOST, port))
    except (OSError, OverflowError):
        candidate.close()
        raise
    return candidate
