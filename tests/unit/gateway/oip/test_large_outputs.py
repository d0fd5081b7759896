"""Outputs that would block the event loop for long are refused, or sent raw."""

import numpy as np
import pytest

from contract.errors import TooLarge
from contract.inference import Tensor
from services.gateway.oip.classification import classified
from services.gateway.oip.grpc_codec import encode
from services.gateway.oip.json_codec import MAX_JSON
from services.gateway.oip.proto.inference_pb2 import ModelInferRequest
from services.gateway.serving.dataplane import Inferred


def inferred(count: int) -> Inferred:
    """The answer of a model with one output of this many float32."""
    return Inferred("model", 1, (Tensor("y", "FP32", (1, count), np.zeros(count, np.float32).tobytes()),))


@pytest.mark.parametrize(("count", "fits"), [(MAX_JSON // 4, True), (MAX_JSON // 4 + 1, False)])
def test_a_large_output_has_no_classification(count: int, fits: bool) -> None:
    answer = inferred(count)
    if fits:
        assert classified(answer.tensors[0], 2, answer).shape == (1, 2)
        return
    with pytest.raises(TooLarge):
        classified(answer.tensors[0], 2, answer)


@pytest.mark.parametrize(("count", "typed"), [(MAX_JSON // 4, True), (MAX_JSON // 4 + 1, False)])
def test_a_large_output_is_raw_in_grpc(count: int, typed: bool) -> None:
    request = ModelInferRequest(model_name="model")
    request.inputs.add(name="x", datatype="FP32", shape=[1]).contents.fp32_contents.append(1.0)

    response = encode(inferred(count), request)

    assert bool(response.raw_output_contents) is not typed
    assert len(response.outputs[0].contents.fp32_contents) == (count if typed else 0)
