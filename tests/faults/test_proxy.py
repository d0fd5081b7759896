"""The modes of the proxy, seen from a client's socket."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.faults.proxy import Mode, Proxy
from tests.support.servers import free_port


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy in front of an echo server."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        closing(Proxy(free_port(), server.getsockname()[1])) as proxy,
    ):
        threading.Thread(target=_echo, args=[server], daemon=True).start()
        yield proxy
        server.shutdown(socket.SHUT_RDWR)


def _echo(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=[connection], daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection, suppress(ConnectionResetError):
        while data := connection.recv(100):
            connection.sendall(data)


def ask(proxy: Proxy, question: bytes = b"four") -> bytes:
    """Send bytes and return the reply, up to the same length or the end of the connection."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=1) as client:
        client.sendall(question)
        answer = b""
        while len(answer) < len(question) and (more := client.recv(100)):
            answer += more
        return answer


@pytest.mark.parametrize("mode", [Mode.PASS, Mode.LATENCY])
def test_replies_pass(proxy: Proxy, mode: Mode) -> None:
    proxy.set(mode)
    assert ask(proxy) == b"four"


@pytest.mark.parametrize(("mode", "answer"), [(Mode.DROP, b""), (Mode.TRUNCATE, b"fo")])
def test_only_the_next_reply_is_broken(proxy: Proxy, mode: Mode, answer: bytes) -> None:
    proxy.set(mode)
    assert [ask(proxy), ask(proxy)] == [answer, b"four"]


def test_reset_closes_existing_and_new_connections(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=1) as open_before:
        open_before.sendall(b"four")
        assert open_before.recv(100) == b"four"
        proxy.set(Mode.RESET)
        with pytest.raises(ConnectionResetError):
            open_before.recv(100)
    with pytest.raises(ConnectionError):
        ask(proxy)
    proxy.set(Mode.PASS)
    assert ask(proxy) == b"four"


def test_a_black_hole_blocks_until_it_ends(proxy: Proxy) -> None:
    proxy.set(Mode.BLACK_HOLE)
    with pytest.raises(TimeoutError):
        ask(proxy)
    proxy.set(Mode.PASS)
    assert ask(proxy) == b"four"


def test_stale_blocks_existing_connections_and_passes_new_ones(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=1) as open_before:
        open_before.sendall(b"four")
        assert open_before.recv(100) == b"four"
        proxy.set(Mode.STALE)
        open_before.sendall(b"more")
        with pytest.raises(TimeoutError):
            open_before.recv(100)
    assert ask(proxy) == b"four"


def test_busy_responds_with_http_503(proxy: Proxy) -> None:
    proxy.set(Mode.BUSY)
    assert ask(proxy, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503")
