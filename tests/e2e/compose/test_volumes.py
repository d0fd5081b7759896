"""`docker compose down` keeps the data; with `--volumes` it removes everything. Runs last."""

import pytest

from tests.e2e.compose.engine import Deployment
from tests.support.images import png
from tidepool.demo.workflow import DemoResult
from tidepool_client import Client

pytestmark = pytest.mark.compose


def test_down_and_up_again_keeps_data_and_key(up: Deployment, client: Client, demo: DemoResult) -> None:
    name = demo.model.name

    up.compose("stop")
    killed = {container["Service"] for container in up.containers() if container["ExitCode"] == 137}
    up.compose("down")
    up.up()

    assert killed == set()
    assert client.models.version(f"{name}@1").version == 1
    assert client.predict(name, png()).model == name


def test_down_with_volumes_removes_everything(up: Deployment) -> None:
    up.down()

    assert up.leftovers() == {"containers": "", "volumes": "", "networks": ""}
