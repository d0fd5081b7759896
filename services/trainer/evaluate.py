"""Evaluation of an exported model on ONNX Runtime, in a separate process, with the code that serves it."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from contract.errors import JobFailed
from contract.evaluation import Metrics
from contract.training import TensorSignature
from media.judging.tally import Tally
from services.trainer.data import ShardFiles

EVALUATOR = "services.inference.evaluate"

log = logging.getLogger(__name__)


class Signature(BaseModel, frozen=True):
    """A model's inputs and outputs, as reported by the serving runtime."""

    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]


def evaluate(
    model: Path, shards: list[ShardFiles], classes: tuple[str, ...], on_shard: Callable[[], None]
) -> Metrics | None:
    """Return the metrics of an ONNX file over a split, or None if the split is empty.

    `on_shard()` is called before each shard. Raises JobFailed if the model does not run.
    """
    return Tally.of(*run_split(model, shards, on_shard)).metrics(classes) if shards else None


def run_split(
    model: Path, shards: list[ShardFiles], on_shard: Callable[[], None]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the logits (n, classes) of an ONNX file and the labels (n,) of at least one shard; see `evaluate`."""
    logits = []
    for images, _ in shards:
        on_shard()
        logits.append(run(model, images)[0])
    return np.concatenate(logits), np.concatenate([np.load(labels) for _, labels in shards])


def run(model: Path, images: Path) -> tuple[NDArray[np.float32], Signature]:
    """Return the logits (n, classes) of a .npy file of uint8 images (n, C, H, W), and the model's signature.

    The runtime normalizes the images as in serving. Raises JobFailed if the model does not run.
    """
    logits = images.with_suffix(".logits.npy")
    command = [sys.executable, "-m", EVALUATOR, str(model), str(images), str(logits)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        log.error("%s exited with status %d: %s", EVALUATOR, process.returncode, process.stderr.strip())
        raise JobFailed("the exported model does not run on ONNX Runtime; the worker's log has the details")
    return np.load(logits), Signature.model_validate_json(process.stdout)
