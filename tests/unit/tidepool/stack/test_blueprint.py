import socket
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tidepool.errors import StackFailed
from tidepool.home import Home
from tidepool.stack.blueprint import draw_plan, wanted_port
from tidepool.stack.ports import free_ports


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.at(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


def test_every_role_is_there_once(home: Home, port: int) -> None:
    roles = Counter(component.role for component in draw_plan(home, port).components)
    names = ("redis", "s3", "init", "gateway", "storage", "preprocess", "trainer", "inference")
    assert roles == dict.fromkeys(names, 1)


def test_replicas_have_names_and_ports_of_their_own(home: Home, port: int) -> None:
    plan = draw_plan(home, port, {"inference": 3})
    replicas = [component for component in plan.components if component.role == "inference"]
    assert [replica.name for replica in replicas] == ["inference", "inference-2", "inference-3"]
    assert len({replica.environment["TIDEPOOL_METRICS_PORT"] for replica in replicas}) == 3


@pytest.mark.parametrize("replicas", [{"gateway": 2}, {"inference": 0}, {"inference": 10_000}])
def test_a_scale_that_cannot_be_is_refused(home: Home, port: int, replicas: dict[str, int]) -> None:
    with pytest.raises(StackFailed, match="preprocess, trainer, inference"):
        draw_plan(home, port, replicas)


def test_servers_before_services_and_the_gateway_last(home: Home, port: int) -> None:
    stages = [{component.role for component in stage} for stage in draw_plan(home, port).stages()]
    workers = {"storage", "preprocess", "trainer", "inference"}
    assert stages == [{"redis", "s3"}, {"init"}, workers, {"gateway"}]


def test_only_the_preparation_gets_the_admin_key(home: Home, port: int) -> None:
    with_key = [one.role for one in draw_plan(home, port).components if "TIDEPOOL_ADMIN_KEY" in one.environment]
    assert with_key == ["init"]


def test_no_secret_is_on_a_command_line(home: Home, port: int) -> None:
    plan = draw_plan(home, port)
    commands = " ".join(" ".join(component.command) for component in plan.components)
    init = next(component for component in plan.components if component.role == "init")
    secrets = [value for name, value in init.environment.items() if name.endswith("_KEY")]
    assert len(secrets) == 3
    assert not [secret for secret in secrets if secret in commands]


def test_everything_is_on_loopback(home: Home, port: int) -> None:
    plan = draw_plan(home, port)
    hosts = {urlsplit(component.probe).hostname for component in plan.components if component.probe}
    gateway = next(component for component in plan.components if component.role == "gateway")
    assert hosts == {"127.0.0.1", gateway.environment["TIDEPOOL_HOST"]}


def test_a_taken_port_is_refused(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StackFailed, match="in use"):
        draw_plan(home, taken.getsockname()[1])


def test_the_port_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_PORT", "9000")
    assert wanted_port() == 9000
    monkeypatch.delenv("TIDEPOOL_PORT")
    assert wanted_port() == 8080


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1"])
def test_what_is_no_port_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TIDEPOOL_PORT", text)
    with pytest.raises(StackFailed, match="TIDEPOOL_PORT"):
        wanted_port()
