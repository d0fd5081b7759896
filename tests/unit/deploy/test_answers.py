"""The probe of the containers tells a service that is ready from one that is not."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.definitions import script
from tests.servers import free_port


class OnlyReady(BaseHTTPRequestHandler):
    """200 for /ready, 503 for all else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ready" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), OnlyReady)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield str(server.server_port)
    server.shutdown()
    server.server_close()


def test_ready(port: str) -> None:
    assert script("answers", port, "/ready").returncode == 0


def test_unavailable(port: str) -> None:
    assert script("answers", port, "/other").returncode != 0


def test_nobody_there() -> None:
    assert script("answers", str(free_port()), "/ready").returncode != 0
