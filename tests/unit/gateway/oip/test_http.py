"""/v2 with a plain HTTP client."""

import json

import httpx
import numpy as np
import pytest

from contract.access import Scope
from contract.errors import BrokerUnavailable, DeadlineExceeded, Overloaded, TidepoolError
from services.gateway.oip import binary_codec, infer
from services.gateway.oip.json_codec import MAX_ARRAYS
from tests.support.onnx_graphs import lookup
from tests.support.onnx_serving import serve
from tests.unit.gateway.oip.conftest import SETTINGS, World

pytestmark = pytest.mark.anyio

INFER = "/v2/models/identity-fp32/infer"
X = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2]}


def refused(response: httpx.Response, status: int) -> str:
    """The message of a refusal in the protocol's format."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    body = response.json()
    assert list(body) == ["error"]
    return str(body["error"])


async def test_json_inputs_give_json_outputs(client: httpx.AsyncClient) -> None:
    response = await client.post(INFER, json={"id": "7", "inputs": [X], "parameters": {"mine": 1}})

    assert response.json() == {
        "model_name": "identity-fp32",
        "model_version": "1",
        "id": "7",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.0]}],
    }


async def test_raw_inputs_and_outputs_are_supported(client: httpx.AsyncClient) -> None:
    head = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}],'
    head += b'"parameters":{"binary_data_output":true}}'

    response = await client.post(
        INFER, content=head + b"12345678", headers={"Inference-Header-Content-Length": str(len(head))}
    )

    assert response.headers["content-type"] == "application/octet-stream"
    size = int(response.headers["inference-header-content-length"])
    assert b'"binary_data_size":8' in response.content[:size]
    assert response.content[size:] == b"12345678"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "z"}, "no input 'z'; its inputs are 'x'"),
        ({"datatype": "FP64"}, "'FP64'; send it as FP32"),
        ({"datatype": "float"}, "not a data type of the protocol"),
        ({"shape": [2]}, "the model takes [-1, 2]"),
        ({"shape": [1, 3]}, "the model takes [-1, 2]"),
        ({"shape": [2, 2]}, "8 bytes of data; FP32 [2, 2] has 16"),
        ({"shape": [2**40, 2]}, "8 bytes of data"),
        ({"shape": [-1, 2]}, "inputs[0].shape[0]"),
        ({"shape": ["a", 2]}, "inputs[0].shape[0]"),
        ({"shape": None}, "inputs[0].shape"),
        ({"data": ["a", "b"]}, "the data of 'x'"),
        ({"data": [1e40, 0]}, "the data of 'x'"),
        ({"data": [[1, 2], 3]}, "the data of 'x'"),
        ({"data": 3}, "8"),
        ({"parameters": {"binary_data_size": -1}}, "binary_data_size"),
        ({"parameters": {"binary_data_size": 8}}, "add up"),
        ({"parameters": {"shared_memory_region": "r"}}, "shared memory"),
    ],
)
async def test_an_invalid_input_is_refused(client: httpx.AsyncClient, change: dict[str, object], message: str) -> None:
    response = await client.post(INFER, json={"inputs": [X | change]})

    assert message in refused(response, 400)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"inputs": []}, "each input of the model once: 'x'"),
        ({"inputs": [X, X]}, "each input of the model once"),
        ({"inputs": [X], "outputs": [{"name": "z"}]}, "no output 'z'; its outputs are 'y'"),
        ({"inputs": [X], "outputs": [{"name": "y"}, {"name": "y"}]}, "each output once"),
        ({"inputs": [X], "outputs": [{"name": "y", "parameters": {"classification": -1}}]}, "classification"),
        ({"inputs": [{key: X[key] for key in X if key != "data"}]}, "neither data nor binary_data_size"),
        ({}, "top level"),
        ([], "top level"),
        ({"inputs": X}, "inputs"),
        ({"inputs": [X], "id": 7}, "id"),
    ],
)
async def test_an_invalid_request_is_refused(client: httpx.AsyncClient, body: object, message: str) -> None:
    assert message in refused(await client.post(INFER, json=body), 400)


@pytest.mark.parametrize("content", [b"", b"{", b'{"inputs":[{"name":"\xff"}]}', b"\x00"])
async def test_a_body_that_is_not_json_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    assert "not JSON" in refused(await client.post(INFER, content=content), 400)


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "9" * 30, "100"])
async def test_an_invalid_header_length_is_refused(client: httpx.AsyncClient, length: str) -> None:
    response = await client.post(INFER, content=b"{}", headers={"Inference-Header-Content-Length": length})

    assert "Inference-Header-Content-Length" in refused(response, 400)


async def test_a_body_over_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    for path, most in ((INFER, SETTINGS.max_predict_bytes), ("/v2/repository/index", SETTINGS.max_json_bytes)):
        response = await client.post(path, content=b" " * (most + 1))
        assert refused(response, 413) == f"the body may have at most {most} bytes", path


@pytest.fixture
def little_json(monkeypatch: pytest.MonkeyPatch) -> int:
    """Permit this many bytes of JSON."""
    monkeypatch.setattr(infer, "MAX_JSON", 500_000)
    monkeypatch.setattr(binary_codec, "MAX_JSON", 500_000)
    return 500_000


async def test_json_that_would_block_the_gateway_is_refused(client: httpx.AsyncClient, little_json: int) -> None:
    start = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":['
    large = start + b"1," * (little_json // 2) + b"1]}]}"
    nested = start + b"[1]," * MAX_ARRAYS + b"[1]]}]}"

    assert "send large tensors as binary data" in refused(await client.post(INFER, content=large), 413)
    assert "as a flat array" in refused(await client.post(INFER, content=nested), 400)


async def test_outputs_that_are_too_large_for_json_can_be_had_as_binary_data(
    client: httpx.AsyncClient, little_json: int
) -> None:
    values = np.zeros((little_json // 8 + 1, 2), np.float32)
    tensor = {"name": "x", "datatype": "FP32", "shape": values.shape, "parameters": {"binary_data_size": values.nbytes}}
    statuses = []
    for binary in (False, True):
        header = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": binary}}).encode()
        headers = {"Inference-Header-Content-Length": str(len(header))}
        response = await client.post(INFER, content=header + values.tobytes(), headers=headers)
        statuses.append(response.status_code)

    assert statuses == [413, 200]


async def test_a_large_json_request_is_answered(client: httpx.AsyncClient) -> None:
    rows = 30_000

    response = await client.post(INFER, json={"inputs": [X | {"shape": [rows, 2], "data": [[0.5, 2.0]] * rows}]})

    assert response.json()["outputs"][0]["data"] == [0.5, 2.0] * rows


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("none", "there is no model none"),
        ("NONE", "there is no model 'NONE'"),
        ("sums/versions/2", "there is no model sums@2"),
        ("sums/versions/nightly", "there is no model sums@nightly"),
        ("sums@nightly", "there is no model sums@nightly"),
        ("sums/versions/-1", "there is no version '-1' of the model 'sums'"),
    ],
)
async def test_an_unknown_reference_is_not_found(client: httpx.AsyncClient, reference: str, message: str) -> None:
    response = await client.post(f"/v2/models/{reference}/infer", json={"inputs": [X]})

    assert refused(response, 404) == message


async def test_unknown_paths_and_methods_are_refused(client: httpx.AsyncClient) -> None:
    assert refused(await client.get("/v2/nothing"), 404) == "there is no such path; /docs lists them all"
    assert refused(await client.get(INFER), 405) == "this path does not take GET; it takes POST"


async def test_versions_and_aliases_select_the_version(client: httpx.AsyncClient, world: World) -> None:
    # given two versions, and an alias of the first
    for _ in range(2):
        serve(world.stores, "twice", lookup())
    await client.put("/v1/models/twice/aliases/production", json={"version": 1})
    body = {"inputs": [{"name": "x", "datatype": "INT64", "shape": [1], "data": [3]}]}

    # then each path is answered by the version that it names
    for path, version in (
        ("twice", "2"),
        ("twice/versions/1", "1"),
        ("twice/versions/production", "1"),
        ("twice@production", "1"),
        ("twice%402", "2"),
    ):
        assert (await client.post(f"/v2/models/{path}/infer", json=body)).json()["model_version"] == version, path
    assert (await client.get("/v2/models/twice")).json()["versions"] == ["1", "2"]
    assert (await client.get("/v2/models/twice@production")).json()["versions"] == ["1"]

    # and when the alias moves, the next request goes to the new version
    await client.put("/v1/models/twice/aliases/production", json={"version": 2})
    assert (await client.post("/v2/models/twice@production/infer", json=body)).json()["model_version"] == "2"


async def test_values_that_the_model_cannot_take_are_refused(client: httpx.AsyncClient) -> None:
    body = {"inputs": [{"name": "x", "datatype": "INT64", "shape": [1], "data": [99]}]}

    message = refused(await client.post("/v2/models/lookup/infer", json=body), 400)

    assert message == "the model cannot run on these inputs; check their shapes and values"


@pytest.mark.parametrize(
    "error",
    [Overloaded("full"), DeadlineExceeded("late"), BrokerUnavailable("away"), TidepoolError("an internal error")],
)
async def test_an_error_of_the_pool_is_passed_on(client: httpx.AsyncClient, world: World, error: TidepoolError) -> None:
    world.inference.error = error

    response = await client.post(INFER, json={"inputs": [X]})

    assert refused(response, error.status) == error.message
    assert ("retry-after" in response.headers) == (error.status == 503)
    assert (await client.get("/v2/health/ready")).status_code == 503


@pytest.mark.parametrize("seconds", ["0", "-1", "301", "nan", "soon"])
async def test_an_invalid_timeout_is_refused(client: httpx.AsyncClient, seconds: str) -> None:
    response = await client.post(INFER, json={"inputs": [X]}, headers={"X-Request-Timeout": seconds})

    assert "X-Request-Timeout" in refused(response, 400)


async def test_the_timeout_header_sets_the_deadline(client: httpx.AsyncClient, world: World) -> None:
    await client.post(INFER, json={"inputs": [X]}, headers={"X-Request-Timeout": "1.5"})
    await client.post(INFER, json={"inputs": [X]})

    assert world.inference.within_s == [1.5, SETTINGS.predict_timeout_s]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2", None),
        ("GET", "/v2/models/sums", Scope.READ),
        ("GET", "/v2/models/sums/ready", Scope.READ),
        ("POST", "/v2/repository/index", Scope.READ),
        ("POST", "/v2/repository/models/sums/load", Scope.PREDICT),
        ("POST", "/v2/repository/models/sums/unload", Scope.PREDICT),
        ("POST", INFER, Scope.PREDICT),
    ],
)
async def test_a_request_needs_a_key_with_the_scope(
    client: httpx.AsyncClient, world: World, method: str, path: str, scope: Scope | None
) -> None:
    refused(await client.request(method, path, headers={"Authorization": ""}), 401)
    secret = world.stores.keys.create("writer", frozenset({Scope.WRITE})).secret
    response = await client.request(method, path, headers={"Authorization": f"Bearer {secret}"})
    assert response.status_code == (403 if scope else 200)


async def test_a_load_with_parameters_is_refused(client: httpx.AsyncClient) -> None:
    path = "/v2/repository/models/sums/load"

    assert "parameters" in refused(await client.post(path, content=b'{"parameters": {"config": "{}"}}'), 400)
    refused(await client.post(path, content=b"["), 400)


async def test_health_needs_no_key(client: httpx.AsyncClient) -> None:
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert (await client.get(path, headers={"Authorization": ""})).status_code == 200


@pytest.mark.parametrize("opening", ["[", '{"x":'])
@pytest.mark.parametrize("depth", [1_001, 100_000])
@pytest.mark.parametrize(
    "template", ["%s", '{"inputs": [], "parameters": {"x": %s}}', f'{{"inputs": [{json.dumps(X)[:-1]}, "data": %s}}]}}']
)
async def test_a_deeply_nested_body_is_refused(
    client: httpx.AsyncClient, template: str, depth: int, opening: str
) -> None:
    body = template % (opening * depth + "1" + {"[": "]"}.get(opening, "}") * depth)

    message = refused(await client.post(INFER, content=body), 400)

    assert "internal" not in message


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("[", "not a JSON object"),
        ('{"parameters": [', "not a JSON object"),
        ('{"parameters": {"x": [', "nested too deeply"),
        ('{"x": [', "nested too deeply"),
    ],
)
async def test_a_deeply_nested_load_is_refused(client: httpx.AsyncClient, start: str, message: str) -> None:
    response = await client.post("/v2/repository/models/sums/load", content=start + "[" * 1_500)

    assert message in refused(response, 400)
