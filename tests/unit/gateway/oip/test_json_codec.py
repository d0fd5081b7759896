"""Tensors with JSON elements."""

import math
import time

import ml_dtypes
import msgspec
import numpy as np
import pytest

from contract.datatypes import DATATYPES, packed
from contract.errors import Invalid, Malformed
from contract.inference import Tensor
from services.gateway.oip.json_codec import packed_json, plain_json
from services.gateway.oip.messages import quoted_non_finite
from tests.unit.gateway.oip.values import VALUES


def raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


@pytest.mark.parametrize("datatype", [name for name in DATATYPES if name != "BYTES"])
def test_every_type_survives_the_round_trip(datatype: str) -> None:
    data = VALUES[datatype].tobytes()

    result = plain_json(Tensor("x", datatype, (2, 2), data))

    assert result == VALUES[datatype].flatten().tolist()
    assert packed_json("x", datatype, msgspec.Raw(msgspec.json.encode(result))) == data


@pytest.mark.parametrize("value", [1.00390625, 1.01171875, 3.14159, -1e-40, 65504.0])
def test_bfloat16_is_rounded_to_the_nearest_even(value: float) -> None:
    assert packed_json("x", "BF16", raw(f"[{value!r}]")) == np.array([value], ml_dtypes.bfloat16).tobytes()


@pytest.mark.parametrize("text", ["[1,2,3,4]", "[[1,2],[3,4]]", "[[[1],[2]],[[3],[4]]]", "[[1,2,3,4]]"])
def test_data_may_be_nested_or_flat(text: str) -> None:
    assert packed_json("x", "INT16", raw(text)) == np.array([1, 2, 3, 4], "<i2").tobytes()


@pytest.mark.parametrize(
    ("datatype", "text"),
    [
        ("INT8", "[128]"),
        ("UINT8", "[-1]"),
        ("INT32", "[1.5]"),
        ("INT32", "[true]"),
        ("INT32", "[null]"),
        ("BOOL", "[1]"),
        ("FP16", "[1e6]"),
        ("FP32", '["1"]'),
        ("BYTES", "[1]"),
        ("FP32", "[[1],2]"),
        ("FP32", "{}"),
    ],
)
def test_values_that_the_type_cannot_hold_are_refused(datatype: str, text: str) -> None:
    with pytest.raises(Invalid, match="the data of 'x' must be an array of values that"):
        packed_json("x", datatype, raw(text))


def test_data_that_is_not_json_is_refused() -> None:
    with pytest.raises(Malformed):
        packed_json("x", "FP32", raw("[1"))


@pytest.mark.parametrize("datatype", ["FP16", "BF16", "FP32", "FP64"])
def test_nan_and_infinity_survive_the_round_trip(datatype: str) -> None:
    text = b'["NaN", "Infinity", "-Infinity", "Inf", "-Inf", 1.5]'

    values = plain_json(Tensor("y", datatype, (6,), packed_json("x", datatype, msgspec.Raw(text))))

    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf, math.inf, -math.inf, 1.5]


@pytest.mark.parametrize("datatype", ["INT8", "UINT64", "BOOL"])
def test_integers_have_no_nan(datatype: str) -> None:
    with pytest.raises(Invalid):
        packed_json("x", datatype, msgspec.Raw(b'["NaN"]'))


def test_nan_and_infinity_are_quoted_outside_of_strings() -> None:
    text = rb'{"NaN": [NaN, -Infinity, "Inf \" NaN", Inf, "\\"], "x": Infinity}'

    quoted = rb'{"NaN": ["NaN", "-Infinity", "Inf \" NaN", "Inf", "\\"], "x": "Infinity"}'
    assert quoted_non_finite(text) == quoted
    assert quoted_non_finite(b"[NaNs, xInf]") == b"[NaNs, xInf]"


@pytest.mark.parametrize("text", [b'"' + rb"\"" * 200_000, b'"' + rb"\"" * 200_000 + b"\\", b'"' * 400_001])
def test_quoting_takes_linear_time(text: bytes) -> None:
    since = time.process_time()

    assert quoted_non_finite(b"[NaN, " + text).startswith(b'["NaN", ')

    assert time.process_time() - since < 2


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(Invalid, match="request binary data"):
        plain_json(Tensor("y", "BYTES", (1,), packed([b"\xff"])))
