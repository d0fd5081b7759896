"""The only place that feeds a loaded ONNX graph."""

import threading

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadModel, Invalid, Unavailable
from contract.models import ModelCard
from contract.training import TensorSignature
from services.inference.engine.batch_size import best_batch, doublings, timed
from services.inference.engine.errors import ORT_ERRORS
from services.inference.engine.normalization import Normalization
from services.inference.engine.onnx_runtime import ort
from services.inference.engine.providers import on_gpu
from services.inference.engine.session import Session

INPUT_BYTES = 64 * 2**20  # one float32 input is at most this large, so big pictures go in smaller batches


class LoadedModel:
    """An ONNX session, with the card and the input buffer of an image classifier; safe to share between threads."""

    def __init__(self, session: Session, card: ModelCard | None, max_batch: int) -> None:
        """Raises BadModel where there is a card, unless the graph takes one picture tensor and gives one of logits."""
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
            raise BadModel("the graph must have one input, the pictures, and one output, the logits")
        self._normalization = Normalization.of(card.preprocessing)
        shape = card.preprocessing.image.shape
        picture_bytes = int(np.prod(shape)) * np.dtype(np.float32).itemsize
        self.max_batch = max(1, min(max_batch, INPUT_BYTES // picture_bytes))
        self._buffer = np.empty((self.max_batch, *shape), np.float32)

    @property
    def card(self) -> ModelCard:
        """How to feed pictures; raises BadModel for a model that came without."""
        if self._card is None:
            raise BadModel("the model does not say how to feed it pictures; ask it through /v2, with tensors")
        return self._card

    @property
    def provider(self) -> str:
        """The execution provider that the session truly uses."""
        return str(self.session.get_providers()[0])

    @property
    def batch(self) -> int:
        """How many pictures the graph is run on at once, at most."""
        return self.max_batch

    @property
    def buffer_bytes(self) -> int:
        return self._buffer.nbytes

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits float32 (n, classes) of pictures uint8 (n, channels, height, width), any n.

        Raises Invalid for pictures that the model does not take, Unavailable if ONNX Runtime fails.
        """
        shape = self.card.preprocessing.image.shape
        if images.dtype != np.uint8 or images.shape[1:] != shape:
            raise Invalid(f"the model takes pictures as uint8 (n, {', '.join(map(str, shape))})")
        logits = np.empty((len(images), len(self.card.labels)), np.float32)
        with self._lock:
            for start in range(0, len(images), len(self._buffer)):
                batch = images[start : start + len(self._buffer)]
                self._normalization.apply(batch, self._buffer[: len(batch)])
                logits[start : start + len(batch)] = self._run_buffer(self._warm(len(batch)))[: len(batch)]
        return logits

    def warm_up(self) -> None:
        """Run a batch of one and the largest batch of black pictures; on a GPU find the batch that is worth it.

        A GPU runs every size of batch that it will be given (`sweep.doublings`), and `max_batch` becomes the smallest
        that is about as fast as any. A CPU is as fast at small batches, so there larger ones only share the dispatch
        and `max_batch` stays. Raises BadModel if the graph cannot, Unavailable if it can no more.
        """
        if self._card is None:
            return
        self._buffer[:] = 0
        # The extremes first: TensorRT builds its engine anew for each size outside those that it has seen.
        for size in (1, self.max_batch):
            self._check(size)
        if on_gpu(self.provider):
            self.max_batch = best_batch(timed(self._run_buffer, doublings(self.max_batch)))
            self._buffer = self._buffer[: self.max_batch].copy()

    def _check(self, size: int) -> None:
        try:
            logits = self._run_buffer(size)
        except Unavailable:
            raise BadModel(f"the graph cannot run on a batch of {size}") from None
        if logits.shape != (size, len(self.card.labels)):
            raise BadModel(f"the graph must give one logit for each of the {len(self.card.labels)} labels")

    def _warm(self, count: int) -> int:
        """The size of batch to run `count` pictures in: a GPU does not choose its algorithms while someone waits."""
        if not on_gpu(self.provider):
            return count
        return next(size for size in doublings(self.max_batch) if size >= count)

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
