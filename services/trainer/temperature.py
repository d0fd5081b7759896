"""Calibration of an exported model on the validation split: a temperature in the graph, a threshold for "unknown"."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from contract.choices import Choice
from contract.evaluation import Metrics
from contract.tracing import traced
from media.judging.calibration import expected_calibration_error
from media.judging.tally import Tally
from media.judging.temperature import FEWEST_IMAGES, losses, probabilities, useful_temperature
from media.judging.unknown import unknown_threshold
from services.trainer.data import ShardFiles
from services.trainer.evaluate import Runtime, run_split

UNKNOWN_PRECISION = 0.95
UNSCALED = "unscaled_logits"
TEMPERATURE = "temperature"


class Calibration(NamedTuple):
    """What calibration changed: the logits are divided by `temperature`, which is 1 if the file is unchanged.

    `logits` (n, classes) are those of the file on the validation split and `metrics` what they say, None without one.
    """

    logits: NDArray[np.float32] | None = None
    metrics: Metrics | None = None
    temperature: float = 1.0
    unknown_below: float | None = None
    decisions: tuple[Choice, ...] = ()


@traced("calibrate")
def calibrate(
    runtime: Runtime,
    shards: Sequence[ShardFiles],
    classes: tuple[str, ...],
    on_shard: Callable[[], None],
    on_images: Callable[[Path], None] | None = None,
) -> Calibration:
    """Measure an ONNX file on the validation split, and scale its logits there if that makes its confidence honest.

    The file changes only if the loss of images that did not choose the temperature falls noticeably. Fewer than 50
    images choose nothing. `on_shard()` is called before each shard, and `on_images` with the file of its images. Raises
    JobFailed if the model does not run.
    """
    if not shards:
        return Calibration()
    logits, labels = run_split(runtime, shards, on_shard, on_images)
    decisions = []
    temperature = round(useful_temperature(logits, labels) or 1.0, 2)  # so that the last bits do not change the file
    if temperature != 1:
        divide_logits(runtime.model, temperature)
        runtime.reload()
        decisions.append(Choice(what="temperature", value=temperature, because=_why(logits, labels, temperature)))
        logits = logits / np.float32(temperature)
    threshold = unknown_threshold(probabilities(logits), labels, UNKNOWN_PRECISION)
    if threshold is None or len(labels) < FEWEST_IMAGES:
        return Calibration(logits, Tally.of(logits, labels).metrics(classes), temperature, None, tuple(decisions))
    reason = (
        f"{100 * threshold.precision:.1f} % of the answers with a score of at least {threshold.below:.3f} are right on "
        f"the {len(labels)} validation images, and {100 * threshold.coverage:.1f} % of the images get such an answer"
    )
    decisions.append(Choice(what="unknown_below", value=threshold.below, because=reason))
    metrics = Tally.of(logits, labels).metrics(classes)
    return Calibration(logits, metrics, temperature, threshold.below, tuple(decisions))


def divide_logits(model: Path, temperature: float) -> None:
    """Divide the output of an ONNX file by a number, in a node of its own; the output keeps its name and shape."""
    proto = onnx.load(model)
    graph, output = proto.graph, proto.graph.output[0].name
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [UNSCALED if name == output else name for name in names]
    graph.initializer.append(numpy_helper.from_array(np.array(temperature, np.float32), TEMPERATURE))
    graph.node.append(helper.make_node("Div", [UNSCALED, TEMPERATURE], [output], name=TEMPERATURE))
    onnx.checker.check_model(proto, full_check=True)
    model.write_bytes(proto.SerializeToString(deterministic=True))


def _why(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> str:
    loss, error = (
        [float(measure) for measure in pair]
        for pair in (
            (losses(logits, labels, value).mean() for value in (1.0, temperature)),
            (expected_calibration_error(probabilities(logits, value), labels) for value in (1.0, temperature)),
        )
    )
    return (
        f"on the {len(labels)} validation images, dividing the logits by {temperature:g} lowers the loss from "
        f"{loss[0]:.3f} to {loss[1]:.3f}; confidence and accuracy then differ by {100 * error[1]:.1f} points instead "
        f"of {100 * error[0]:.1f}"
    )
