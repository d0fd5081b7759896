"""Runs ONNX's own node tests, with ONNX Runtime and through the Open Inference Protocol."""

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import numpy as np
import tritonclient.http as triton
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests
from tritonclient.utils import np_to_triton_dtype

from services.inference.engine.onnx_runtime import ORT_ERRORS
from services.storage.stores import Stores
from tests.support.onnx_serving import serve, session_of

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A model of one operator with its inputs, and the outputs of two runs with ONNX Runtime alone."""

    name: str
    file: bytes
    inputs: Arrays
    expected: Arrays
    again: Arrays

    @property
    def agrees(self) -> bool:
        """Whether both runs gave the same outputs; random operators do not."""
        return all(_same(self.expected[name], self.again[name]) for name in self.expected)


def node_tests() -> list[TestCase]:
    """Load every node test of the onnx package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # from intended divisions by zero
        return list(load_model_tests(kind="node"))


def runnable(test: TestCase) -> Case | Literal["not a tensor"] | None:
    """Return the case if ONNX Runtime can run it, else None; some have inputs or outputs that are not tensors."""
    file = test.model.SerializeToString()
    try:
        session = session_of(file)
        nodes = (*session.get_inputs(), *session.get_outputs())
        inputs = dict(zip([node.name for node in session.get_inputs()], test.data_sets[0][0], strict=False))
        if not all(node.type.startswith("tensor(") for node in nodes):
            session.run(None, inputs)
            return "not a tensor"
        feeds = {name: _text(array) for name, array in inputs.items()}
        names = [node.name for node in session.get_outputs()]
        first, second = (dict(zip(names, session.run(names, feeds), strict=True)) for _ in range(2))
    except ORT_ERRORS:
        return None
    return Case(test.name, file, feeds, first, second)


async def ask(client: httpx.AsyncClient, stores: Stores, model: str, case: Case) -> str:
    """Publish the case as a model and run it through /v2; returns what is wrong, or an empty string."""
    serve(stores, model, case.file)
    tensors = []
    for name, array in case.inputs.items():
        tensor = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensors.append(tensor.set_data_from_numpy(np.asarray(array)))
    body, size = triton.InferenceServerClient.generate_request_body(tensors)
    headers = {} if size is None else {"Inference-Header-Content-Length": str(size)}
    response = await client.post(f"/v2/models/{model}/infer", content=body, headers=headers)
    if response.status_code != 200:
        return f"{response.status_code} {response.text[:200]}"
    length = response.headers.get("inference-header-content-length")
    result = triton.InferenceServerClient.parse_response_body(
        response.content, header_length=None if length is None else int(length)
    )
    for name, expected in case.expected.items():
        actual = _text(result.as_numpy(name))
        if actual.shape != expected.shape or actual.dtype != expected.dtype:
            return f"{name} is {actual.dtype} {actual.shape}, not {expected.dtype} {expected.shape}"
        if case.agrees and not _same(actual, expected):
            return f"{name} has other values"
    return ""


def _text(array: Any) -> np.ndarray:
    """Convert bytes to strings, as ONNX Runtime uses them."""
    values = np.asarray(array)
    if values.dtype != object and values.dtype.kind not in "SU":
        return values
    texts = [value.decode() if isinstance(value, bytes) else str(value) for value in values.flat]
    return np.array(texts, object).reshape(values.shape)


def _same(one: Any, other: Any) -> bool:
    one, other = _text(one), _text(other)
    if one.dtype == object:
        return bool((one == other).all())
    if one.dtype.kind not in "fc":
        return np.array_equal(one, other)
    return np.allclose(one, other, rtol=1e-5, atol=1e-5, equal_nan=True)
