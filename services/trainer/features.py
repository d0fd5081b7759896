"""Features of images: what a network's body computes, on ONNX Runtime in a process of its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contract.images import Preprocessing
from contract.models import METADATA_KEY, ModelCard
from services.trainer.data import Indices, ShardedImages
from services.trainer.evaluate import Runtime
from services.trainer.export import OUTPUT, export
from services.trainer.metrics import FEATURES
from services.trainer.network import Network
from services.trainer.probe import Probe

CHUNK = 2048  # images in one call of the runtime; progress is reported after each
_FEATURES = "features"


def export_body(network: Network, features: int, preprocessing: Preprocessing, path: Path) -> None:
    """Write a network without its head as an ONNX file, a classifier whose labels are the numbers of the features."""
    labels = tuple(str(number) for number in range(features))
    export(network.features, ModelCard(labels=labels, preprocessing=preprocessing), path)


def extract(
    body: Runtime, images: ShardedImages, indices: Indices, folder: Path, on_chunk: Callable[[int], None]
) -> NDArray[np.float32]:
    """Return the features (n, d) of the images at `indices`; `on_chunk(images so far)` is called after each chunk.

    Raises JobFailed if the body does not run.
    """
    chunks = []
    file = folder / "chunk.npy"
    for start in range(0, len(indices), CHUNK):
        pixels, _ = images.take(indices[start : start + CHUNK])
        np.save(file, pixels.numpy())
        chunks.append(body.run(file))
        FEATURES.inc(len(pixels))
        on_chunk(start + len(pixels))
    return np.concatenate(chunks)


def with_head(body: Path, probe: Probe, card: ModelCard, path: Path) -> None:
    """Write the ONNX file of a body, followed by a linear head; faster than exporting the whole network."""
    proto = onnx.load(body)
    graph = proto.graph
    for node in graph.node:
        node.output[:] = [_FEATURES if name == OUTPUT else name for name in node.output]
        node.input[:] = [_FEATURES if name == OUTPUT else name for name in node.input]
    weights = {"head.weight": probe.weight.numpy(), "head.bias": probe.bias.numpy()}
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    graph.node.append(helper.make_node("Gemm", [_FEATURES, *weights], [OUTPUT], transB=1))
    batch = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    shape = [batch, len(card.labels)]
    graph.output[0].CopyFrom(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape))
    del proto.metadata_props[:]
    helper.set_model_props(proto, {METADATA_KEY: card.model_dump_json()})
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))
