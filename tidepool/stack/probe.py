"""The only place that asks a server whether it is ready."""

import http.client
import socket
from urllib.parse import SplitResult, urlsplit

TIMEOUT = 1.0


def answers(url: str) -> bool:
    """Whether `http://…` answers 200, `redis://:password@…` answers PING, or `tcp://…` accepts a connection."""
    target = urlsplit(url)
    try:
        return _PROBES[target.scheme](target)
    except (OSError, http.client.HTTPException):
        return False


def _http(target: SplitResult) -> bool:
    connection = http.client.HTTPConnection(target.netloc, timeout=TIMEOUT)
    try:
        connection.request("GET", target.path or "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    finally:
        connection.close()


def _redis(target: SplitResult) -> bool:
    with _connected(target) as connection:
        connection.sendall(f"AUTH {target.password}\r\nPING\r\n".encode())
        expected, answer = b"+OK\r\n+PONG\r\n", b""
        while len(answer) < len(expected) and (chunk := connection.recv(64)):
            answer += chunk
        return answer == expected


def _tcp(target: SplitResult) -> bool:
    with _connected(target):
        return True


def _connected(target: SplitResult) -> socket.socket:
    return socket.create_connection((target.hostname, target.port), timeout=TIMEOUT)


_PROBES = {"http": _http, "redis": _redis, "tcp": _tcp}
