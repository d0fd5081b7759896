"""The proxy of compose.tls.yml: a real Caddy with our Caddyfile, in front of the gateway's process."""

import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc

from contract.access import DEFAULT_PROJECT, Scope
from services.storage.stores import Stores
from tests.examples import PREPROCESS_REQUEST
from tests.support.onnx_models import CARD, linear
from tests.support.onnx_serving import serve
from tests.support.servers import free_port

ROOT = Path(__file__).parents[3]
START_S = 60.0
MAX_UPLOAD = 1 << 20
WEIGHTS = np.random.default_rng(0).normal(0, 0.1, (3 * 8 * 6, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {name: free_port() for name in ("https", "http", "gateway", "grpc")}


@pytest.fixture(scope="module")
def gateway(environment: dict[str, str], replica: None, ports: dict[str, int]) -> Iterator[None]:
    settings = {
        "TIDEPOOL_PORT": str(ports["gateway"]),
        "TIDEPOOL_GRPC_PORT": str(ports["grpc"]),
        "TIDEPOOL_MAX_UPLOAD_BYTES": str(MAX_UPLOAD),
        "FORWARDED_ALLOW_IPS": "*",
    }
    process = subprocess.Popen([sys.executable, "-m", "services.gateway.main"], env=os.environ | environment | settings)
    yield
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def root_certificate(gateway: None, ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of the CA that Caddy makes for the name localhost; Caddy runs."""
    folder = tmp_path_factory.mktemp("caddy")
    text = (ROOT / "deploy" / "caddy" / "Caddyfile").read_text()
    for name, address in (("gateway:8080", ports["gateway"]), ("gateway:8081", ports["grpc"])):
        assert text.count(name) == 1
        text = text.replace(name, f"127.0.0.1:{address}")
    text = text.replace("admin off", f"admin off\n\thttp_port {ports['http']}")
    (folder / "Caddyfile").write_text(text)
    caddy = shutil.which("caddy", path=str(Path(sys.executable).parent))
    assert caddy is not None
    variables = {
        "TIDEPOOL_DOMAIN": f"localhost:{ports['https']}",
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    process = subprocess.Popen(
        [caddy, "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"],
        env=os.environ | variables,
        stderr=subprocess.DEVNULL,
    )
    root = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    try:
        _wait_for(f"https://localhost:{ports['https']}/livez", root)
        yield root
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(url: str, root: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            if root.exists() and httpx.get(url, verify=ssl.create_default_context(cafile=root)).status_code == 200:
                return
        except (httpx.TransportError, OSError):
            pass
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def secret(stores: Stores) -> str:
    return stores.keys.create("test", frozenset({Scope.ADMIN})).secret


@pytest.fixture
def http(root_certificate: Path, ports: dict[str, int], secret: str) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"https://localhost:{ports['https']}",
        headers={"Authorization": f"Bearer {secret}"},
        verify=ssl.create_default_context(cafile=root_certificate),
        timeout=30,
    ) as client:
        yield client


@pytest.fixture(scope="module")
def model(stores: Stores) -> str:
    serve(stores, "linear", linear(weights=WEIGHTS))
    return "linear"


def test_an_answer_has_the_gateways_headers_and_hsts_once(http: httpx.Client) -> None:
    response = http.get("/v1/me")

    assert response.status_code == 200
    assert response.headers.get_list("strict-transport-security") == ["max-age=31536000"]
    assert response.headers.get_list("x-content-type-options") == ["nosniff"]
    assert not {"server", "via"} & set(response.headers)


def test_a_redirect_stays_with_https(http: httpx.Client) -> None:
    response = http.get("/v1/jobs/")

    assert response.status_code == 307
    assert response.headers["location"].startswith("https://localhost")


def test_plain_http_is_redirected(root_certificate: Path, ports: dict[str, int]) -> None:
    response = httpx.get(f"http://localhost:{ports['http']}/livez")

    assert response.status_code == 308
    assert response.headers["location"].startswith("https://localhost")


def test_events_arrive_while_the_stream_is_open(http: httpx.Client, stores: Stores) -> None:
    job = stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)  # no worker takes it

    with http.stream("GET", f"/v1/jobs/{job.id}/events") as response:
        started = time.monotonic()
        assert next(response.iter_lines()) == "id: 1"
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("declared", [True, False], ids=["Content-Length", "chunked"])
def test_a_body_over_the_limit_is_refused(http: httpx.Client, declared: bool) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n' + b"x" * MAX_UPLOAD
    headers = {"Content-Type": "multipart/form-data; boundary=x"}

    response = http.post(
        "/v1/datasets/pets/versions", content=body if declared else iter([body[:1000], body[1000:]]), headers=headers
    )

    assert response.status_code == 413


def test_tritons_grpc_client_gets_the_logits(
    root_certificate: Path, ports: dict[str, int], secret: str, model: str
) -> None:
    images = np.random.default_rng(1).random((500, *CARD.preprocessing.image.shape), np.float32)
    address = f"localhost:{ports['https']}"
    with triton_grpc.InferenceServerClient(address, ssl=True, root_certificates=str(root_certificate)) as client:
        assert client.is_server_live()
        infer_input = triton_grpc.InferInput("images", list(images.shape), "FP32").set_data_from_numpy(images)

        answer = client.infer(model, [infer_input], headers={"authorization": f"Bearer {secret}"})

    np.testing.assert_allclose(answer.as_numpy("logits"), images.reshape(500, -1) @ WEIGHTS, rtol=1e-4, atol=1e-6)
