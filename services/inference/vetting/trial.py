"""Check an ONNX file by running it on sample inputs."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from contract.errors import BadModel, DeadlineExceeded
from contract.inference import Failure, Outputs, Tensor, Tensors
from contract.models import ModelWarning
from services.inference.engine.arrays import Array, array_of, tensor_of
from services.inference.engine.fit import is_free
from services.inference.engine.model import LoadedModel
from services.inference.engine.onnx_runtime import ORT_ERRORS, ort
from services.inference.engine.session import Session
from services.inference.engine.tensors import TensorRunner
from services.inference.vetting.classifier import close
from services.inference.vetting.findings import Behaviour
from services.inference.vetting.samples import constant, random_values, sample, samples_for

# A network for images of any size fails on images smaller than its kernels.
SIZES = (1, 2, 16, 32, 64, 224)

NOT_TRIED = ModelWarning(
    code="not_tried",
    message="the model loads, but was not tried: it fails on inputs of zeros and of ones",
    advice='upload it with one set of inputs as "samples" in the metadata, or as an .npz file in the part `samples`',
)
_NO_MEMORY = ("allocate memory", "bad_alloc", "bad allocation", "out of memory")  # in ONNX Runtime's errors


class WatchedSession:
    """A session that remembers whether a run failed for lack of memory."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.lacked_memory = False
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs
        self.get_providers = session.get_providers

    def run(self, names: Sequence[str] | None, feed: Mapping[str, Any]) -> Sequence[Any]:
        try:
            return self._session.run(names, feed)
        except ORT_ERRORS as error:
            self._note(error)
            raise

    def run_with_ort_values(self, names: Sequence[str], feed: Mapping[str, ort.OrtValue]) -> Sequence[ort.OrtValue]:
        try:
            return self._session.run_with_ort_values(names, feed)
        except ORT_ERRORS as error:
            self._note(error)
            raise

    def _note(self, error: Exception) -> None:
        text = str(error).lower()
        self.lacked_memory |= any(sign in text for sign in _NO_MEMORY)


class Trial:
    """A model run on sample requests: those uploaded with it, or inputs of zeros and ones."""

    def __init__(self, model: LoadedModel, max_batch: int, samples: Mapping[str, Any] | None = None) -> None:
        """`model` is loaded as it would be for serving, on the CPU; raises BadModel if the samples do not fit it."""
        self.inputs, self.outputs = model.inputs, model.outputs
        self._session = WatchedSession(model.session)
        self._runner = TensorRunner(self._session, False, max_batch)
        self._samples = None if samples is None else samples_for(self.inputs, samples)

    def behaviour(self) -> Behaviour:
        """Return how the model runs; raises BadModel if it fails on its samples, or needs too much memory."""
        if self._samples is not None:
            if self._answer(self._samples) is None:
                raise BadModel(f"the model failed on its samples{self._hint}")
            batched = self._has_free_rows and self._batched(_pair(self._samples))
        else:
            size = self._size()
            if size is None:
                return Behaviour(inputs=self.inputs, outputs=self.outputs, batched=False, warnings=(NOT_TRIED,))
            batched = self._has_free_rows and self._batched(sample(self.inputs, 2, size, random_values(0)))
        return Behaviour(inputs=self.inputs, outputs=self.outputs, batched=batched)

    @property
    def _has_free_rows(self) -> bool:
        """Return whether the first axes of all inputs and outputs are free."""
        tensors = (*self.inputs, *self.outputs)
        return bool(self.inputs) and all(tensor.shape and is_free(tensor.shape[0]) for tensor in tensors)

    @property
    def _hint(self) -> str:
        return "; it needs more memory than the limit" if self._session.lacked_memory else ""

    def _size(self) -> int | None:
        """Return a length of the free axes with which the model runs on zeros or on ones, or None if it does not."""
        has_free_axes = any(is_free(axis) for tensor in self.inputs for axis in tensor.shape[1:])
        for size, value in product(SIZES if has_free_axes else SIZES[:1], (0, 1)):
            if self._answer(sample(self.inputs, 1, size, constant(value))) is not None:
                return size
        if self._session.lacked_memory:
            raise BadModel(f"the model failed on inputs of zeros and of ones{self._hint}")
        return None

    def _batched(self, pair: Tensors) -> bool:
        """Return whether outputs have a row for each of two input rows, and rows are independent."""
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
        """Return the outputs, or None if ONNX Runtime rejects the inputs; raises BadModel if it takes too long."""
        (answer,) = self._runner.answer([request])
        if isinstance(answer, Failure) and answer.code == DeadlineExceeded.code:
            raise BadModel(answer.message)
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
    return close(array, reference, half=array.dtype == np.float16)


def _pair(request: Tensors) -> Tensors:
    """Return a request of two rows: the first row of `request`, and the same with other floats."""
    return Tensors(tuple(_twice(tensor) for tensor in request.inputs))


def _twice(tensor: Tensor) -> Tensor:
    row: Any = array_of(tensor)[:1]
    other = row * 1.1 + 0.1 if np.issubdtype(row.dtype, np.floating) else row
    return tensor_of(tensor.name, tensor.datatype, np.concatenate([row, other.astype(row.dtype)]))
