"""NVIDIA's own client over gRPC, unchanged, against a real server; and typed contents, which it does not send."""

import threading
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from contract.access import Scope
from contract.datatypes import DATATYPES
from contract.errors import DeadlineExceeded, Overloaded, TidepoolError
from services.gateway.oip.proto.inference_pb2 import ModelInferRequest, ModelInferResponse
from services.gateway.oip.proto.inference_pb2_grpc import GRPCInferenceServiceStub
from tests.unit.gateway.oip.conftest import World
from tests.unit.gateway.oip.values import VALUES


@pytest.fixture(scope="module")
def client(grpc_address: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(grpc_address) as client:
        yield client


@pytest.fixture(scope="module")
def stub(grpc_address: str) -> Iterator[GRPCInferenceServiceStub]:
    with grpc.insecure_channel(grpc_address) as channel:
        yield GRPCInferenceServiceStub(channel)


def infer_input(name: str, array: np.ndarray) -> triton.InferInput:
    result = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    return result.set_data_from_numpy(array)


def test_the_server_is_live_and_ready(client: triton.InferenceServerClient, world: World) -> None:
    assert client.is_server_live()  # without a key
    assert client.is_server_ready()
    assert client.get_server_metadata(headers=world.metadata).name == "tidepool"


def test_a_model_has_metadata(client: triton.InferenceServerClient, world: World) -> None:
    assert client.is_model_ready("sums", "1", headers=world.metadata)
    assert not client.is_model_ready("none", headers=world.metadata)
    metadata = client.get_model_metadata("sums", headers=world.metadata)
    assert (metadata.name, list(metadata.versions)) == ("sums", ["1"])
    assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in metadata.inputs] == [
        ("a", "FP32", [-1, 3]),
        ("b", "FP32", [-1, 3]),
    ]


def test_the_repository_lists_and_loads_models(client: triton.InferenceServerClient, world: World) -> None:
    index = client.get_model_repository_index(headers=world.metadata).models
    assert ("sums", "1", "READY") in {(version.name, version.version, version.state) for version in index}

    client.load_model("sums", headers=world.metadata)
    client.unload_model("sums", headers=world.metadata)

    assert [target.model for target in world.inference.targets] == ["sums"]
    assert client.is_model_ready("sums", headers=world.metadata)
    with pytest.raises(InferenceServerException, match="send no parameters"):
        client.load_model("sums", config="{}", headers=world.metadata)


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_type_survives_the_round_trip(client: triton.InferenceServerClient, world: World, datatype: str) -> None:
    array = VALUES[datatype]

    output = client.infer(f"identity-{datatype.lower()}", [infer_input("x", array)], headers=world.metadata).as_numpy(
        "y"
    )

    assert output.tolist() == array.tolist()


def test_the_requested_outputs_and_the_id_are_returned(client: triton.InferenceServerClient, world: World) -> None:
    a, b = np.full((2, 3), 5, np.float32), np.full((2, 3), 3, np.float32)
    outputs = [triton.InferRequestedOutput("difference")]

    result = client.infer(
        "sums@1",
        [infer_input("a", a), infer_input("b", b)],
        outputs=outputs,
        request_id="call-7",
        headers=world.metadata,
    )

    assert (result.get_response().id, result.get_response().model_version) == ("call-7", "1")
    assert result.as_numpy("difference").tolist() == (a - b).tolist()
    assert result.as_numpy("sum") is None


def test_concurrent_requests_get_their_own_answers(client: triton.InferenceServerClient, world: World) -> None:
    answers: dict[int, np.ndarray] = {}
    done = threading.Semaphore(0)

    def note(number: int, result: triton.InferResult | None) -> None:
        if result is not None:
            answers[number] = result.as_numpy("y")
        done.release()

    for number in range(20):
        client.async_infer(
            "identity-fp32",
            [infer_input("x", np.full((1, 2), number, np.float32))],
            lambda result, error, number=number: note(number, result),
            headers=world.metadata,
        )
    assert all(done.acquire(timeout=30) for _ in range(20))

    assert {number: answer.tolist() for number, answer in answers.items()} == {n: [[n, n]] for n in range(20)}


@pytest.mark.parametrize("datatype", [name for name in DATATYPES if name not in {"FP16", "BF16"}])
def test_typed_inputs_give_typed_outputs(stub: GRPCInferenceServiceStub, world: World, datatype: str) -> None:
    request = ModelInferRequest(model_name=f"identity-{datatype.lower()}")
    tensor = request.inputs.add(name="x", datatype=datatype, shape=[2, 2])
    field = {"B": "bool", "U": "uint", "I": "int", "F": "fp32"}[datatype[0]]
    field = {"UINT64": "uint64", "INT64": "int64", "FP64": "fp64", "BYTES": "bytes"}.get(datatype, field)
    getattr(tensor.contents, f"{field}_contents").extend(VALUES[datatype].flatten().tolist())

    response: ModelInferResponse = stub.ModelInfer(request, metadata=tuple(world.metadata.items()))

    assert not response.raw_output_contents
    contents = getattr(response.outputs[0].contents, f"{field}_contents")
    assert list(contents) == VALUES[datatype].flatten().tolist()


def _int8(request: ModelInferRequest) -> None:
    request.model_name = "identity-int8"
    request.inputs.add(name="x", datatype="INT8", shape=[1, 2]).contents.int_contents.extend([300, 0])


def _typed_half(request: ModelInferRequest) -> None:
    request.inputs.add(name="x", datatype="FP16", shape=[1, 2])


def _raw_for_one(request: ModelInferRequest) -> None:
    request.inputs.add(name="x")
    request.raw_input_contents.extend([b"", b""])


def _raw_and_typed(request: ModelInferRequest) -> None:
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2]).contents.fp32_contents.extend([1, 2])
    request.raw_input_contents.append(b"12345678")


def _negative_axis(request: ModelInferRequest) -> None:
    request.inputs.add(name="x", datatype="FP32", shape=[-1, 2])
    request.raw_input_contents.append(b"12345678")


def _no_data(request: ModelInferRequest) -> None:
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2])


@pytest.mark.parametrize(
    ("add_fault", "message"),
    [
        (_int8, "values that INT8 cannot hold"),
        (_typed_half, "send it as raw_input_contents"),
        (_raw_for_one, "for every input, or for none"),
        (_raw_and_typed, "send one of them"),
        (_negative_axis, "negative axis"),
        (_no_data, "0 bytes of data; FP32 [1, 2] has 8"),
    ],
)
def test_an_invalid_request_is_refused(
    stub: GRPCInferenceServiceStub, world: World, add_fault: object, message: str
) -> None:
    request = ModelInferRequest(model_name="identity-fp32")
    add_fault(request)  # type: ignore[operator]

    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request, metadata=tuple(world.metadata.items()))

    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert message in caught.value.details()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Overloaded("full"), "UNAVAILABLE"),
        (DeadlineExceeded("late"), "DEADLINE_EXCEEDED"),
        (TidepoolError("an internal error"), "INTERNAL"),
    ],
)
def test_an_error_of_the_pool_is_passed_on(
    client: triton.InferenceServerClient, world: World, error: TidepoolError, code: str
) -> None:
    world.inference.error = error

    with pytest.raises(InferenceServerException) as caught:
        client.infer("identity-fp32", [infer_input("x", VALUES["FP32"])], headers=world.metadata)

    assert (caught.value.status(), caught.value.message()) == (f"StatusCode.{code}", error.message)


def test_an_unknown_model_is_not_found(client: triton.InferenceServerClient, world: World) -> None:
    with pytest.raises(InferenceServerException, match="there is no model none") as caught:
        client.infer("none", [infer_input("x", VALUES["FP32"])], headers=world.metadata)

    assert caught.value.status() == "StatusCode.NOT_FOUND"


def test_client_timeouts_set_the_deadline(client: triton.InferenceServerClient, world: World) -> None:
    client.infer("identity-fp32", [infer_input("x", VALUES["FP32"])], client_timeout=20, headers=world.metadata)
    client.infer("identity-fp32", [infer_input("x", VALUES["FP32"])], timeout=2_500_000, headers=world.metadata)

    assert 15 < world.inference.within_s[0] < 25
    assert world.inference.within_s[1] == 2.5


def test_inference_needs_a_key_with_the_scope(client: triton.InferenceServerClient, world: World) -> None:
    secret = world.stores.keys.create("reader", frozenset({Scope.READ})).secret

    for headers, code in (({}, "UNAUTHENTICATED"), ({"authorization": f"Bearer {secret}"}, "PERMISSION_DENIED")):
        with pytest.raises(InferenceServerException) as caught:
            client.infer("identity-fp32", [infer_input("x", VALUES["FP32"])], headers=headers)
        assert caught.value.status() == f"StatusCode.{code}"


def test_an_output_is_classified(client: triton.InferenceServerClient, world: World) -> None:
    array = np.array([[0.25, 0.75], [2, -1]], np.float32)
    output = triton.InferRequestedOutput("y", class_count=2)

    result = client.infer("identity-fp32", [infer_input("x", array)], outputs=[output], headers=world.metadata)

    assert result.as_numpy("y").tolist() == [
        [b"0.750000:1:dog", b"0.250000:0:cat"],
        [b"2.000000:0:cat", b"-1.000000:1:dog"],
    ]
