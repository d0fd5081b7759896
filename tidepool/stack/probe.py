"""Readiness probes over HTTP, Redis and TCP."""

import http.client
import socket
import ssl
from urllib.parse import SplitResult, urlsplit

TIMEOUT_S = 1.0


def answers(url: str) -> bool:
    """Return whether `http://…` answers 200, `redis://user:password@…` answers PING, or `tcp://…` accepts a connection.

    `https://…` is `http://…` with any certificate: the server is on this machine, and nothing secret is sent.
    """
    target = urlsplit(url)
    try:
        return _PROBES[target.scheme](target)
    except (OSError, http.client.HTTPException):
        return False


def _http(target: SplitResult) -> bool:
    return _get(http.client.HTTPConnection(target.netloc, timeout=TIMEOUT_S), target)


def _https(target: SplitResult) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return _get(http.client.HTTPSConnection(target.netloc, timeout=TIMEOUT_S, context=context), target)


def _get(connection: http.client.HTTPConnection, target: SplitResult) -> bool:
    try:
        connection.request("GET", target.path or "/")
        return connection.getresponse().status == http.HTTPStatus.OK
    finally:
        connection.close()


def _redis(target: SplitResult) -> bool:
    with _connected(target) as connection:
        connection.sendall(f"AUTH {target.username} {target.password}\r\nPING\r\n".encode())
        expected, reply = b"+OK\r\n+PONG\r\n", b""
        while len(reply) < len(expected) and (chunk := connection.recv(64)):
            reply += chunk
        return reply == expected


def _tcp(target: SplitResult) -> bool:
    with _connected(target):
        return True


def _connected(target: SplitResult) -> socket.socket:
    return socket.create_connection((target.hostname, target.port), timeout=TIMEOUT_S)


_PROBES = {"http": _http, "https": _https, "redis": _redis, "tcp": _tcp}
