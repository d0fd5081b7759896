"""Make sample inputs for a model of any signature, or read those that were uploaded with it."""

import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.datatypes import DATATYPES, Datatype, datatype_of
from contract.errors import BadModel
from contract.inference import Tensor, Tensors
from contract.training import TensorSignature
from services.inference.engine.arrays import Array, tensor_of
from services.inference.engine.fit import is_free

SAMPLE_ELEMENTS = 2**28

Fill = Callable[[Datatype, tuple[int, ...]], Array]

_ONE_AS_BFLOAT16 = 0x3F80


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
        datatype = _datatype(tensor)
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


def trial_images(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return different images, uint8 (6, channels, height, width): black, white, a gradient, and noise."""
    generator = np.random.default_rng(0)
    gradient = np.broadcast_to(np.linspace(0, 255, shape[2]), shape)
    noise = generator.integers(0, 256, (2, *shape))
    faint = generator.integers(96, 160, shape)
    return np.stack([np.zeros(shape), np.full(shape, 255), gradient, faint, *noise]).astype(np.uint8)


def read_npz(file: Path) -> dict[str, Array]:
    """Return the arrays of an .npz file by name; raises BadModel if it is not one, or holds Python objects."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, OSError, EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile):
        raise BadModel("the samples are not an .npz file of arrays, as numpy.savez writes it") from None


def samples_for(inputs: Sequence[TensorSignature], samples: Mapping[str, Any]) -> Tensors:
    """Return samples, as arrays or nested lists by name, as the model's inputs; raises BadModel if they do not fit."""
    names = [tensor.name for tensor in inputs]
    if set(names) != set(samples):
        raise BadModel(
            f"the samples have the names {', '.join(map(repr, samples))}; the graph's inputs are "
            f"{', '.join(map(repr, names)) or 'none'}"
        )
    return Tensors(tuple(_sample_tensor(tensor, samples[tensor.name]) for tensor in inputs))


def _sample_tensor(tensor: TensorSignature, value: Any) -> Tensor:
    datatype = _datatype(tensor)
    try:
        array = np.asarray(value)
        converted = _converted(array, datatype)
    except (ValueError, OverflowError):  # lists of different lengths; integers of more than 64 bits
        raise BadModel(f"the sample of {tensor.name!r} is not an array of {tensor.dtype}") from None
    expected = tensor.shape
    if len(expected) != array.ndim or not all(
        is_free(axis) or axis == length for axis, length in zip(expected, array.shape, strict=True)
    ):
        raise BadModel(
            f"the sample of {tensor.name!r} has the shape {list(array.shape)}; the graph takes {list(expected)}"
        )
    return tensor_of(tensor.name, datatype.name, converted)


def _converted(array: Array, datatype: Datatype) -> Array:
    """Return an array with a model's data type; raises ValueError if that would change its values."""
    if datatype.name == "BYTES":
        if array.dtype.kind not in "UO":
            raise ValueError
        return array.astype(object)
    if datatype.name == "BF16":
        return np.asarray(np.ascontiguousarray(array, np.float32).view(np.uint32) >> 16, np.uint16).reshape(array.shape)
    target = np.dtype(datatype.numpy)
    if not array.size:  # an empty list has no type
        return np.empty(array.shape, target)
    if array.dtype.kind in "iu" and target.kind in "iu":
        if array.size and not (np.iinfo(target).min <= array.min() and array.max() <= np.iinfo(target).max):
            raise ValueError
    elif array.dtype.kind not in "biuf" or not np.can_cast(array.dtype, target, "same_kind"):
        raise ValueError
    return np.ascontiguousarray(array, target).reshape(array.shape)


def _datatype(tensor: TensorSignature) -> Datatype:
    datatype = datatype_of(tensor.dtype)
    if datatype is None:
        raise BadModel(f"the input {tensor.name!r} has a type that the inference protocol cannot represent")
    return datatype
