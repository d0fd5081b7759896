"""The data types of the Open Inference Protocol: their numpy and ONNX Runtime names, and their raw layout."""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from contract.errors import Invalid


class Datatype(NamedTuple):
    """A data type with its names in the protocol and in numpy.

    An element has `size` bytes, 0 if the size varies; `code` is its struct format character, if there is one.
    """

    name: str
    numpy: str
    size: int
    code: str = ""


DATATYPES = {
    datatype.name: datatype
    for datatype in (
        Datatype("BOOL", "bool", 1, "?"),
        Datatype("UINT8", "uint8", 1, "B"),
        Datatype("UINT16", "uint16", 2, "H"),
        Datatype("UINT32", "uint32", 4, "I"),
        Datatype("UINT64", "uint64", 8, "Q"),
        Datatype("INT8", "int8", 1, "b"),
        Datatype("INT16", "int16", 2, "h"),
        Datatype("INT32", "int32", 4, "i"),
        Datatype("INT64", "int64", 8, "q"),
        Datatype("FP16", "float16", 2, "e"),
        Datatype("BF16", "bfloat16", 2),
        Datatype("FP32", "float32", 4, "f"),
        Datatype("FP64", "float64", 8, "d"),
        Datatype("BYTES", "object", 0),
    )
}

# TensorSignature uses numpy's names, ONNX Runtime uses the others
_NAMED = {datatype.numpy: datatype for datatype in DATATYPES.values()} | {
    "float": DATATYPES["FP32"],
    "double": DATATYPES["FP64"],
    "string": DATATYPES["BYTES"],
}

_LENGTH = struct.Struct("<I")


def datatype_of(dtype: str) -> Datatype | None:
    """The protocol's type for a `TensorSignature.dtype` or the element type in ONNX Runtime's `tensor(...)`."""
    return _NAMED.get(dtype)


def packed(elements: Iterable[bytes]) -> bytes:
    """BYTES elements as raw data."""
    return b"".join(part for element in elements for part in (_LENGTH.pack(len(element)), element))


def unpacked(data: bytes) -> list[bytes]:
    """Split raw data into BYTES elements; raises Invalid if their lengths do not add up to its size."""
    elements, at = [], 0
    while at < len(data):
        start = at + _LENGTH.size
        if start > len(data):
            break
        at = start + _LENGTH.unpack_from(data, start - _LENGTH.size)[0]
        elements.append(data[start:at])
    if at != len(data):
        raise Invalid("raw BYTES need the length of each element before it, as a little-endian 32-bit number")
    return elements
