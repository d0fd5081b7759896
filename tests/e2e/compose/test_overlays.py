"""Docker Compose accepts the deployment with each overlay."""

import os

import pytest

from tests.e2e.compose.engine import run
from tests.support.deployment import compose

OVERLAYS = (
    "compose.gpu.yml",
    "compose.presigned.yml",
    "compose.tls.yml",
    "compose.observability.yml",
    "compose.ha.yml",
)


@pytest.mark.compose
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_compose_accepts_an_overlay(overlay: str) -> None:
    variables = os.environ | {"TIDEPOOL_DOMAIN": "tidepool.example.com"}

    services = run(
        "docker", "compose", "-f", "docker-compose.yml", "-f", overlay, "config", "--services", env=variables
    )

    assert set(services.split()) == compose()["services"].keys() | compose(overlay)["services"].keys()
