"""Makes tiny ONNX classifiers with their model card, without PyTorch."""

import math

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contract.images import ImageSpec, Preprocessing
from contract.models import METADATA_KEY, ModelCard

CARD = ModelCard(
    labels=("cat", "dog", "owl"),
    preprocessing=Preprocessing(image=ImageSpec(size=(8, 6)), mean=(0.49, 0.48, 0.45), std=(0.25, 0.24, 0.26)),
)


def linear(card: ModelCard | None = CARD, weights: NDArray[np.float32] | None = None, seed: int = 0) -> bytes:
    """Make an ONNX file of flatten and one dense layer without bias; without a card if `card` is None.

    `weights` is float32 (channels * height * width, classes), by default random from `seed`.
    """
    shape_card = card or CARD
    shape, classes = shape_card.preprocessing.image.shape, len(shape_card.labels)
    if weights is None:
        weights = np.random.default_rng(seed).normal(0, 0.1, (math.prod(shape), classes)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["images"], ["pixels"]),
            helper.make_node("MatMul", ["pixels", "weights"], ["logits"]),
        ],
        "linear",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", weights.shape[1]])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return onnx_file(graph, card)


def onnx_file(graph: onnx.GraphProto, card: ModelCard | None) -> bytes:
    """Serialize a graph as an ONNX file, with the card in its metadata."""
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    if card is not None:
        helper.set_model_props(model, {METADATA_KEY: card.model_dump_json()})
    file: bytes = model.SerializeToString()
    return file


def random_images(count: int, card: ModelCard = CARD, seed: int = 0) -> NDArray[np.uint8]:
    """Make random images for the card's model, uint8 (count, channels, height, width)."""
    return np.random.default_rng(seed).integers(0, 256, (count, *card.preprocessing.image.shape), np.uint8)


def expected_logits(
    images: NDArray[np.uint8], weights: NDArray[np.float32], card: ModelCard = CARD
) -> NDArray[np.float64]:
    """Compute the expected output of `linear`, float64 (n, classes), from the definition of its preprocessing."""
    mean = np.array(card.preprocessing.mean).reshape(-1, 1, 1)
    std = np.array(card.preprocessing.std).reshape(-1, 1, 1)
    logits: NDArray[np.float64] = ((images / 255 - mean) / std).reshape(len(images), -1) @ weights.astype(np.float64)
    return logits
