"""The protocol's data types and the raw form of BYTES."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.datatypes import DATATYPES, datatype_of, packed, unpacked
from contract.errors import Invalid


@given(st.lists(st.binary(max_size=20)))
def test_bytes_there_and_back(elements: list[bytes]) -> None:
    assert unpacked(packed(elements)) == elements


@pytest.mark.parametrize("data", [b"\1", b"\1\0\0\0", b"\2\0\0\0a", b"\0\0\0\0\xff\xff\xff\xff"])
def test_bytes_whose_lengths_do_not_add_up(data: bytes) -> None:
    with pytest.raises(Invalid):
        unpacked(data)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [("float32", "FP32"), ("float", "FP32"), ("double", "FP64"), ("bool", "BOOL"), ("string", "BYTES")],
)
def test_what_others_call_a_type(dtype: str, name: str) -> None:
    assert datatype_of(dtype) == DATATYPES[name]


def test_a_type_that_the_protocol_does_not_have() -> None:
    assert datatype_of("complex64") is None
