"""Check an ONNX file by running it on sample inputs."""

from itertools import product
from pathlib import Path

import numpy as np

from contract.errors import BadModel
from contract.inference import Outputs, Tensor, Tensors
from services.inference.engine.arrays import Array, array_of, tensor_of
from services.inference.engine.loader import ModelLoader
from services.inference.engine.providers import Placement, ProviderChoice
from services.inference.engine.tensors import TensorRunner
from services.inference.vetting.findings import Behaviour
from services.inference.vetting.samples import constant, is_free, random_values, sample

# A network for images of any size fails on images smaller than its kernels.
SIZES = (1, 2, 16, 32, 64, 224)


class Trial:
    """A model loaded as it would be for serving, on the CPU, and run on sample requests."""

    def __init__(self, file: Path, max_batch: int) -> None:
        """Load the file; raises BadModel if that fails, or if its inputs or outputs do not match its card."""
        model = ModelLoader(max_batch, threads=1, placement=Placement(ProviderChoice.CPU)).load(file)
        self.inputs, self.outputs = model.inputs, model.outputs
        self._runner = TensorRunner(model.session, False, max_batch)

    def behaviour(self) -> Behaviour:
        """Return how the model runs; raises BadModel if it fails on all sample inputs."""
        size = self._size()
        return Behaviour(inputs=self.inputs, outputs=self.outputs, batched=self._batched(size))

    def _size(self) -> int:
        """Return a length of the free axes with which the model runs on zeros or on ones."""
        has_free_axes = any(is_free(axis) for tensor in self.inputs for axis in tensor.shape[1:])
        for size, value in product(SIZES if has_free_axes else SIZES[:1], (0, 1)):
            if self._answer(sample(self.inputs, 1, size, constant(value))) is not None:
                return size
        lengths = f" with free axes of {', '.join(map(str, SIZES))}" if has_free_axes else ""
        raise BadModel(f"the model failed on inputs of zeros and of ones{lengths}; it may exceed the memory limit")

    def _batched(self, size: int) -> bool:
        """Return whether all first axes are free, outputs have a row per input row, and rows are independent."""
        if not self.inputs or not all(
            tensor.shape and is_free(tensor.shape[0]) for tensor in (*self.inputs, *self.outputs)
        ):
            return False
        pair = sample(self.inputs, 2, size, random_values(0))
        together = self._answer(pair)
        if together is None or any(len(array) != 2 for array in together):
            return False
        for row in range(2):
            alone = self._answer(_row(pair, row))
            if alone is None or any(len(array) != 1 for array in alone):
                return False
            if not all(
                _close(single[0], pair_output[row]) for single, pair_output in zip(alone, together, strict=True)
            ):
                return False
        return True

    def _answer(self, request: Tensors) -> list[Array] | None:
        """Return the outputs, or None if ONNX Runtime rejects the inputs."""
        (answer,) = self._runner.answer([request])
        return [_numbers(tensor) for tensor in answer.tensors] if isinstance(answer, Outputs) else None


def _row(request: Tensors, row: int) -> Tensors:
    cut = (tensor_of(tensor.name, tensor.datatype, array_of(tensor)[row : row + 1]) for tensor in request.inputs)
    return Tensors(tuple(cut))


def _numbers(tensor: Tensor) -> Array:
    array = array_of(tensor)
    return (array.astype(np.uint32) << 16).view(np.float32) if tensor.datatype == "BF16" else array


def _close(array: Array, reference: Array) -> bool:
    if array.shape != reference.shape:
        return False
    if not np.issubdtype(array.dtype, np.floating):
        return bool(np.array_equal(array, reference))
    # kernels differ in the last digits between batch sizes
    tolerance = 1e-2 if array.dtype == np.float16 else 1e-3
    return bool(np.allclose(array, reference, rtol=tolerance, atol=tolerance / 10, equal_nan=True))
