"""The probe of the containers tells a service that is ready from one that is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import Authority
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


def test_a_gateway_with_a_certificate_is_probed_by_https(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue()
    with answering(OnlyReady, issued.server_context) as port, answering(OnlyReady) as metrics_port:
        variables = issued.settings | {"TIDEPOOL_PORT": str(port)}

        assert script("answers", str(port), "/ready", **variables).returncode == 0
        assert script("answers", str(port), "/other", **variables).returncode != 0
        assert script("answers", str(metrics_port), "/ready", **variables).returncode == 0
        assert script("answers", str(port), "/ready", TIDEPOOL_TLS_CERT="").returncode != 0
