"""gRPC messages that would take much more memory than their size are not parsed."""

import random

import numpy as np
import pytest

from contract.errors import Malformed, TidepoolError, TooLarge
from services.gateway.oip.proto.inference_pb2 import InferParameter, ModelInferRequest
from services.gateway.oip.wire import MAX_FIELDS, MAX_PARSED, SMALL, bounded

parse = bounded(ModelInferRequest.FromString)


def request(**fields: object) -> ModelInferRequest:
    message = ModelInferRequest(model_name="echo", **fields)
    message.inputs.add(name="x", datatype="FP32", shape=[1 << 20, 2])
    return message


def test_a_large_raw_tensor_is_parsed() -> None:
    message = request()
    message.raw_input_contents.append(bytes(8 << 20))
    message.parameters["priority"].CopyFrom(InferParameter(int64_param=1))

    assert parse(message.SerializeToString()) == message


def test_typed_contents_are_parsed_up_to_a_limit() -> None:
    message = request()
    message.inputs[0].contents.fp32_contents.extend(np.zeros(MAX_PARSED // 4 - 1000, np.float32))
    assert parse(message.SerializeToString()) == message

    message.inputs[0].contents.fp32_contents.extend(np.zeros(2000, np.float32))
    assert isinstance(parse(message.SerializeToString()), TooLarge)


@pytest.mark.parametrize("field", [b"\x2a\x00", b"\x32\x00", b"\x3a\x00"], ids=["inputs", "outputs", "raw contents"])
def test_many_empty_fields_are_refused(field: bytes) -> None:
    assert isinstance(parse(field * SMALL), TooLarge)
    assert len(field) * (MAX_FIELDS + 1) < SMALL  # fewer are cheap


@pytest.mark.parametrize(
    "data", [b"\xff", b"\x0a\x05abc", b"\x2f", b"\xff" * 20, b"\x3a\xff\xff\xff\xff\x7f" + bytes(100)]
)
def test_what_is_no_message_is_an_error(data: bytes) -> None:
    for padding in (b"", b"\x3a\x80\x80\x40" + bytes(1 << 20)):  # a raw tensor, so that the message is looked at
        assert isinstance(parse(padding + data), Malformed)


def test_junk_is_a_message_or_an_error() -> None:
    rng = random.Random(1)
    for size in [*range(200), SMALL + 1, SMALL * 2]:
        assert isinstance(parse(rng.randbytes(size)), TidepoolError | ModelInferRequest)
