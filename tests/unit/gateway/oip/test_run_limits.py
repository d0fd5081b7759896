"""A run that takes too long, and a version that is quarantined for it, on every way in."""

from collections.abc import Iterator
from http import HTTPStatus

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from contract.access import DEFAULT_PROJECT
from contract.references import Reference
from services.storage.catalog.models import Models
from tests.support.onnx_graphs import loop
from tests.support.onnx_serving import serve
from tests.unit.gateway.oip.conftest import World

pytestmark = pytest.mark.anyio

SPINNER = Reference(name="spinner", version=1)
ENDLESS = 2**62


@pytest.fixture(scope="module")
def models(world: World) -> Models:
    serve(world.stores, SPINNER.name, loop())
    return world.stores.of(DEFAULT_PROJECT).models


@pytest.fixture
def quarantined(world: World, models: Models) -> Iterator[None]:
    models.quarantine(SPINNER, "three runs took too long")
    world.backends.forget_models()
    yield
    models.lift_quarantine(SPINNER)


async def infer(client: httpx.AsyncClient, rounds: int, model: str = "spinner") -> httpx.Response:
    inputs = [
        {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 0.5]},
        {"name": "rounds", "shape": [], "datatype": "INT64", "data": [rounds]},
    ]
    return await client.post(f"/v2/models/{model}/infer", json={"inputs": inputs})


def infer_by_grpc(world: World, address: str, rounds: int) -> None:
    row, count = np.ones((1, 2), np.float32), np.array(rounds, np.int64)
    inputs = [triton.InferInput("x", [1, 2], "FP32"), triton.InferInput("rounds", [], "INT64")]
    for tensor, array in zip(inputs, (row, count), strict=True):
        tensor.set_data_from_numpy(array)
    with triton.InferenceServerClient(address) as client:
        client.infer("spinner", inputs, headers=world.metadata)


@pytest.mark.usefixtures("models")
async def test_an_endless_loop_is_a_504_over_http(client: httpx.AsyncClient) -> None:
    assert (await infer(client, 3)).status_code == HTTPStatus.OK

    response = await infer(client, ENDLESS)

    assert response.status_code == HTTPStatus.GATEWAY_TIMEOUT
    assert "a run of the model took more than 1 s and was stopped" in response.json()["error"]
    assert (await infer(client, 3)).status_code == HTTPStatus.OK


@pytest.mark.usefixtures("models")
def test_an_endless_loop_exceeds_the_deadline_over_grpc(world: World, grpc_address: str) -> None:
    with pytest.raises(InferenceServerException, match="took more than 1 s and was stopped") as error:
        infer_by_grpc(world, grpc_address, ENDLESS)

    assert error.value.status() == str(grpc.StatusCode.DEADLINE_EXCEEDED)


@pytest.mark.usefixtures("quarantined")
async def test_a_quarantined_version_is_a_409_that_says_why(client: httpx.AsyncClient, world: World) -> None:
    for response in (
        await infer(client, 3),
        await client.post("/v1/models/spinner/predict", content=b"x", headers={"Content-Type": "image/png"}),
    ):
        assert response.status_code == HTTPStatus.CONFLICT
        assert "spinner@1 is quarantined: three runs took too long" in response.text

    version = (await client.get("/v1/models/spinner/versions/1")).json()
    assert (version["status"], version["reason"]) == ("quarantined", "three runs took too long")

    lifted = await client.delete("/v1/models/spinner/versions/1/quarantine")
    assert (lifted.status_code, lifted.json()["status"]) == (HTTPStatus.OK, "ready")
    assert (await infer(client, 3)).status_code == HTTPStatus.OK


@pytest.mark.usefixtures("quarantined")
def test_a_quarantined_version_fails_a_precondition_over_grpc(world: World, grpc_address: str) -> None:
    with pytest.raises(InferenceServerException, match="is quarantined") as error:
        infer_by_grpc(world, grpc_address, 3)

    assert error.value.status() == str(grpc.StatusCode.FAILED_PRECONDITION)


@pytest.mark.usefixtures("models")
async def test_a_quarantine_that_does_not_exist_is_lifted_without_a_change(client: httpx.AsyncClient) -> None:
    assert (await client.delete("/v1/models/spinner/versions/1/quarantine")).json()["status"] == "ready"
    assert (await client.delete("/v1/models/spinner/versions/9/quarantine")).status_code == HTTPStatus.NOT_FOUND
