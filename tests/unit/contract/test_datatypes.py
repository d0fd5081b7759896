"""The protocol's data types and the raw form of BYTES."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.datatypes import DATATYPES, datatype_of, packed, unpacked
from contract.errors import Invalid


@given(st.lists(st.binary(max_size=20)))
def test_packed_bytes_unpack_to_the_same_elements(elements: list[bytes]) -> None:
    assert unpacked(packed(elements)) == elements


@pytest.mark.parametrize("data", [b"\1", b"\1\0\0\0", b"\2\0\0\0a", b"\0\0\0\0\xff\xff\xff\xff"])
def test_raw_bytes_with_wrong_lengths_are_rejected(data: bytes) -> None:
    with pytest.raises(Invalid):
        unpacked(data)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [("float32", "FP32"), ("float", "FP32"), ("double", "FP64"), ("bool", "BOOL"), ("string", "BYTES")],
)
def test_numpy_and_onnx_runtime_names_map_to_the_protocol(dtype: str, name: str) -> None:
    assert datatype_of(dtype) == DATATYPES[name]


def test_a_type_outside_the_protocol_is_none() -> None:
    assert datatype_of("complex64") is None
