"""The Docker proxy on a real engine only allows listing, starting and stopping the workers of its project."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.compose.engine import Deployment, run

pytestmark = pytest.mark.compose

Response = tuple[int, str]

REFUSED = [
    ("POST", "/containers/create", "{}"),
    ("POST", "/v1.41/containers/create?name=mine", '{"Image": "debian:trixie-slim"}'),
    ("POST", "/containers/{worker}/exec", '{"Cmd": ["id"]}'),
    ("POST", "/exec/0/start", "{}"),
    ("POST", "/containers/{worker}/kill", ""),
    ("POST", "/containers/{worker}/restart", ""),
    ("POST", "/containers/{worker}/rename?name=other", ""),
    ("POST", "/containers/{worker}/update", "{}"),
    ("POST", "/containers/{worker}/attach", ""),
    ("DELETE", "/containers/{worker}", ""),
    ("PUT", "/containers/{worker}/archive?path=/", ""),
    ("GET", "/containers/{worker}/archive?path=/run/secrets", ""),
    ("GET", "/containers/{worker}/logs?stdout=1", ""),
    ("GET", "/containers/{worker}/top", ""),
    ("POST", "/containers/{worker}/start", '{"Privileged": true}'),
    ("POST", "/containers/{worker}/stop?signal=SIGKILL", ""),
    ("POST", "/containers/{project}-gateway-1/stop", ""),
    ("POST", "/containers/{project}-postgres-1/stop", ""),
    ("POST", "/containers/{project}-docker-proxy-1/stop", ""),
    ("POST", "/containers/other-inference-1/stop", ""),
    ("POST", "/containers/{project}-inference-1/../other/stop", ""),
    ("POST", "/containers/{project}-inference-1%2f..%2fother/stop", ""),
    ("GET", "/containers/{project}-gateway-1/json", ""),
    ("POST", "/containers/json", ""),
    ("GET", "/images/json", ""),
    ("POST", "/images/create?fromImage=debian", ""),
    ("POST", "/build", ""),
    ("GET", "/volumes", ""),
    ("POST", "/volumes/create", "{}"),
    ("GET", "/networks", ""),
    ("POST", "/networks/create", "{}"),
    ("GET", "/info", ""),
    ("GET", "/version", ""),
    ("GET", "/events", ""),
    ("GET", "/secrets", ""),
    ("POST", "/swarm/init", "{}"),
    ("GET", "/", ""),
]


class Proxy:
    """Sends requests from the autoscaler's network."""

    def __init__(self, deployment: Deployment) -> None:
        self._network = f"{deployment.project}_engine"
        self.worker = f"{deployment.project}-inference-1"
        self.project = deployment.project

    def send(self, *requests: tuple[str, str, str]) -> list[Response]:
        filled = [
            (method, path.format(worker=self.worker, project=self.project), body) for method, path, body in requests
        ]
        script = (Path(__file__).parent / "send_requests.py").read_text()
        # Compose labels the images that it builds, and containers inherit the labels of their image
        stranger = ("--label", "com.docker.compose.project=stranger")
        command = (
            "docker",
            "run",
            "--rm",
            "--interactive",
            *stranger,
            "--network",
            self._network,
            "tidepool-storage:e2e",
        )
        responses = run(*command, "python", "-c", script, input=json.dumps(filled))
        return [(status, body) for status, body in json.loads(responses)]


@pytest.fixture(scope="module")
def proxy(up: Deployment) -> Iterator[Proxy]:
    """The proxy on an engine with a container of another project; the autoscaler is stopped."""
    up.compose("stop", "autoscaler")
    run("docker", "run", "--detach", "--name", "tidepool-stranger", "debian:trixie-slim", "sleep", "600")
    try:
        yield Proxy(up)
    finally:
        run("docker", "rm", "--force", "tidepool-stranger")
        up.compose("start", "autoscaler")


def test_only_containers_of_the_project_are_listed(proxy: Proxy) -> None:
    foreign = "/v1.41/containers/json?filters=" + quote('{"name":["stranger"]}')

    for status, body in proxy.send(("GET", "/containers/json", ""), ("GET", foreign, "")):
        assert status == 200
        names = {name for container in json.loads(body) for name in container["Names"]}
        assert {f"/{proxy.worker}", f"/{proxy.project}-docker-proxy-1"} <= names
        assert [name for name in names if not name.startswith(f"/{proxy.project}-")] == []


def test_a_worker_can_be_stopped_started_and_inspected(proxy: Proxy) -> None:
    stop, start, show = "/containers/{worker}/stop?t=5", "/v1.41/containers/{worker}/start", "/containers/{worker}/json"

    responses = proxy.send(("POST", stop, ""), ("GET", show, ""), ("POST", start, ""), ("GET", show, ""))

    assert [status for status, _ in responses] == [204, 200, 204, 200]
    assert [json.loads(body)["State"]["Status"] for status, body in responses if status == 200] == ["exited", "running"]


@pytest.mark.parametrize(
    "request_line", REFUSED, ids=lambda line: f"{line[0]} {line[1]}{' with a body' if line[2] else ''}"
)
def test_everything_else_is_refused(proxy: Proxy, request_line: tuple[str, str, str]) -> None:
    ((status, _),) = proxy.send(request_line)

    assert status == 403
