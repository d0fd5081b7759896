"""The only place that judges an ONNX file by what it does."""

from itertools import product
from pathlib import Path

import numpy as np

from contract.errors import BadModel
from contract.inference import Outputs, Tensor, Tensors
from services.inference.engine.arrays import Array, array_of, tensor_of
from services.inference.engine.loader import Engine
from services.inference.engine.providers import Choice, Placement
from services.inference.engine.tensors import TensorRunner
from services.inference.vetting.findings import Behaviour
from services.inference.vetting.samples import filled, free, random, sample

# A network over pictures of any size runs on none that its windows do not fit into.
SIZES = (1, 2, 16, 32, 64, 224)


class Trial:
    """A model as it would serve, on the CPU, asked as a client would ask it."""

    def __init__(self, file: Path, max_batch: int) -> None:
        """Raises BadModel if it cannot be loaded, or has a card and takes or gives something else than that says."""
        model = Engine(max_batch, threads=1, placement=Placement(Choice.CPU)).load(file)
        self.inputs, self.outputs = model.inputs, model.outputs
        self._runner = TensorRunner(model.session, False, max_batch)

    def behaviour(self) -> Behaviour:
        """How the model runs; raises BadModel if it does on none of the inputs that can be made up for it."""
        size = self._size()
        return Behaviour(inputs=self.inputs, outputs=self.outputs, batched=self._batched(size))

    def _size(self) -> int:
        """A length of the free axes that the model runs with, on zeros or else on ones."""
        several = any(free(axis) for tensor in self.inputs for axis in tensor.shape[1:])
        for size, value in product(SIZES if several else SIZES[:1], (0, 1)):
            if self._answer(sample(self.inputs, 1, size, filled(value))) is not None:
                return size
        lengths = f" with free axes of {', '.join(map(str, SIZES))}" if several else ""
        raise BadModel(
            f"the model could not be run on zeros or ones{lengths}; it may need more memory than it can have"
        )

    def _batched(self, size: int) -> bool:
        """Whether all first axes are free, outputs follow inputs, and a row's answer is the same when it is alone."""
        if not self.inputs or not all(
            tensor.shape and free(tensor.shape[0]) for tensor in (*self.inputs, *self.outputs)
        ):
            return False
        pair = sample(self.inputs, 2, size, random(0))
        together = self._answer(pair)
        if together is None or any(len(array) != 2 for array in together):
            return False
        for row in range(2):
            alone = self._answer(_row(pair, row))
            if alone is None or any(len(array) != 1 for array in alone):
                return False
            if not all(_same(one[0], both[row]) for one, both in zip(alone, together, strict=True)):
                return False
        return True

    def _answer(self, asked: Tensors) -> list[Array] | None:
        """The outputs, or None where ONNX Runtime refuses the inputs."""
        (answer,) = self._runner.answer([asked])
        return [_numbers(tensor) for tensor in answer.tensors] if isinstance(answer, Outputs) else None


def _row(asked: Tensors, row: int) -> Tensors:
    cut = (tensor_of(tensor.name, tensor.datatype, array_of(tensor)[row : row + 1]) for tensor in asked.inputs)
    return Tensors(tuple(cut))


def _numbers(tensor: Tensor) -> Array:
    array = array_of(tensor)
    return (array.astype(np.uint32) << 16).view(np.float32) if tensor.datatype == "BF16" else array


def _same(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    if not np.issubdtype(one.dtype, np.floating):
        return bool(np.array_equal(one, other))
    # kernels differ in the last digits between batches
    tolerance = 1e-2 if one.dtype == np.float16 else 1e-3
    return bool(np.allclose(one, other, rtol=tolerance, atol=tolerance / 10, equal_nan=True))
