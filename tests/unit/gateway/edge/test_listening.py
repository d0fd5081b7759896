"""A server that stops answers every client that has connected before, also those that wait in its socket's queue."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from services.gateway.edge.listening import GatewayServer, PortInUse, listeners
from tests.support.certificates import Authority

BLOCKED_S = 1.0
REQUEST = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    if scope["path"] == "/block":
        time.sleep(BLOCKED_S)  # noqa: ASYNC251  nothing is accepted meanwhile
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


class Serving:
    """A server in a thread; `stop` is what SIGTERM does."""

    def __init__(self, certificate: ssl.SSLContext | None) -> None:
        (sock,) = listeners("127.0.0.1", 0, shared=True)
        self.port = sock.getsockname()[1]
        config = uvicorn.Config(
            app,
            loop="services.gateway.edge.handshakes:HandshakeLoop",
            log_config=None,
            ssl_context_factory=None if certificate is None else lambda *_: certificate,
            timeout_graceful_shutdown=5,
        )
        self._server = GatewayServer(config, [sock])
        self.thread = threading.Thread(target=self._server.listen)
        self.thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True


@pytest.fixture(params=["http", "https"])
def certificate(request: pytest.FixtureRequest, tmp_path: Path) -> ssl.SSLContext | None:
    if request.param == "http":
        return None
    return Authority(tmp_path).issue().server_context


@pytest.fixture
def serving(certificate: ssl.SSLContext | None) -> Iterator[Serving]:
    serving = Serving(certificate)
    yield serving
    serving.stop()
    serving.thread.join(20)
    assert not serving.thread.is_alive()


def test_clients_that_wait_when_the_server_stops_are_answered(
    serving: Serving, certificate: ssl.SSLContext | None
) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    answers: list[bytes] = []

    def ask(sock: socket.socket, path: bytes) -> None:
        with sock if certificate is None else trusting.wrap_socket(sock) as line:
            line.sendall(REQUEST % path)
            answers.append(line.recv(1 << 16)[:12])

    with ExitStack() as stack:
        # given a server that is busy, so that connections wait in the queue of its socket
        lines = [stack.enter_context(_connected(serving.port))]
        threads = [threading.Thread(target=ask, args=(lines[0], b"block"))]
        threads[0].start()
        time.sleep(BLOCKED_S / 3)
        lines += [stack.enter_context(_connected(serving.port)) for _ in range(20)]

        # when it is told to stop, and the clients send their requests
        serving.stop()
        threads += [threading.Thread(target=ask, args=(line, b"")) for line in lines[1:]]
        for thread in threads[1:]:
            thread.start()
        for thread in threads:
            thread.join(20)

    # then each has its answer
    assert answers == [b"HTTP/1.1 204"] * 21


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 20)


def test_shared_sockets_may_have_one_port_and_others_may_not() -> None:
    with ExitStack() as stack:
        (first,) = map(stack.enter_context, listeners("127.0.0.1", 0, shared=True))
        port = first.getsockname()[1]
        (second,) = map(stack.enter_context, listeners("127.0.0.1", port, shared=True))
        assert second.getsockname() == first.getsockname()
        second.listen()

        with pytest.raises(PortInUse, match=f"cannot listen on 127.0.0.1, port {port}: Address already in use"):
            listeners("127.0.0.1", port, shared=False)


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(PortInUse, match=r"cannot listen on no-such-host\.invalid"):
        listeners("no-such-host.invalid", 0, shared=False)


def test_a_name_of_several_addresses_is_listened_on_at_each() -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(sock) for sock in listeners("localhost", 0, shared=False)]
        assert {sock.getsockname()[0] for sock in sockets} & {"127.0.0.1", "::1"}
