"""A loaded ONNX model: normalize images, run them in batches, warm up."""

import threading

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadModel, Invalid, Unavailable
from contract.models import ModelCard
from contract.training import TensorSignature
from services.inference.engine.batch_size import batch_sizes, best_batch, time_batches
from services.inference.engine.normalization import Normalization
from services.inference.engine.onnx_runtime import ORT_ERRORS, ort
from services.inference.engine.providers import on_gpu
from services.inference.engine.session import Session

INPUT_BYTES = 64 * 2**20  # limit of one float32 input; large images run in smaller batches


class LoadedModel:
    """An ONNX session with, for an image classifier, its card and input buffer; thread-safe."""

    def __init__(self, session: Session, card: ModelCard | None, max_batch: int) -> None:
        """Prepare to run the session; `card` makes it an image classifier.

        Raises BadModel for a classifier that does not have exactly one input (images) and one output (logits).
        """
        self.inputs = tuple(map(_signature, session.get_inputs()))
        self.outputs = tuple(map(_signature, session.get_outputs()))
        self.max_batch = max_batch
        self.session = session
        self._card = card
        self._buffer = np.empty((0,), np.float32)
        self._lock = threading.Lock()
        if card is None:
            return
        if len(self.inputs) != 1 or len(self.outputs) != 1:
            raise BadModel("the graph must have one input, the images, and one output, the logits")
        self._normalization = Normalization.of(card.preprocessing)
        shape = card.preprocessing.image.shape
        image_bytes = int(np.prod(shape)) * np.dtype(np.float32).itemsize
        self.max_batch = max(1, min(max_batch, INPUT_BYTES // image_bytes))
        self._buffer = np.empty((self.max_batch, *shape), np.float32)

    @property
    def card(self) -> ModelCard:
        """The labels and preprocessing; raises BadModel for a model without a card."""
        if self._card is None:
            raise BadModel("the model has no labels and preprocessing for images; send tensors through /v2 instead")
        return self._card

    @property
    def provider(self) -> str:
        """The execution provider that the session actually uses."""
        return str(self.session.get_providers()[0])

    @property
    def batch(self) -> int:
        """The largest number of images in one run of the graph."""
        return self.max_batch

    @property
    def buffer_bytes(self) -> int:
        return self._buffer.nbytes

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return logits float32 (n, classes) for images uint8 (n, channels, height, width), any n.

        Raises Invalid for images of another type or shape, Unavailable if ONNX Runtime fails.
        """
        shape = self.card.preprocessing.image.shape
        if images.dtype != np.uint8 or images.shape[1:] != shape:
            raise Invalid(f"the model takes images as uint8 (n, {', '.join(map(str, shape))})")
        logits = np.empty((len(images), len(self.card.labels)), np.float32)
        with self._lock:
            for start in range(0, len(images), len(self._buffer)):
                batch = images[start : start + len(self._buffer)]
                self._normalization.apply(batch, self._buffer[: len(batch)])
                logits[start : start + len(batch)] = self._run_buffer(self._warm_size(len(batch)))[: len(batch)]
        return logits

    def warm_up(self) -> None:
        """Run black images in a batch of one and in the largest batch; on a GPU, also choose `max_batch`.

        A GPU runs every batch size that it will be given (`batch_sizes`), and `max_batch` becomes the smallest size
        with at least 95 % of the best throughput. A CPU is as fast with small batches, and larger ones only share the
        dispatch, so there `max_batch` stays. Raises BadModel if the graph cannot run, Unavailable if it fails later.
        """
        if self._card is None:
            return
        self._buffer[:] = 0
        # The extremes first: TensorRT rebuilds its engine for each size outside the range that it has seen.
        for size in (1, self.max_batch):
            self._check(size)
        if on_gpu(self.provider):
            self.max_batch = best_batch(time_batches(self._run_buffer, batch_sizes(self.max_batch)))
            self._buffer = self._buffer[: self.max_batch].copy()

    def _check(self, size: int) -> None:
        try:
            logits = self._run_buffer(size)
        except Unavailable:
            raise BadModel(f"the graph cannot run on a batch of {size}") from None
        if logits.shape != (size, len(self.card.labels)):
            raise BadModel(f"the graph must give one logit for each of the {len(self.card.labels)} labels")

    def _warm_size(self, count: int) -> int:
        """Return the batch size for `count` images: on a GPU one that is warm, so that no request waits for tuning."""
        if not on_gpu(self.provider):
            return count
        return next(size for size in batch_sizes(self.max_batch) if size >= count)

    def _run_buffer(self, size: int) -> NDArray[np.float32]:
        try:
            (logits,) = self.session.run(None, {self.inputs[0].name: self._buffer[:size]})
        except ORT_ERRORS as error:
            raise Unavailable("the model could not be run") from error
        return np.asarray(logits)


def _signature(node: ort.NodeArg) -> TensorSignature:
    dtype = node.type.removeprefix("tensor(").removesuffix(")")
    return TensorSignature(
        name=node.name,
        dtype={"float": "float32", "double": "float64"}.get(dtype, dtype),
        shape=tuple(-1 if axis is None else axis for axis in node.shape),
    )
