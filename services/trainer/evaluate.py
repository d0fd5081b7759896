"""Evaluation of an exported model on ONNX Runtime, in a separate process, with the code that serves it."""

import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from contract.errors import JobFailed
from contract.evaluation import Metrics
from contract.tracing import traced
from contract.training import TensorSignature
from media.judging.tally import Tally
from services.trainer.data import ShardFiles

EVALUATOR = "services.inference.evaluate"

log = logging.getLogger(__name__)


class Signature(BaseModel, frozen=True):
    """A model's inputs and outputs, as reported by the serving runtime."""

    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]


class Runtime:
    """ONNX Runtime with an ONNX file, in a process that starts with the first run; a context manager that ends it."""

    def __init__(self, model: Path) -> None:
        self.model = model
        self._process: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 -- closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.reload()
        self._errors.close()

    def reload(self) -> None:
        """Read the file again in the next run, because it has changed."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def run(self, images: Path) -> NDArray[np.float32]:
        """Return the logits (n, classes) of a .npy file of uint8 images (n, C, H, W).

        The runtime normalizes the images as in serving. Raises JobFailed if the model does not run.
        """
        if self._process is None:
            self._start()
        self._answer(f"{images}\n")
        logits = images.with_suffix(".logits.npy")
        try:
            return np.asarray(np.load(logits))
        finally:
            logits.unlink(missing_ok=True)

    def signature(self) -> Signature:
        """Return the model's inputs and outputs; raises JobFailed if the runtime does not load the model."""
        if self._process is None:
            self._start()
        return self._signature

    def _start(self) -> None:
        command = [sys.executable, "-m", EVALUATOR, str(self.model)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._errors, text=True)
        self._signature = Signature.model_validate_json(self._answer(""))

    def _answer(self, request: str) -> str:
        """Send a request to the process and return its answer, a line; raises JobFailed if the process ends."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("the process has not started")
        with suppress(BrokenPipeError):  # it has ended, so there is no answer
            process.stdin.write(request)
            process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            self._errors.seek(0)
            log.error("%s exited with status %s: %s", EVALUATOR, process.wait(), self._errors.read().strip())
            raise JobFailed("the exported model does not run on ONNX Runtime; the worker's log has the details")
        return answer


@traced("evaluate")
def evaluate(
    runtime: Runtime, shards: Sequence[ShardFiles], classes: tuple[str, ...], on_shard: Callable[[], None]
) -> Metrics | None:
    """Return the metrics of an ONNX file over a split, or None if the split is empty.

    `on_shard()` is called before each shard. Raises JobFailed if the model does not run.
    """
    return Tally.of(*run_split(runtime, shards, on_shard)).metrics(classes) if shards else None


def run_split(
    runtime: Runtime,
    shards: Sequence[ShardFiles],
    on_shard: Callable[[], None],
    on_images: Callable[[Path], None] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the logits (n, classes) of an ONNX file and the labels (n,) of at least one shard; see `evaluate`.

    `on_images` is called with the file of each shard's images.
    """
    logits, labels = [], []
    for images, file in shards:
        on_shard()
        logits.append(runtime.run(images))
        if on_images is not None:
            on_images(images)
        labels.append(np.load(file))
    return np.concatenate(logits), np.concatenate(labels)
