"""Checks tensors against the inputs of a model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from contract.datatypes import DATATYPES, Datatype, datatype_of, unpacked
from contract.errors import BadModel, Invalid
from contract.inference import Tensor
from contract.training import TensorSignature


@dataclass(frozen=True, slots=True)
class ServedTensor:
    """A model's input or output; a dynamic axis of the shape is -1."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]

    @classmethod
    def of(cls, tensor: TensorSignature) -> "ServedTensor":
        """Build from the manifest; raises BadModel for a type that the protocol has no name for."""
        datatype = datatype_of(tensor.dtype)
        if datatype is None:
            raise BadModel(f"{tensor.name!r} is of the type {tensor.dtype}, which the inference protocol cannot carry")
        return cls(tensor.name, datatype, tuple(axis if isinstance(axis, int) else -1 for axis in tensor.shape))

    def check(self, tensor: Tensor) -> None:
        """Raise Invalid, with what to change, if a tensor's type, shape or amount of data does not match."""
        if tensor.datatype != self.datatype.name:
            hint = (
                self.datatype.name if tensor.datatype in DATATYPES else f"{self.datatype.name}, a type of the protocol"
            )
            raise Invalid(f"the input {self.name!r} is {tensor.datatype[:20]!r}; send it as {hint}")
        shape = tensor.shape
        if shape != self.shape and (
            len(shape) != len(self.shape)
            or any(expected not in (-1, axis) for expected, axis in zip(self.shape, shape, strict=True))
        ):
            raise Invalid(
                f"the input {self.name!r} has the shape {written(shape)}; the model takes {written(self.shape)}"
            )
        count = math.prod(shape)
        if self.datatype.size:
            if len(tensor.data) != count * self.datatype.size:
                raise Invalid(
                    f"the input {self.name!r} has {len(tensor.data)} bytes of data; "
                    f"{self.datatype.name} {written(shape)} has {count * self.datatype.size}"
                )
        elif (elements := len(unpacked(tensor.data))) != count:
            raise Invalid(f"the input {self.name!r} has {elements} elements; the shape {written(shape)} has {count}")


def written(shape: Sequence[int]) -> str:
    """Format a shape for a message; only its first 16 axes."""
    return f"[{', '.join(map(str, shape[:16]))}{', …' if len(shape) > 16 else ''}]"
