"""HTTPS and gRPC with TLS, with a CA of the test's own, for clients that people use: curl, httpx, Triton's, ours."""

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from contract.access import Scope
from services.gateway.edge.handshakes import HANDSHAKE_S, HANDSHAKES
from services.storage.stores import Stores
from tests.integration.gateway.conftest import logits
from tests.support.certificates import Authority, Issued
from tests.support.onnx_models import CARD
from tests.support.servers import free_port
from tests.support.waiting import until_it_answers
from tidepool_client import Client, UntrustedCertificate

START_S = 60.0
RENEWED_S = 30.0  # the gateway looks every ten seconds


@dataclass(frozen=True)
class Gateway:
    """The id and the ports of the process, an API key, and who issued its certificate."""

    pid: int
    http_port: int
    grpc_port: int
    secret: str
    authority: Authority

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.http_port}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of one call; the Triton client modifies them."""
        return {"authorization": f"Bearer {self.secret}"}

    @property
    def ca(self) -> str:
        return str(self.authority.ca)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def gateway(environment: dict[str, str], stores: Stores, replica: None, authority: Authority) -> Iterator[Gateway]:
    http_port, grpc_port = free_port(), free_port()
    settings = {
        "TIDEPOOL_PORT": str(http_port),
        "TIDEPOOL_GRPC_PORT": str(grpc_port),
        "TIDEPOOL_CORS_ORIGINS": '["https://app.example.com"]',
        **authority.issue().settings,
    }
    process = subprocess.Popen([sys.executable, "-m", "services.gateway.main"], env=os.environ | environment | settings)
    secret = stores.keys.create("test", frozenset({Scope.ADMIN})).secret
    gateway = Gateway(process.pid, http_port, grpc_port, secret, authority)
    until_it_answers(f"{gateway.url}/livez", START_S, gateway.authority.client_context)
    yield gateway
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module", autouse=True)
def idle(gateway: Gateway) -> Iterator[socket.socket]:
    """A connection that never begins its handshake; opened first, so that its test waits for less."""
    with socket.create_connection(("127.0.0.1", gateway.http_port), timeout=HANDSHAKE_S + 10) as connection:
        yield connection


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Enough images for many TLS records: 600 KB."""
    return np.random.default_rng(1).random((1_000, *CARD.preprocessing.image.shape), np.float32)


def curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["curl", "--silent", "--show-error", "--include", "--max-time", "20", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_curl_gets_an_answer_with_hsts(gateway: Gateway) -> None:
    done = curl("--cacert", gateway.ca, "-H", f"Authorization: Bearer {gateway.secret}", f"{gateway.url}/v1/me")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("HTTP/1.1 200 OK\r\n" if "\r" in done.stdout else "HTTP/1.1 200 OK\n")
    assert "\nstrict-transport-security: max-age=31536000\n" in done.stdout.replace("\r", "").lower()
    assert "\nserver:" not in done.stdout.lower()


def test_curl_without_the_ca_refuses(gateway: Gateway) -> None:
    assert curl(f"{gateway.url}/livez").returncode == 60  # "Peer certificate cannot be authenticated"


def test_plain_http_gets_no_answer(gateway: Gateway) -> None:
    assert curl(f"http://127.0.0.1:{gateway.http_port}/livez").returncode != 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_of_tls_are_refused(gateway: Gateway, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version, context.maximum_version = version, version
    context.set_ciphers("ALL:@SECLEVEL=0")

    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{gateway.url}/livez", verify=context)


def test_many_requests_share_a_connection(gateway: Gateway, model: str, images: np.ndarray) -> None:
    body = {"inputs": [{"name": "images", "shape": [2, 3, 8, 6], "datatype": "FP32", "data": images[:2].tolist()}]}

    with httpx.Client(verify=gateway.authority.client_context, base_url=gateway.url, headers=gateway.headers) as http:
        for _ in range(50):  # all but the first take the fast path
            response = http.post(f"/v2/models/{model}/infer", json=body)
            assert response.status_code == 200
            data = np.array(response.json()["outputs"][0]["data"], np.float32).reshape(2, 3)
            np.testing.assert_allclose(data, logits(images[:2]), rtol=1e-4, atol=1e-6)
            assert response.headers["strict-transport-security"] == "max-age=31536000"


def test_tritons_http_client_gets_the_logits(gateway: Gateway, model: str, images: np.ndarray) -> None:
    address = f"127.0.0.1:{gateway.http_port}"
    with triton_http.InferenceServerClient(address, ssl=True, ssl_options={"ca_certs": gateway.ca}) as client:
        assert client.is_server_live()
        infer_input = triton_http.InferInput("images", list(images.shape), "FP32").set_data_from_numpy(images)

        for _ in range(3):  # the second and the third take the fast path
            answer = client.infer(model, [infer_input], headers=gateway.headers)
            np.testing.assert_allclose(answer.as_numpy("logits"), logits(images), rtol=1e-4, atol=1e-6)


def test_tritons_grpc_client_gets_the_logits(gateway: Gateway, model: str, images: np.ndarray) -> None:
    address = f"127.0.0.1:{gateway.grpc_port}"
    with triton_grpc.InferenceServerClient(address, ssl=True, root_certificates=gateway.ca) as client:
        assert client.is_server_live()
        infer_input = triton_grpc.InferInput("images", list(images.shape), "FP32").set_data_from_numpy(images)

        answer = client.infer(model, [infer_input], headers=gateway.headers)

    np.testing.assert_allclose(answer.as_numpy("logits"), logits(images), rtol=1e-4, atol=1e-6)


def test_grpc_without_the_ca_or_without_tls_is_refused(gateway: Gateway) -> None:
    address = f"127.0.0.1:{gateway.grpc_port}"
    for arguments in ({"ssl": True}, {"ssl": False}):
        with (
            triton_grpc.InferenceServerClient(address, **arguments) as client,
            pytest.raises(InferenceServerException, match=r"UNAVAILABLE|failed to connect|Socket closed"),
        ):
            client.is_server_live(client_timeout=10)


def test_a_preflight_of_the_fast_path_is_answered(gateway: Gateway, model: str) -> None:
    headers = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}

    response = httpx.options(
        f"{gateway.url}/v2/models/{model}/infer", headers=headers, verify=gateway.authority.client_context
    )

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://app.example.com"
    assert response.headers["strict-transport-security"] == "max-age=31536000"


def test_our_client_trusts_the_ca_in_ssl_cert_file(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(gateway.url, gateway.secret) as client, pytest.raises(UntrustedCertificate) as refused:
        client.me()
    assert "is not trusted here" in str(refused.value)
    assert "SSL_CERT_FILE" in str(refused.value)

    monkeypatch.setenv("SSL_CERT_FILE", gateway.ca)
    with Client(gateway.url, gateway.secret) as client:
        assert list(client.pools.list())


def test_the_command_line_trusts_the_ca_in_ssl_cert_file(gateway: Gateway) -> None:
    variables = {"TIDEPOOL_URL": gateway.url, "TIDEPOOL_API_KEY": gateway.secret, "SSL_CERT_FILE": gateway.ca}
    command = [sys.executable, "-m", "tidepool.cli.app", "pools", "--json"]

    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "inference" in done.stdout


def test_the_probe_of_the_containers_uses_https(gateway: Gateway) -> None:
    probe = Path(__file__).parents[3] / "deploy" / "bin" / "answers"
    port = str(gateway.http_port)
    variables = os.environ | {"TIDEPOOL_TLS_CERT": "set", "TIDEPOOL_PORT": port}

    def answers(path: str) -> bool:
        return subprocess.run([probe, port, path], env=variables, capture_output=True, check=False).returncode == 0

    assert answers("/livez")
    assert not answers("/v1/me")


def test_a_renewed_certificate_is_served_without_a_restart(gateway: Gateway, model: str) -> None:
    issued = gateway.authority.issue()
    expected = ssl.PEM_cert_to_DER_cert(issued.cert.read_text().partition("-----END")[0] + "-----END CERTIFICATE-----")

    deadline = time.monotonic() + RENEWED_S
    for port in (gateway.http_port, gateway.grpc_port):
        while _certificate_on(port) != expected:
            assert time.monotonic() < deadline
            time.sleep(0.5)

    # clients that connect now trust it, too
    assert httpx.get(f"{gateway.url}/livez", verify=gateway.authority.client_context).status_code == 200
    credentials = grpc.ssl_channel_credentials(gateway.authority.ca.read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{gateway.grpc_port}", credentials) as channel:
        grpc.channel_ready_future(channel).result(10)


def test_a_connection_without_a_handshake_is_closed(idle: socket.socket) -> None:
    assert idle.recv(1) == b""


def test_connections_without_a_handshake_are_bounded_and_hold_up_nobody(gateway: Gateway) -> None:
    process = psutil.Process(gateway.pid)
    files = process.num_fds()
    with ExitStack() as stack:
        # given a client that connects again and again, and never begins a handshake
        for _ in range(HANDSHAKES + 200):
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.http_port), timeout=10))

        # then others are answered, and most of its connections are closed
        assert curl("--cacert", gateway.ca, f"{gateway.url}/livez").returncode == 0
        assert process.num_fds() <= files + HANDSHAKES + 20


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("key", "TIDEPOOL_TLS_KEY is not set. Set both TIDEPOOL_TLS_CERT and TIDEPOOL_TLS_KEY for HTTPS"),
        ("file", "which does not exist."),
        ("other", "TIDEPOOL_TLS_KEY is not the key of the certificate in TIDEPOOL_TLS_CERT."),
    ],
)
def test_a_gateway_with_a_bad_certificate_does_not_start(
    environment: dict[str, str], tmp_path: Path, spoil: str, message: str
) -> None:
    authority = Authority(tmp_path)
    issued, other = authority.issue(), authority.issue("other")
    settings = {
        "key": {"TIDEPOOL_TLS_CERT": str(issued.cert), "TIDEPOOL_TLS_KEY": ""},
        "file": Issued(tmp_path / "none.pem", issued.key).settings,
        "other": Issued(issued.cert, other.key).settings,
    }[spoil] | {"TIDEPOOL_PORT": str(free_port())}
    command = [sys.executable, "-m", "services.gateway.main"]

    done = subprocess.run(
        command, env=os.environ | environment | settings, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def _certificate_on(port: int) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
