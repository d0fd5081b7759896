"""The model card stored in an ONNX file, so that the file alone is enough to serve it; and warnings on a model."""

from typing import Literal

from contract.base import Frozen, Positive
from contract.datasets import Label
from contract.images import Preprocessing

METADATA_KEY = "tidepool"  # the key in the ONNX file's metadata_props; its value is a card as JSON

Output = Literal["logits", "probabilities"]


class ModelCard(Frozen):
    """How to preprocess images for a classifier, and how to read its outputs.

    `labels` are those of the outputs, in order. Softmax makes scores of `logits`; `probabilities` are scores already.
    `max_batch` is the largest number of images in one run of the graph, if the graph limits it.
    """

    labels: tuple[Label, ...]
    preprocessing: Preprocessing
    output: Output = "logits"
    max_batch: Positive | None = None


class ModelWarning(Frozen):
    """Something doubtful in an uploaded model that is ready all the same; `code` is for programs."""

    code: str
    message: str
    advice: str
