"""Tensors bound to device memory, tested with host memory."""

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from services.inference.engine.providers import CPU
from services.inference.engine.session import BoundSession, bind
from tests.support.onnx_models import onnx_file
from tests.unit.inference.conftest import OnGpu

RANDOM = np.random.default_rng(0)


def sum_and_difference(kind: int = TensorProto.FLOAT, *shape: int | str) -> bytes:
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    values = {name: helper.make_tensor_value_info(name, kind, shape) for name in ("a", "b", "sum", "difference")}
    graph = helper.make_graph(
        nodes, "sum_and_difference", [values["a"], values["b"]], [values["sum"], values["difference"]]
    )
    return onnx_file(graph, None)


def loaded(file: bytes) -> ort.InferenceSession:
    return OnGpu(file, ort.SessionOptions(), [])


@pytest.mark.parametrize(
    "array",
    [
        RANDOM.normal(size=(3, 4)).astype(np.float32),
        RANDOM.normal(size=(4, 3)).astype(np.float32).T,
        np.zeros((0, 4), np.float32),
    ],
    ids=["rows", "transposed", "empty"],
)
@pytest.mark.parametrize("names", [None, ["difference"], ["difference", "sum"]])
def test_a_bound_session_gives_the_same_outputs(array: NDArray[np.float32], names: list[str] | None, gpu: None) -> None:
    session = loaded(sum_and_difference(TensorProto.FLOAT, "n", 4))
    feed = {"a": array, "b": np.ones(array.shape, np.float32)}

    outputs = bind(session, 0).run(names, feed)

    assert isinstance(bind(session, 0), BoundSession)
    expected = session.run(names, feed)
    assert len(outputs) == len(expected)
    for output, reference in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(output, reference)


def test_a_scalar_stays_a_scalar(gpu: None) -> None:
    total, _ = bind(loaded(sum_and_difference()), 0).run(None, {"a": np.float32(2), "b": np.array(3, np.float32)})

    assert total.shape == ()
    assert total == 5


@pytest.mark.parametrize(("kind", "dtype"), [(TensorProto.FLOAT16, np.float16), (TensorProto.INT64, np.int64)])
def test_other_numeric_types_are_bound(kind: int, dtype: type, gpu: None) -> None:
    total, difference = bind(loaded(sum_and_difference(kind, 2)), 0).run(
        None, {"a": np.array([5, 6], dtype), "b": np.array([1, 2], dtype)}
    )

    assert (total.dtype, total.tolist(), difference.tolist()) == (dtype, [6, 8], [4, 4])


def test_a_bound_session_has_the_signature_of_its_graph() -> None:
    session = bind(loaded(sum_and_difference()), 0)

    assert [node.name for node in session.get_inputs()] == ["a", "b"]
    assert [node.name for node in session.get_outputs()] == ["sum", "difference"]


def test_strings_are_not_bound() -> None:
    node = helper.make_node("Identity", ["input"], ["output"])
    source, echoed = (helper.make_tensor_value_info(name, TensorProto.STRING, ["n"]) for name in ("input", "output"))
    session = loaded(onnx_file(helper.make_graph([node], "echo", [source], [echoed]), None))

    (echo,) = bind(session, 0).run(None, {"input": np.array(["a", "b"], object)})

    assert echo.tolist() == ["a", "b"]


def test_sessions_on_the_cpu_are_not_bound() -> None:
    session = ort.InferenceSession(sum_and_difference(), providers=[CPU])

    assert bind(session, 0) is session
