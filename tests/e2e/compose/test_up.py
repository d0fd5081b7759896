"""`docker compose up` without any preparation: quickly healthy, confined, and able to run the demo's workflow."""

import httpx
import pytest

from tests.e2e.compose.engine import Deployment, run
from tidepool.demo.workflow import DemoResult

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


def test_the_deployment_is_healthy_within_90_s(up: Deployment) -> None:
    print(f"\nhealthy after {up.healthy_after_s:.1f} s")

    assert up.healthy_after_s <= 90
    assert {container["Service"] for container in up.containers() if container["State"] == "running"} >= RUNNING


def test_only_the_gateway_is_published_on_loopback(up: Deployment) -> None:
    published = {
        (container["Service"], publisher["URL"])
        for container in up.containers()
        for publisher in container["Publishers"] or ()
        if publisher["PublishedPort"]
    }

    assert published == {("gateway", "127.0.0.1")}
    assert httpx.get(f"{up.url}/v1/me").status_code == 401


@pytest.mark.parametrize("name", INSTALLED)
def test_an_image_contains_only_what_its_service_needs(up: Deployment, name: str) -> None:
    image = f"tidepool-{name}:e2e"
    heavy = "import importlib.util as u; print([n for n in ('torch', 'onnxruntime', 'pip') if u.find_spec(n)])"

    installed = run("docker", "run", "--rm", image, "python", "-c", heavy).strip()

    print(f"\n{image}: {int(run('docker', 'image', 'inspect', '--format', '{{.Size}}', image)) / 1e6:.0f} MB")
    assert installed == str(INSTALLED[name])


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

    assert [text for text in shown if key in text or "redis://" in text or "postgresql+psycopg" in text] == []
    assert up.compose("run", "--rm", "secrets", "admin-key").strip() == key


def test_workers_reach_the_servers_and_nothing_else(up: Deployment) -> None:
    reach = 'for place in redis/6379 1.1.1.1/443; do (exec 3<>"/dev/tcp/$place") && echo "$place"; done; true'

    assert up.compose("exec", "-T", "inference", "bash", "-c", reach).split() == ["redis/6379"]


def test_a_service_may_not_do_everything_in_redis(up: Deployment) -> None:
    code = """
import os, redis
client = redis.Redis.from_url(os.environ["TIDEPOOL_BROKER_URL"])
client.ping()
for command in ("FLUSHALL", "CONFIG GET *", "KEYS *", "LLEN inference.batches", "PUBLISH any any"):
    try:
        client.execute_command(*command.split())
    except redis.exceptions.NoPermissionError:
        continue
    raise SystemExit(command)
"""
    up.compose("exec", "-T", "sweep", "entrypoint", "python", "-c", code)
    assert "NOAUTH" in up.compose("exec", "-T", "redis", "sh", "-c", "redis-cli ping || true")


def test_the_demo_workflow_succeeds(demo: DemoResult) -> None:
    assert demo.dataset.classes == ("cat", "dog")
    assert demo.trained.onnx.parity_max_abs_diff < 1e-3
    assert demo.batch.count > 0
