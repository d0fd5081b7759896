"""The probe of the containers tells a service that is ready from one that is not."""

from collections.abc import Iterator

import pytest

from tests.support.deployment import script
from tests.support.http_server import Handler, answering
from tests.support.servers import free_port


class OnlyReady(Handler):
    """200 for /ready, 503 for all else."""

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/ready" else 503)


@pytest.fixture
def port() -> Iterator[str]:
    with answering(OnlyReady) as port:
        yield str(port)


def test_ready(port: str) -> None:
    assert script("answers", port, "/ready").returncode == 0


def test_unavailable(port: str) -> None:
    assert script("answers", port, "/other").returncode != 0


def test_nobody_there() -> None:
    assert script("answers", str(free_port()), "/ready").returncode != 0
