"""A loaded ONNX model: normalize images, run them in batches, warm up."""

import threading
import time

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadModel, Invalid, Unavailable
from contract.models import ModelCard
from contract.training import TensorSignature
from services.inference.engine.batch_size import batch_sizes, best_batch, time_batches
from services.inference.engine.fit import fixed_batch, layouts, one_input, one_output, pixel_type, scores_of
from services.inference.engine.normalization import InputBuffer
from services.inference.engine.onnx_runtime import ort
from services.inference.engine.providers import on_gpu
from services.inference.engine.session import Session
from services.inference.engine.tensors import TensorRunner
from services.inference.engine.watchdog import RUN_ERRORS

RUN_SHARE = 0.25  # of the longest run, for the largest batch; the rest is for a busy machine
BATCH_S = 0.1  # of a batch on a CPU; sharing the dispatch saves less than a thousandth of that
INPUT_BYTES = 64 * 2**20  # limit of one input; large images run in smaller batches

_TINY = np.finfo(np.float32).tiny


class LoadedModel:
    """An ONNX session with, for an image classifier, its card and input buffer; thread-safe."""

    def __init__(self, session: Session, card: ModelCard | None, max_batch: int, run_s: float | None = None) -> None:
        """Prepare to run the session; `card` makes it an image classifier, and `run_s` is the limit of its runs.

        A graph with a fixed batch sets `max_batch`. Raises BadModel, with the cause, for a graph that does not fit the
        card.
        """
        self.inputs = tuple(map(_signature, session.get_inputs()))
        self.outputs = tuple(map(_signature, session.get_outputs()))
        self.max_batch = max_batch
        self.session = session
        self._card = card
        self._run_s = run_s
        self._buffer: InputBuffer | None = None
        self._lock = threading.Lock()
        self._runners: dict[bool, TensorRunner] = {}
        self.has_one_score = False  # for two labels; known after `warm_up`
        if card is None:
            return
        tensor, preprocessing = one_input(self.inputs), card.preprocessing
        one_output(self.outputs)
        layouts(tensor, preprocessing.image, preprocessing.layout)
        dtype = pixel_type(tensor, preprocessing.dtype)
        self._fixed = fixed_batch(tensor)
        image_bytes = int(np.prod(preprocessing.image.shape)) * np.dtype(dtype).itemsize
        within = min(max_batch, card.max_batch or max_batch, INPUT_BYTES // image_bytes)
        self.max_batch = self._fixed or max(1, within)
        self._buffer = InputBuffer(preprocessing, self.max_batch)

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
        return 0 if self._buffer is None else self._buffer.nbytes

    def next_batch(self, count: int, seconds: float) -> int:
        """Return how many images the next batch should have at most, after one of `count` took `seconds`.

        A CPU is as fast with small batches, and other models wait for the end of a large one. A GPU is not, and a graph
        with a fixed batch, or one without a card, takes what it takes.
        """
        if self._card is None or self._fixed or on_gpu(self.provider):
            return self.batch
        return max(1, min(self.batch, int(BATCH_S * count / seconds)))

    def tensor_runner(self, batched: bool) -> TensorRunner:
        """Return what runs tensors on this model; raises BadModel for types that the protocol cannot represent."""
        runner = self._runners.get(batched)
        if runner is None:
            runner = self._runners[batched] = TensorRunner(self.session, batched, self.batch)
        return runner

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return logits float32 (n, classes) for images uint8 (n, channels, height, width), any n.

        Those of a model that gives probabilities are their logarithms. Raises Invalid for images of another type or
        shape, Unavailable if ONNX Runtime fails, DeadlineExceeded if a run took too long.
        """
        card = self.card
        shape = card.preprocessing.image.shape
        if images.dtype != np.uint8 or images.shape[1:] != shape:
            raise Invalid(f"the model takes images as uint8 (n, {', '.join(map(str, shape))})")
        outputs = np.empty((len(images), len(card.labels)), np.float32)
        with self._lock:
            for start in range(0, len(images), self.max_batch):
                batch = images[start : start + self.max_batch]
                self._buffered.fill(batch)
                outputs[start : start + len(batch)] = self._run_buffer(self._warm_size(len(batch)))[: len(batch)]
        if card.output == "probabilities":
            np.log(np.maximum(outputs, _TINY), out=outputs)
        return outputs

    def warm_up(self) -> None:
        """Run black images in a batch of one and in the largest batch; on a GPU, also choose `max_batch`.

        A GPU runs every batch size that it will be given (`batch_sizes`), and `max_batch` becomes the smallest size
        with at least 95 % of the best throughput. A CPU is as fast with small batches, and larger ones only share the
        dispatch, so there `max_batch` stays, unless such a batch might exceed the limit of a run. Raises BadModel, with
        the cause, if the graph cannot run or its output does not fit the labels, Unavailable if it fails later, and
        DeadlineExceeded if a run takes too long.
        """
        if self._card is None:
            return
        # The extremes first: TensorRT rebuilds its engine for each size outside the range that it has seen.
        self._check(self._fixed or 1)
        self._fit_limit()
        if self.max_batch > (self._fixed or 1):
            self._check(self.max_batch)
        if on_gpu(self.provider) and not self._fixed:
            self.max_batch = best_batch(time_batches(self._run_buffer, batch_sizes(self.max_batch)))
            self._buffer = InputBuffer(self._card.preprocessing, self.max_batch)

    def _fit_limit(self) -> None:
        """Reduce `max_batch` if a batch of that many images would come near the limit of a run."""
        if self._run_s is None or self._fixed or self.max_batch == 1 or on_gpu(self.provider):
            return
        started = time.perf_counter()
        self._output(1)
        most = int(RUN_SHARE * self._run_s / max(time.perf_counter() - started, 1e-9))
        if most < self.max_batch:
            self.max_batch = max(1, most)
            self._buffer = InputBuffer(self.card.preprocessing, self.max_batch)

    @property
    def _buffered(self) -> InputBuffer:
        if self._buffer is None:
            raise BadModel("the model has no labels and preprocessing for images")
        return self._buffer

    def _check(self, size: int) -> None:
        try:
            output = self._output(size)
        except Unavailable:
            images = self._buffered.rows(size)
            raise BadModel(
                f"the graph fails on an input of {images.dtype} {list(images.shape)}, which is {size} black "
                f"image{'' if size == 1 else 's'}; try it with ONNX Runtime on such an input"
            ) from None
        labels = len(self.card.labels)
        self.has_one_score = scores_of(output, size, labels).shape[1] < labels

    def _warm_size(self, count: int) -> int:
        """Return the batch size for `count` images.

        That of a graph with a fixed batch, or on a GPU one that is warm, so that no request waits for tuning.
        """
        if self._fixed:
            return self._fixed
        if not on_gpu(self.provider):
            return count
        return next(size for size in batch_sizes(self.max_batch) if size >= count)

    def _run_buffer(self, size: int) -> NDArray[np.generic]:
        """Return the outputs for the first `size` images of the buffer, with a column for each label."""
        output, labels = self._output(size), len(self.card.labels)
        if output.shape != (size, labels):
            output = scores_of(output, size, labels)
            if self.has_one_score:
                first = 1 - output if self.card.output == "probabilities" else np.zeros_like(output)
                output = np.concatenate([first, output], axis=1)
        return output

    def _output(self, size: int) -> NDArray[np.generic]:
        try:
            (output,) = self.session.run(None, {self.inputs[0].name: self._buffered.rows(size)})
        except RUN_ERRORS as error:
            raise Unavailable("the model could not be run") from error
        return np.asarray(output)


def _signature(node: ort.NodeArg) -> TensorSignature:
    dtype = node.type.removeprefix("tensor(").removesuffix(")")
    return TensorSignature(
        name=node.name,
        dtype={"float": "float32", "double": "float64"}.get(dtype, dtype),
        shape=tuple(-1 if axis is None else axis for axis in node.shape),
    )
