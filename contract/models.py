"""The model card stored in an ONNX file, so that the file alone is enough to serve it."""

from contract.base import Frozen
from contract.datasets import Label
from contract.images import Preprocessing

METADATA_KEY = "tidepool"  # the key in the ONNX file's metadata_props; its value is a card as JSON


class ModelCard(Frozen):
    """How to preprocess images for a classifier, and the labels of its logits, in order."""

    labels: tuple[Label, ...]
    preprocessing: Preprocessing
