"""Decide whether the outputs of a classifier are logits or probabilities."""

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadModel
from contract.models import ModelWarning, Output
from services.inference.vetting.operators import OutputLayer

_ROUNDING = 2e-3  # of the sum of 1000 probabilities in float16
_SOFTMAX_ROUNDING = 0.05  # the same in int8
_VARIES = 1e-5

INDEPENDENT = ModelWarning(
    code="independent_scores",
    message="the outputs are sigmoids, so the scores of an image do not add up to 1",
    advice="read each score alone, as the probability of that label",
)
UNCLEAR = ModelWarning(
    code="output_unclear",
    message="the outputs were between 0 and 1 for all trial images, but nothing else says that they are probabilities; "
    "they are read as logits",
    advice='say "output": "probabilities" or "logits" in the metadata',
)
NOT_A_NUMBER = ModelWarning(
    code="not_a_number",
    message="the outputs for trial images were not all finite numbers",
    advice="check the model; images with such outputs get an error",
)
OVERRIDDEN = ModelWarning(
    code="output_overridden",
    message="the outputs look like probabilities, but are read as logits because the metadata says so",
    advice='leave "output" out of the metadata unless softmax is to be applied to them',
)


def read_outputs(
    outputs: NDArray[np.float32], layer: OutputLayer, declared: Output | None
) -> tuple[Output, list[ModelWarning]]:
    """Return what the outputs (n, classes) for n different images are, and warnings.

    `declared` is what the metadata says, which decides. Raises BadModel if it is probabilities and an output is not in
    0..1.
    """
    if not np.isfinite(outputs).all():
        return declared or ("probabilities" if layer in ("softmax", "sigmoid") else "logits"), [NOT_A_NUMBER]
    likely, warnings = _likely(outputs.astype(np.float64), layer)
    if declared == "probabilities" and not _in_range(outputs):
        raise BadModel(
            "the metadata says that the outputs are probabilities, but for trial images they are from "
            f'{outputs.min():.3g} to {outputs.max():.3g}: leave "output" out, or export the model with its softmax'
        )
    if declared is None or declared == likely:
        return likely, [warning for warning in warnings if declared is None or warning is not UNCLEAR]
    return declared, [OVERRIDDEN] if declared == "logits" else []


def _likely(outputs: NDArray[np.float64], layer: OutputLayer) -> tuple[Output, list[ModelWarning]]:
    if layer == "linear" or not _in_range(outputs):
        return "logits", []
    if outputs.shape[1] == 1:  # the score of the second of two labels
        return ("probabilities", []) if layer == "sigmoid" else ("logits", [UNCLEAR])
    difference = float(np.abs(outputs.sum(axis=1) - 1).max())
    if layer == "softmax" and difference < _SOFTMAX_ROUNDING:
        return "probabilities", []
    adds_up = difference < _ROUNDING
    if layer == "sigmoid":
        return "probabilities", [] if adds_up else [INDEPENDENT]
    # Equal outputs for all images are the evidence of one image only, which a logit may give by chance.
    if adds_up and np.ptp(outputs, axis=0).max() > _VARIES:
        return "probabilities", []
    return "logits", [UNCLEAR]


def _in_range(outputs: NDArray[np.floating]) -> bool:
    return bool(outputs.min() >= -_ROUNDING and outputs.max() <= 1 + _ROUNDING)
