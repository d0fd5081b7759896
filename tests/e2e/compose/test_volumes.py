"""`docker compose down` keeps the data, and with `--volumes` leaves nothing; the last of the checks."""

import pytest

from tests.e2e.compose.engine import Deployment
from tests.support.images import png
from tidepool.client import Client
from tidepool.demo.road import Journey

pytestmark = pytest.mark.compose


def test_down_and_up_again_keeps_data_and_key(up: Deployment, client: Client, journey: Journey) -> None:
    name = journey.model.name

    up.compose("stop")
    killed = {one["Service"] for one in up.containers() if one["ExitCode"] == 137}
    up.compose("down")
    up.up()

    assert killed == set()
    assert client.model(name, 1).version == 1
    assert client.predict(name, png()).model == name


def test_down_with_volumes_leaves_nothing(up: Deployment) -> None:
    up.down()

    assert up.leftovers() == {"containers": "", "volumes": "", "networks": ""}
