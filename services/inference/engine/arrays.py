"""Convert tensors of the inference protocol to and from the arrays that ONNX Runtime takes."""

import ctypes
import math

import numpy as np
from numpy.typing import NDArray

from contract.datatypes import DATATYPES, packed, unpacked
from contract.errors import Invalid
from contract.inference import Tensor
from services.inference.engine.onnx_runtime import ort

Array = NDArray[np.generic]

_BFLOAT16 = 16  # onnx.TensorProto.BFLOAT16; numpy has no bfloat16, so its elements are held as uint16
_DTYPES = {
    name: np.dtype(np.uint16 if name == "BF16" else datatype.numpy).newbyteorder("<")
    for name, datatype in DATATYPES.items()
}


def array_of(tensor: Tensor) -> Array:
    """Return a view of the tensor's data as an array; BYTES become an object array of str.

    Raises Invalid if the data does not match the shape, or the data type is unknown.
    """
    dtype = _DTYPES.get(tensor.datatype)
    if dtype is None:
        raise Invalid(f"the input {tensor.name!r} has no data type of the inference protocol")
    count = math.prod(tensor.shape)
    if dtype.hasobject:
        elements = unpacked(tensor.data)
        if len(elements) != count:
            raise Invalid(f"the input {tensor.name!r} has {len(elements)} elements; its shape has {count}")
        return _strings(tensor.name, elements).reshape(tensor.shape)
    if len(tensor.data) != count * dtype.itemsize:
        raise Invalid(f"the input {tensor.name!r} has {len(tensor.data)} bytes; its shape has {count * dtype.itemsize}")
    return np.ndarray(tensor.shape, dtype, tensor.data or b"\0")


def tensor_of(name: str, datatype: str, array: Array) -> Tensor:
    """Return an array, in the form that `array_of` returns, as a tensor."""
    data = packed(str(element).encode() for element in array.flat) if datatype == "BYTES" else array.tobytes()
    return Tensor(name, datatype, array.shape, data)


def session_input(datatype: str, array: Array) -> "Array | ort.OrtValue":
    """Return the value to pass to a session for an array."""
    if datatype == "BF16":
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(np.ascontiguousarray(array), _BFLOAT16)
    return array


def host_array(datatype: str, value: ort.OrtValue) -> Array:
    """Copy a session's output, an OrtValue on the CPU, into an array."""
    if datatype != "BF16":
        return np.asarray(value.numpy())
    raw = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return np.frombuffer(raw, np.uint16).reshape(value.shape())


def _strings(name: str, elements: list[bytes]) -> Array:
    try:
        texts = [element.decode() for element in elements]
    except UnicodeDecodeError as error:
        raise Invalid(f"the input {name!r} must be UTF-8 text; ONNX has no other strings") from error
    return np.array(texts, object)
