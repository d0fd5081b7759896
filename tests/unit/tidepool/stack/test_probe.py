"""Probes against real sockets on loopback."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.support.certificates import Authority
from tests.support.http_server import Handler, answering
from tidepool.stack.probe import answers


@contextmanager
def server(response: bytes) -> Iterator[int]:
    """Accept one connection, read once, and send the response."""

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            if response:
                connection.recv(1024)
                connection.sendall(response)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=serve, args=(listening,))
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(("status", "ready"), [("200 OK", True), ("503 Service Unavailable", False)])
def test_an_http_probe_expects_status_200(status: str, ready: bool) -> None:
    with server(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()) as port:
        assert answers(f"http://127.0.0.1:{port}/readyz") is ready


def test_an_https_probe_accepts_any_certificate(tmp_path: Path) -> None:
    class OnlyReady(Handler):
        def do_GET(self) -> None:
            self.answer(200 if self.path == "/readyz" else 503)

    with answering(OnlyReady, Authority(tmp_path).issue().server_context) as port:
        assert answers(f"https://127.0.0.1:{port}/readyz")
        assert not answers(f"https://127.0.0.1:{port}/livez")
        assert not answers(f"http://127.0.0.1:{port}/readyz")


@pytest.mark.parametrize(("response", "ready"), [(b"+OK\r\n+PONG\r\n", True), (b"-WRONGPASS\r\n-NOAUTH\r\n", False)])
def test_a_redis_probe_expects_pong(response: bytes, ready: bool) -> None:
    with server(response) as port:
        assert answers(f"redis://probe:secret@127.0.0.1:{port}/0") is ready


def test_a_tcp_probe_expects_a_connection() -> None:
    with server(b"") as port:
        assert answers(f"tcp://127.0.0.1:{port}")


def test_a_server_that_does_not_speak_http_is_not_ready() -> None:
    with server(b"SSH-2.0\r\n") as port:
        assert not answers(f"http://127.0.0.1:{port}/readyz")


@pytest.mark.parametrize("scheme", ["http", "https", "redis", "tcp"])
def test_a_closed_port_is_not_ready(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert not answers(f"{scheme}://127.0.0.1:{port}")
