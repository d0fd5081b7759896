"""The only place that asks the serving runtime, in a process of its own, what an exported model says."""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from contract.errors import JobFailed
from contract.training import Metrics, TensorSignature
from media.classification import Tally
from services.trainer.data import ShardFiles

EVALUATOR = "services.inference.evaluate"

log = logging.getLogger(__name__)


class Signature(BaseModel, frozen=True):
    """A model's inputs and outputs as the serving runtime sees them."""

    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]


def evaluate(
    model: Path, shards: list[ShardFiles], classes: tuple[str, ...], on_shard: Callable[[], None]
) -> Metrics | None:
    """The metrics of an ONNX file over a split, None if the split is empty; raises JobFailed if it does not run.

    `on_shard()` is called before each shard.
    """
    logits = []
    for images, _ in shards:
        on_shard()
        logits.append(run(model, images)[0])
    labels = [np.load(labels) for _, labels in shards]
    return Tally.of(np.concatenate(logits), np.concatenate(labels)).metrics(classes) if shards else None


def run(model: Path, images: Path) -> tuple[NDArray[np.float32], Signature]:
    """The logits (n, classes) of a file of uint8 pictures (n, C, H, W), which the runtime normalises as in serving."""
    logits = images.with_suffix(".logits.npy")
    command = [sys.executable, "-m", EVALUATOR, str(model), str(images), str(logits)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        log.error("%s ended with status %d: %s", EVALUATOR, done.returncode, done.stderr.strip())
        raise JobFailed("the exported model does not run on ONNX Runtime; the worker's log has the details")
    return np.load(logits), Signature.model_validate_json(done.stdout)
