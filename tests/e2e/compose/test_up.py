"""`docker compose up` with nothing prepared: healthy soon, closed, confined, and it does what the demo does."""

import httpx
import pytest

from tests.e2e.compose.engine import Deployment, run
from tidepool.demo.road import Journey

pytestmark = pytest.mark.compose

RUNNING = {"redis", "postgres", "s3", "sweep", "gateway", "preprocess", "trainer", "inference", "autoscaler"}
INSTALLED = {
    "storage": [],
    "gateway": [],
    "preprocess": [],
    "inference": ["onnxruntime"],
    "trainer": ["torch", "onnxruntime"],
    "autoscaler": [],
}


def test_healthy_within_90_s_of_the_images_being_there(up: Deployment) -> None:
    print(f"\nhealthy after {up.healthy_after_s:.1f} s")

    assert up.healthy_after_s <= 90
    assert {one["Service"] for one in up.containers() if one["State"] == "running"} >= RUNNING


def test_only_the_gateway_is_published_on_loopback(up: Deployment) -> None:
    published = {
        (one["Service"], publisher["URL"])
        for one in up.containers()
        for publisher in one["Publishers"] or ()
        if publisher["PublishedPort"]
    }

    assert published == {("gateway", "127.0.0.1")}
    assert httpx.get(f"{up.url}/v1/me").status_code == 401


@pytest.mark.parametrize("name", INSTALLED)
def test_an_image_holds_what_its_service_needs(up: Deployment, name: str) -> None:
    image = f"tidepool-{name}:e2e"
    heavy = "import importlib.util as u; print([n for n in ('torch', 'onnxruntime', 'pip') if u.find_spec(n)])"

    found = run("docker", "run", "--rm", image, "python", "-c", heavy).strip()

    print(f"\n{image}: {int(run('docker', 'image', 'inspect', '--format', '{{.Size}}', image)) / 1e6:.0f} MB")
    assert found == str(INSTALLED[name])


def test_the_containers_are_confined(up: Deployment) -> None:
    for container in up.containers():
        host = up.inspect(container["Name"])["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["Memory"] > 0
        assert host["NanoCpus"] > 0
        assert host["PidsLimit"] > 0
    assert up.compose("exec", "-T", "gateway", "id", "-u").strip() == "10001"
    assert "Read-only" in up.compose("exec", "-T", "gateway", "sh", "-c", "touch /app/x 2>&1; true")


def test_no_container_shows_a_secret(up: Deployment, key: str) -> None:
    shown = [str(up.inspect(container["Name"])) for container in up.containers()]

    assert [text for text in shown if key in text or "redis://:" in text or "postgresql+psycopg" in text] == []
    assert up.compose("run", "--rm", "secrets", "admin-key").strip() == key


def test_workers_reach_the_servers_and_nothing_else(up: Deployment) -> None:
    reach = "exec 3<>/dev/tcp/redis/6379 && ! exec 4<>/dev/tcp/1.1.1.1/443"

    up.compose("exec", "-T", "inference", "bash", "-c", reach)


def test_the_demos_road(journey: Journey) -> None:
    assert journey.dataset.classes == ("cat", "dog")
    assert journey.trained.onnx.parity_max_abs_diff < 1e-3
    assert journey.batch.count > 0
