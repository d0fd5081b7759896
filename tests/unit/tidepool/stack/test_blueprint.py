import socket
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.certificates import Authority
from tidepool.errors import StackFailed
from tidepool.stack.blueprint import (
    configured_gateways,
    configured_pin,
    configured_port,
    draw_plan,
    most_replicas,
)
from tidepool.stack.home import Home
from tidepool.stack.ports import free_ports
from tidepool.stack.shared_files import load_desired, save_desired


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.at(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def at_most_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_MAX_REPLICAS", "3")


@pytest.mark.usefixtures("at_most_three")
def test_the_plan_has_each_server_once_and_the_most_replicas_of_each_worker(home: Home, port: int) -> None:
    roles = Counter(component.role for component in draw_plan(home, port).components)
    once = ("redis", "s3", "init", "gateway", "storage", "autoscaler")
    assert roles == dict.fromkeys(once, 1) | dict.fromkeys(("preprocess", "trainer", "inference"), 3)


@pytest.mark.usefixtures("at_most_three")
def test_replicas_have_distinct_names_and_ports(home: Home, port: int) -> None:
    plan = draw_plan(home, port)
    replicas = [component for component in plan.components if component.role == "inference"]
    assert [replica.name for replica in replicas] == ["inference", "inference-2", "inference-3"]
    ports = [component.environment.get("TIDEPOOL_METRICS_PORT") for component in plan.components]
    assert len(set(filter(None, ports))) == 3 + 9


def test_one_replica_of_each_worker_runs_at_first(home: Home, port: int) -> None:
    draw_plan(home, port)
    assert load_desired(home.replicas_file) == {"preprocess": (1,), "trainer": (1,), "inference": (1,)}


@pytest.mark.usefixtures("at_most_three")
def test_the_scale_overrides_the_number_that_ran_last(home: Home, port: int) -> None:
    save_desired(home.replicas_file, {"preprocess": 2, "trainer": 0, "inference": 3})
    draw_plan(home, port, {"inference": 1})
    assert load_desired(home.replicas_file) == {"preprocess": (1, 2), "trainer": (), "inference": (1,)}


@pytest.mark.usefixtures("at_most_three")
def test_the_desired_replicas_are_capped_at_the_most_replicas(home: Home, port: int) -> None:
    save_desired(home.replicas_file, {"inference": 5})
    plan = draw_plan(home, port, {"trainer": 4})  # a scale also raises the cap
    assert load_desired(home.replicas_file) == {"preprocess": (1,), "trainer": (1, 2, 3, 4), "inference": (1, 2, 3, 4)}
    gateway = next(component for component in plan.components if component.role == "gateway")
    assert gateway.environment["TIDEPOOL_MAX_REPLICAS"] == "4"


def test_as_many_replicas_as_ran_last_can_run_again(home: Home, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEPOOL_MAX_REPLICAS", raising=False)
    draw_plan(home, port, {"inference": 60})

    plan = draw_plan(home, port)

    assert len(load_desired(home.replicas_file)["inference"]) == 60
    gateway = next(component for component in plan.components if component.role == "gateway")
    assert int(gateway.environment["TIDEPOOL_MAX_REPLICAS"]) >= 60


def test_only_roles_in_the_scale_are_passed_to_init(home: Home, port: int) -> None:
    def init_scale(scale: dict[str, int]) -> str:
        return next(
            component.environment["TIDEPOOL_SCALE"]
            for component in draw_plan(home, port, scale).components
            if component.role == "init"
        )

    assert (init_scale({}), init_scale({"inference": 0})) == ("{}", '{"inference": 0}')


@pytest.mark.usefixtures("at_most_three")
def test_several_gateways_share_the_port_and_are_probed_at_their_own(home: Home, port: int) -> None:
    components = draw_plan(home, port, gateways=3).components
    gateways = [component for component in components if component.role == "gateway"]

    assert [gateway.name for gateway in gateways] == ["gateway", "gateway-2", "gateway-3"]
    variables = ("TIDEPOOL_PORT", "TIDEPOOL_GATEWAYS")
    assert [[gateway.environment[name] for name in variables] for gateway in gateways] == [[str(port), "3"]] * 3
    own = [gateway.environment["TIDEPOOL_PROBE_PORT"] for gateway in gateways]
    assert [gateway.probe for gateway in gateways] == [f"http://127.0.0.1:{probe}/readyz" for probe in own]
    ports = [component.environment.get("TIDEPOOL_METRICS_PORT") for component in components]
    assert len(set(filter(None, ports)) | set(own) | {str(port)}) == 3 + 2 + 9 + 3 + 1


def test_one_gateway_is_probed_at_the_port(home: Home, port: int) -> None:
    (gateway,) = (component for component in draw_plan(home, port).components if component.role == "gateway")
    assert (gateway.probe, gateway.environment["TIDEPOOL_PROBE_PORT"]) == (f"http://127.0.0.1:{port}/readyz", "0")


@pytest.mark.usefixtures("at_most_three")
def test_the_plan_pins_replicas_if_there_are_enough_cores(
    home: Home, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidepool.stack.blueprint.os.sched_getaffinity", lambda _: set(range(6)))

    cores = {component.name: component.cores for component in draw_plan(home, port, {"inference": 2}, pin=2).components}

    assert (cores["gateway"], cores["inference"], cores["inference-2"]) == ((0,), (1, 2), (3, 4))
    assert cores["inference-3"] == cores["trainer"] == cores["redis"] == (5,)
    with pytest.raises(StackFailed, match="needs 8 cores"):
        draw_plan(home, port, {"inference": 3}, pin=2)


def test_cores_cannot_be_pinned_on_every_system(home: Home, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("tidepool.stack.blueprint.os.sched_getaffinity")  # as on macOS

    assert draw_plan(home, port).components
    with pytest.raises(StackFailed, match="Leave out --pin"):
        draw_plan(home, port, pin=1)


@pytest.mark.parametrize(
    ("variable", "text"), [("TIDEPOOL_GATEWAYS", "0"), ("TIDEPOOL_GATEWAYS", "65"), ("TIDEPOOL_PIN_CORES", "all")]
)
def test_invalid_numbers_of_gateways_and_cores_are_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(StackFailed, match=f"{variable} is '{text}'"):
        (configured_gateways if variable == "TIDEPOOL_GATEWAYS" else configured_pin)()


@pytest.mark.parametrize("replicas", [{"gateway": 2}, {"inference": -1}, {"inference": 10_000}])
def test_an_invalid_scale_is_refused(home: Home, port: int, replicas: dict[str, int]) -> None:
    with pytest.raises(StackFailed, match="preprocess, trainer, inference"):
        draw_plan(home, port, replicas)


def test_servers_start_first_and_the_gateway_last(home: Home, port: int) -> None:
    stages = [{component.role for component in stage} for stage in draw_plan(home, port).stages()]
    workers = {"storage", "autoscaler", "preprocess", "trainer", "inference"}
    assert stages == [{"redis", "s3"}, {"init"}, workers, {"gateway"}]


def test_only_init_gets_the_admin_key(home: Home, port: int) -> None:
    components = draw_plan(home, port).components
    with_key = [component.role for component in components if "TIDEPOOL_ADMIN_KEY" in component.environment]
    assert with_key == ["init"]


def test_every_service_has_its_own_user_of_the_broker(home: Home, port: int) -> None:
    users = {
        component.role: urlsplit(component.environment.get("TIDEPOOL_BROKER_URL", "")).username
        for component in draw_plan(home, port).components
    }
    own = {"gateway": "gateway", "storage": "sweep", "autoscaler": "autoscaler"}
    workers = {role: role for role in ("preprocess", "trainer", "inference")}
    assert users == own | workers | dict.fromkeys(("redis", "s3", "init"))


def test_no_command_line_contains_a_secret(home: Home, port: int) -> None:
    plan = draw_plan(home, port)
    commands = " ".join(" ".join(component.command) for component in plan.components)
    init = next(component for component in plan.components if component.role == "init")
    secrets = [value for name, value in init.environment.items() if name.endswith("_KEY")]
    assert len(secrets) == 3
    assert not [secret for secret in secrets if secret in commands]


def test_every_server_listens_on_loopback(home: Home, port: int) -> None:
    plan = draw_plan(home, port)
    hosts = {urlsplit(component.probe).hostname for component in plan.components if component.probe}
    gateway = next(component for component in plan.components if component.role == "gateway")
    assert hosts == {"127.0.0.1", gateway.environment["TIDEPOOL_HOST"]}


def test_a_port_in_use_is_refused(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StackFailed, match="in use"):
        draw_plan(home, taken.getsockname()[1])


def test_the_port_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_PORT", "9000")
    assert configured_port() == 9000
    monkeypatch.delenv("TIDEPOOL_PORT")
    assert configured_port() == 8080


@pytest.mark.parametrize("text", ["0", "65536", "http", "-1"])
def test_an_invalid_port_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TIDEPOOL_PORT", text)
    with pytest.raises(StackFailed, match="TIDEPOOL_PORT"):
        configured_port()


def test_the_most_replicas_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_MAX_REPLICAS", "7")
    assert most_replicas() == 7
    monkeypatch.delenv("TIDEPOOL_MAX_REPLICAS")
    assert 4 <= most_replicas() <= 64


@pytest.mark.parametrize("text", ["0", "65", "many"])
def test_an_invalid_number_of_replicas_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TIDEPOOL_MAX_REPLICAS", text)
    with pytest.raises(StackFailed, match="from 1 to 64"):
        most_replicas()


@pytest.mark.usefixtures("at_most_three")
def test_with_a_certificate_the_api_is_served_by_https(
    home: Home, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = Authority(tmp_path).issue()
    for name, value in issued.settings.items():
        monkeypatch.setenv(name, value)

    plan = draw_plan(home, port)

    assert (plan.url, plan.certificate) == (f"https://127.0.0.1:{port}", issued.cert)
    (gateway,) = (component for component in plan.components if component.role == "gateway")
    assert gateway.probe == f"https://127.0.0.1:{port}/readyz"
    assert gateway.environment.items() >= issued.settings.items()
