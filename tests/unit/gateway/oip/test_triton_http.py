"""NVIDIA's own client over HTTP, unchanged, against a real server."""

from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from contract.datatypes import DATATYPES
from tests.unit.gateway.oip.conftest import World
from tests.unit.gateway.oip.values import VALUES


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[triton.InferenceServerClient]:
    client = triton.InferenceServerClient(address, concurrency=4)
    yield client
    client.close()


def infer_input(name: str, array: np.ndarray, binary: bool = True) -> triton.InferInput:
    result = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    return result.set_data_from_numpy(array, binary_data=binary)


def test_the_server_is_live_and_ready(client: triton.InferenceServerClient, world: World) -> None:
    assert client.is_server_live()  # without a key
    assert client.is_server_ready()
    metadata = client.get_server_metadata(headers=world.headers)
    assert metadata["name"] == "tidepool"
    assert {"binary_tensor_data", "classification", "model_repository"} <= set(metadata["extensions"])


def test_a_model_has_metadata(client: triton.InferenceServerClient, world: World) -> None:
    assert client.is_model_ready("sums", headers=world.headers)
    assert client.is_model_ready("sums", "1", headers=world.headers)
    assert not client.is_model_ready("sums", "2", headers=world.headers)
    assert not client.is_model_ready("none", headers=world.headers)
    metadata = client.get_model_metadata("sums", headers=world.headers)
    assert (metadata["name"], metadata["versions"]) == ("sums", ["1"])
    assert metadata["inputs"] == [{"name": name, "datatype": "FP32", "shape": [-1, 3]} for name in ("a", "b")]
    assert [output["name"] for output in metadata["outputs"]] == ["sum", "difference"]


def test_the_repository_lists_and_loads_models(client: triton.InferenceServerClient, world: World) -> None:
    index = client.get_model_repository_index(headers=world.headers)
    assert {"name": "sums", "version": "1", "state": "READY", "reason": ""} in index

    client.load_model("sums", headers=world.headers)
    assert [target.model for target in world.inference.targets] == ["sums"]

    # when a model is unloaded, it stays ready, because a replica loads it again for the next request
    client.unload_model("sums", headers=world.headers)
    assert client.is_model_ready("sums", headers=world.headers)

    with pytest.raises(InferenceServerException, match="there is no model none"):
        client.load_model("none", headers=world.headers)


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_every_type_survives_the_round_trip(
    client: triton.InferenceServerClient, world: World, datatype: str, binary_in: bool, binary_out: bool
) -> None:
    array = VALUES[datatype]
    binary_in = binary_in or datatype == "BF16"  # the client can send BF16 only as binary data

    result = client.infer(
        f"identity-{datatype.lower()}",
        [infer_input("x", array, binary_in)],
        outputs=[triton.InferRequestedOutput("y", binary_data=binary_out)],
        headers=world.headers,
    )

    output = result.as_numpy("y")
    assert result.get_output("y")["datatype"] == datatype
    if datatype == "BYTES":
        output = np.array([item if isinstance(item, bytes) else item.encode() for item in output.flat]).reshape(
            output.shape
        )
    assert output.tolist() == array.tolist()


@pytest.mark.parametrize("model", ["scalar", "matrix", "free"])
def test_models_without_a_batch_axis_are_served(client: triton.InferenceServerClient, world: World, model: str) -> None:
    array = np.array(7, np.float32) if model == "scalar" else np.arange(6, dtype=np.float32).reshape(2, 3)

    output = client.infer(model, [infer_input("x", array)], headers=world.headers).as_numpy("y")

    assert output.shape == array.shape
    assert (output == array).all()
    assert not world.inference.targets[0].batched


def test_a_model_without_inputs_is_served(client: triton.InferenceServerClient, world: World) -> None:
    assert client.infer("constant", [], headers=world.headers).as_numpy("y") == 3


def test_the_requested_outputs_and_the_id_are_returned(client: triton.InferenceServerClient, world: World) -> None:
    a, b = np.full((2, 3), 5, np.float32), np.full((2, 3), 3, np.float32)
    outputs = [triton.InferRequestedOutput("difference"), triton.InferRequestedOutput("sum", binary_data=False)]

    result = client.infer(
        "sums", [infer_input("a", a), infer_input("b", b, binary=False)], "1", outputs, "call-7", headers=world.headers
    )

    response = result.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("call-7", "sums", "1")
    assert [output["name"] for output in response["outputs"]] == ["difference", "sum"]
    assert result.as_numpy("difference").tolist() == (a - b).tolist()
    assert result.as_numpy("sum").tolist() == (a + b).tolist()
    only = client.infer("sums", [infer_input("a", a), infer_input("b", b)], outputs=outputs[:1], headers=world.headers)
    assert only.as_numpy("sum") is None


def test_concurrent_requests_get_their_own_answers(client: triton.InferenceServerClient, world: World) -> None:
    arrays = [np.full((1, 2), number, np.float32) for number in range(20)]

    calls = [client.async_infer("identity-fp32", [infer_input("x", array)], headers=world.headers) for array in arrays]

    assert [call.get_result().as_numpy("y").tolist() for call in calls] == [array.tolist() for array in arrays]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_a_compressed_request_is_answered(client: triton.InferenceServerClient, world: World, algorithm: str) -> None:
    array = np.arange(2000, dtype=np.float32).reshape(1000, 2)

    result = client.infer(
        "identity-fp32",
        [infer_input("x", array)],
        headers=world.headers,
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )

    assert (result.as_numpy("y") == array).all()


def test_the_timeout_parameter_is_in_microseconds(client: triton.InferenceServerClient, world: World) -> None:
    client.infer("identity-fp32", [infer_input("x", VALUES["FP32"])], timeout=2_500_000, headers=world.headers)

    assert world.inference.within_s == [2.5]


def test_an_error_message_says_what_to_change(client: triton.InferenceServerClient, world: World) -> None:
    too_wide = infer_input("x", np.zeros((1, 3), np.float32))

    with pytest.raises(InferenceServerException, match=r"the shape \[1, 3\]; the model takes \[-1, 2\]") as caught:
        client.infer("identity-fp32", [too_wide], headers=world.headers)

    assert caught.value.status() == "400"


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_nan_and_infinity_travel_as_json(client: triton.InferenceServerClient, world: World, datatype: str) -> None:
    array = np.array([[np.nan, np.inf], [-np.inf, 1.5]], DATATYPES[datatype].numpy)

    result = client.infer(
        f"identity-{datatype.lower()}",
        [infer_input("x", array, binary=False)],
        outputs=[triton.InferRequestedOutput("y", binary_data=False)],
        headers=world.headers,
    )

    np.testing.assert_array_equal(result.as_numpy("y"), array)


@pytest.mark.parametrize("binary", [True, False])
def test_an_output_is_classified(client: triton.InferenceServerClient, world: World, binary: bool) -> None:
    array = np.array([[0.25, 0.75], [2, -1]], np.float32)
    output = triton.InferRequestedOutput("y", binary_data=binary, class_count=1)

    result = client.infer("identity-fp32", [infer_input("x", array)], outputs=[output], headers=world.headers)

    assert result.get_output("y")["datatype"] == "BYTES"
    classes = [value if isinstance(value, str) else value.decode() for value in result.as_numpy("y").flat]
    assert classes == ["0.750000:1:dog", "2.000000:0:cat"]
    assert result.as_numpy("y").shape == (2, 1)


def test_a_model_without_a_batch_axis_is_classified(client: triton.InferenceServerClient, world: World) -> None:
    array = np.array([[1, 5, 2], [9, np.nan, 5]], np.float32)
    output = triton.InferRequestedOutput("y", class_count=10)

    result = client.infer("matrix", [infer_input("x", array)], outputs=[output], headers=world.headers)

    classes = [b"9.000000:3", b"5.000000:1", b"5.000000:5", b"2.000000:2", b"1.000000:0", b"nan:4"]
    assert result.as_numpy("y").tolist() == classes


def test_integers_are_classified_and_texts_are_not(client: triton.InferenceServerClient, world: World) -> None:
    output = triton.InferRequestedOutput("y", class_count=2)
    numbers, texts = np.array([[3, 7]], np.int64), np.array([[b"a", b"b"]], object)

    result = client.infer("identity-int64", [infer_input("x", numbers)], outputs=[output], headers=world.headers)

    assert result.as_numpy("y").tolist() == [[b"7:1:dog", b"3:0:cat"]]
    with pytest.raises(InferenceServerException, match="has texts"):
        client.infer("identity-bytes", [infer_input("x", texts)], outputs=[output], headers=world.headers)
