"""How the proxy misbehaves, seen from a client's socket."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.faults.proxy import Mode, Proxy
from tests.support.servers import free_port


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """In front of a server that answers every request by the same bytes."""
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
    """The whole answer, until as many bytes came as were sent, or the end."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=1) as asker:
        asker.sendall(question)
        answer = b""
        while len(answer) < len(question) and (more := asker.recv(100)):
            answer += more
        return answer


@pytest.mark.parametrize("mode", [Mode.PASS, Mode.LATENCY])
def test_an_answer_comes_through(proxy: Proxy, mode: Mode) -> None:
    proxy.set(mode)
    assert ask(proxy) == b"four"


@pytest.mark.parametrize(("mode", "answer"), [(Mode.DROP, b""), (Mode.TRUNCATE, b"fo")])
def test_the_next_answer_alone_is_broken(proxy: Proxy, mode: Mode, answer: bytes) -> None:
    proxy.set(mode)
    assert [ask(proxy), ask(proxy)] == [answer, b"four"]


def test_a_reset_ends_connections_until_it_is_over(proxy: Proxy) -> None:
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


def test_a_black_hole_answers_when_it_is_over(proxy: Proxy) -> None:
    proxy.set(Mode.BLACK_HOLE)
    with pytest.raises(TimeoutError):
        ask(proxy)
    proxy.set(Mode.PASS)
    assert ask(proxy) == b"four"


def test_a_stale_connection_stays_silent_while_new_ones_pass(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=1) as open_before:
        open_before.sendall(b"four")
        assert open_before.recv(100) == b"four"
        proxy.set(Mode.STALE)
        open_before.sendall(b"more")
        with pytest.raises(TimeoutError):
            open_before.recv(100)
    assert ask(proxy) == b"four"


def test_busy_is_an_http_answer(proxy: Proxy) -> None:
    proxy.set(Mode.BUSY)
    assert ask(proxy, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503")
