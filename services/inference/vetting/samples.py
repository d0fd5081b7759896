"""Make sample inputs for a model of any signature."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from contract.datatypes import DATATYPES, Datatype, datatype_of
from contract.errors import BadModel
from contract.inference import Tensors
from contract.training import TensorSignature
from services.inference.engine.arrays import Array, tensor_of

SAMPLE_ELEMENTS = 2**28

Fill = Callable[[Datatype, tuple[int, ...]], Array]

_ONE_AS_BFLOAT16 = 0x3F80


def is_free(axis: int | str) -> bool:
    """Return whether an axis of a signature may have any length."""
    return isinstance(axis, str) or axis < 0


def sample(inputs: Sequence[TensorSignature], rows: int, size: int, fill: Fill) -> Tensors:
    """Return sample inputs. Free axes have length `rows` if they are a first axis or have its name, otherwise `size`.

    Raises BadModel for inputs that are too large or have a type that the protocol cannot represent.
    """
    batch = {tensor.shape[0] for tensor in inputs if tensor.shape and isinstance(tensor.shape[0], str)}

    def length(index: int, axis: int | str) -> int:
        if isinstance(axis, int) and axis >= 0:
            return axis
        return rows if index == 0 or axis in batch else size

    tensors = []
    for tensor in inputs:
        datatype = datatype_of(tensor.dtype)
        if datatype is None:
            raise BadModel(f"the input {tensor.name!r} has a type that the inference protocol cannot represent")
        shape = tuple(length(index, axis) for index, axis in enumerate(tensor.shape))
        if math.prod(shape) > SAMPLE_ELEMENTS:
            raise BadModel(f"the input {tensor.name!r} has more than {SAMPLE_ELEMENTS} elements")
        tensors.append(tensor_of(tensor.name, datatype.name, fill(datatype, shape)))
    return Tensors(tuple(tensors))


def constant(value: int) -> Fill:
    """Fill numbers with `value`, 0 or 1, and strings with empty text."""

    def fill(datatype: Datatype, shape: tuple[int, ...]) -> Array:
        if datatype.name == "BYTES":
            return np.full(shape, "", object)
        if datatype.name == "BF16":
            return np.full(shape, _ONE_AS_BFLOAT16 * value, np.uint16)
        return np.full(shape, value, datatype.numpy)

    return fill


def random_values(seed: int) -> Fill:
    """Fill floats from the normal distribution, and every other type with 0 or 1."""
    generator = np.random.default_rng(seed)

    def fill(datatype: Datatype, shape: tuple[int, ...]) -> Array:
        if datatype.name in {"FP16", "FP32", "FP64"}:
            return generator.standard_normal(shape).astype(datatype.numpy)
        bits: Any = generator.integers(0, 2, shape)
        if datatype.name == "BYTES":
            return np.asarray(np.where(bits, "a", ""), object)
        if datatype.name == "BF16":
            return np.asarray(bits * _ONE_AS_BFLOAT16, np.uint16)
        return np.asarray(bits, DATATYPES[datatype.name].numpy)

    return fill
