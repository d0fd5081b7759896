"""The only place that makes up inputs for a model of any signature."""

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

Make = Callable[[Datatype, tuple[int, ...]], Array]

_ONE_AS_BFLOAT16 = 0x3F80


def free(axis: int | str) -> bool:
    """Whether an axis of a signature may have any length."""
    return isinstance(axis, str) or axis < 0


def sample(inputs: Sequence[TensorSignature], rows: int, size: int, make: Make) -> Tensors:
    """Inputs whose free axes have the length `rows` where they come first or are named so, and `size` elsewhere.

    Raises BadModel for inputs that are too large or of a type that the protocol has no name for.
    """
    batch = {tensor.shape[0] for tensor in inputs if tensor.shape and isinstance(tensor.shape[0], str)}

    def length(place: int, axis: int | str) -> int:
        if isinstance(axis, int) and axis >= 0:
            return axis
        return rows if place == 0 or axis in batch else size

    made = []
    for tensor in inputs:
        datatype = datatype_of(tensor.dtype)
        if datatype is None:
            raise BadModel(f"the input {tensor.name!r} is of a type that the inference protocol cannot carry")
        shape = tuple(length(place, axis) for place, axis in enumerate(tensor.shape))
        if math.prod(shape) > SAMPLE_ELEMENTS:
            raise BadModel(f"the input {tensor.name!r} has more than {SAMPLE_ELEMENTS} elements")
        made.append(tensor_of(tensor.name, datatype.name, make(datatype, shape)))
    return Tensors(tuple(made))


def filled(value: int) -> Make:
    """Every element 0 or 1; texts are empty."""

    def make(datatype: Datatype, shape: tuple[int, ...]) -> Array:
        if datatype.name == "BYTES":
            return np.full(shape, "", object)
        if datatype.name == "BF16":
            return np.full(shape, _ONE_AS_BFLOAT16 * value, np.uint16)
        return np.full(shape, value, datatype.numpy)

    return make


def random(seed: int) -> Make:
    """Floating-point numbers of the normal distribution, 0 or 1 of every other type."""
    generator = np.random.default_rng(seed)

    def make(datatype: Datatype, shape: tuple[int, ...]) -> Array:
        if datatype.name in {"FP16", "FP32", "FP64"}:
            return generator.standard_normal(shape).astype(datatype.numpy)
        bits: Any = generator.integers(0, 2, shape)
        if datatype.name == "BYTES":
            return np.asarray(np.where(bits, "a", ""), object)
        if datatype.name == "BF16":
            return np.asarray(bits * _ONE_AS_BFLOAT16, np.uint16)
        return np.asarray(bits, DATATYPES[datatype.name].numpy)

    return make
