"""NVIDIA's own clients, unchanged, through the gateway's process, a real Redis and a replica."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

from contract.access import Scope
from services.storage.stores import Stores
from tests.integration.gateway.conftest import logits
from tests.support.onnx_models import CARD
from tests.support.servers import free_port
from tests.support.waiting import until_it_answers

START_S = 60.0


@dataclass(frozen=True)
class Gateway:
    """The addresses of the process, and an API key."""

    http: str
    grpc: str
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers of one call; the client modifies them."""
        return {"authorization": f"Bearer {self.secret}"}


@pytest.fixture(scope="module")
def gateway(environment: dict[str, str], stores: Stores, replica: None) -> Iterator[Gateway]:
    http, grpc = free_port(), free_port()
    ports = {"TIDEPOOL_PORT": str(http), "TIDEPOOL_GRPC_PORT": str(grpc)}
    process = subprocess.Popen([sys.executable, "-m", "services.gateway.main"], env=os.environ | environment | ports)
    secret = stores.keys.create("test", frozenset({Scope.ADMIN})).secret
    until_it_answers(f"http://127.0.0.1:{http}/livez", START_S)
    yield Gateway(f"127.0.0.1:{http}", f"127.0.0.1:{grpc}", secret)
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).random((5, *CARD.preprocessing.image.shape), np.float32)


def test_an_http_client_gets_the_logits(gateway: Gateway, model: str, images: np.ndarray) -> None:
    with triton_http.InferenceServerClient(gateway.http) as client:
        infer_input = triton_http.InferInput("images", list(images.shape), "FP32").set_data_from_numpy(images)

        # the second request finds the model cached, and takes the fast path
        for _ in range(2):
            answer = client.infer(model, [infer_input], headers=gateway.headers)
            np.testing.assert_allclose(answer.as_numpy("logits"), logits(images), rtol=1e-4)


def test_a_grpc_client_gets_the_logits(gateway: Gateway, model: str, images: np.ndarray) -> None:
    with triton_grpc.InferenceServerClient(gateway.grpc) as client:
        infer_input = triton_grpc.InferInput("images", list(images.shape), "FP32").set_data_from_numpy(images)

        answer = client.infer(model, [infer_input], headers=gateway.headers)

    np.testing.assert_allclose(answer.as_numpy("logits"), logits(images), rtol=1e-4)


def test_health_needs_no_key(gateway: Gateway) -> None:
    with triton_http.InferenceServerClient(gateway.http) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
    with triton_grpc.InferenceServerClient(gateway.grpc) as grpc_client:
        assert grpc_client.is_server_live()
        assert grpc_client.is_server_ready()


def test_an_output_is_classified(gateway: Gateway, model: str, images: np.ndarray) -> None:
    with triton_http.InferenceServerClient(gateway.http) as client:
        infer_input = triton_http.InferInput("images", list(images.shape), "FP32").set_data_from_numpy(images)
        output = triton_http.InferRequestedOutput("logits", class_count=1)

        for _ in range(2):  # the second request takes the fast path
            answer = client.infer(model, [infer_input], outputs=[output], headers=gateway.headers)
            best = [int(element.split(b":")[1]) for element in answer.as_numpy("logits").flat]
            assert best == logits(images).argmax(1).tolist()


def test_concurrent_requests_get_their_own_answers(gateway: Gateway, model: str, images: np.ndarray) -> None:
    with triton_http.InferenceServerClient(gateway.http, concurrency=8) as client:
        inputs = [
            triton_http.InferInput("images", [1, *images.shape[1:]], "FP32").set_data_from_numpy(image[None])
            for image in images
        ]

        calls = [client.async_infer(model, [item], headers=gateway.headers) for item in inputs * 20]
        answers = [call.get_result().as_numpy("logits") for call in calls]

    np.testing.assert_allclose(np.concatenate(answers), np.tile(logits(images), (20, 1)), rtol=1e-4)
