"""Backbones that are ONNX files: examine them like uploaded models, and fit them to the images of a dataset."""

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, compose, helper, numpy_helper
from pydantic import BaseModel

from contract.backbones import OnnxNames
from contract.errors import BadModel, JobFailed
from contract.models import METADATA_KEY, ModelCard
from services.trainer.export import BATCH, INPUT, OUTPUT

COMMAND = "services.inference.vetting.command"
OLDEST_OPSET = 13  # of the operators in `fitted`
PREFIX = "backbone/"
EPSILON = 1e-12

log = logging.getLogger(__name__)


class Examined(BaseModel, frozen=True):
    """What the examination of an ONNX file says: how it runs, or the reason for a rejection."""

    rejection: str | None = None
    opset: int = 0
    parameters: int = 0
    input: str = ""
    output: str = ""
    size: tuple[int, int] = (0, 0)
    features: int = 0


def examine(file: Path, channels: int, size: tuple[int, int] | None) -> Examined:
    """Run an untrusted graph in a confined process; raises BadModel with the reason for a rejection, or JobFailed."""
    command = [sys.executable, "-m", COMMAND, str(file), "--channels", str(channels)]
    command += ["--size", *map(str, size)] if size else []
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        log.error("%s exited with status %d: %s", COMMAND, process.returncode, process.stderr.strip())
        raise JobFailed("the ONNX file could not be examined; the worker's log has the details")
    examined = Examined.model_validate_json(process.stdout)
    if examined.rejection is not None:
        raise BadModel(examined.rejection)
    if examined.opset < OLDEST_OPSET:
        raise BadModel(f"the graph has opset {examined.opset}; export it again with opset {OLDEST_OPSET} or newer")
    return examined


def fitted(
    file: Path, names: OnnxNames, features: int, size: tuple[int, int], channels: int, card: ModelCard
) -> onnx.ModelProto:
    """Return a backbone's graph as a classifier of the images of `card`, whose labels are the numbers of the features.

    Grey images are repeated to `channels`, images are scaled to `size` (bilinear), and features to a root mean square
    of 1, as for the networks that Tidepool knows. Raises BadModel if the graph cannot be changed so.
    """
    model = compose.add_prefix(onnx.load(file, load_external_data=False), PREFIX)
    graph = model.graph
    shape = card.preprocessing.image.shape
    before = _adapter(shape, (channels, *size), PREFIX + names.input)
    after = _unit_length(PREFIX + names.output)
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.value_info[:], graph.output[:]
    graph.node.extend(nodes)
    others = [value for value in graph.input if value.name != PREFIX + names.input]
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [BATCH, *shape]))
    graph.input.extend(others)  # of older files: initializers are inputs, too
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [BATCH, features]))
    constants: dict[str, NDArray[Any]] = {
        "tail": np.array([channels, *size], np.int64),
        "first": np.array([0], np.int64),
        "second": np.array([1], np.int64),
        "mean": np.full((features, 1), 1 / features, np.float32),
        "epsilon": np.array(EPSILON, np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    del model.metadata_props[:]
    helper.set_model_props(model, {METADATA_KEY: card.model_dump_json()})
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        raise BadModel("the shapes in the graph do not fit together; run onnx.checker with full_check=True") from None
    return model


def opset_of(file: Path) -> int:
    """Return the version of the standard operators of an ONNX file."""
    imports = onnx.load(file, load_external_data=False).opset_import
    return next(int(entry.version) for entry in imports if entry.domain in ("", "ai.onnx"))


def _adapter(shape: tuple[int, int, int], taken: tuple[int, int, int], name: str) -> list[NodeProto]:
    """Return the nodes that make the graph's input `name` of images (n, *shape)."""
    nodes, last = [], INPUT
    if shape[0] != taken[0]:
        nodes.append(helper.make_node("Concat", [INPUT] * taken[0], ["repeated"], axis=1))
        last = "repeated"
    if shape[1:] != taken[1:]:
        nodes += [
            helper.make_node("Shape", [last], ["shape"]),
            helper.make_node("Slice", ["shape", "first", "second"], ["count"]),
            helper.make_node("Concat", ["count", "tail"], ["sizes"], axis=0),
            helper.make_node("Resize", [last, "", "", "sizes"], ["scaled"], mode="linear"),
        ]
        last = "scaled"
    return [*nodes, helper.make_node("Identity", [last], [name])]


def _unit_length(name: str) -> Sequence[NodeProto]:
    """Return the nodes that scale the rows of the features `name` to a root mean square of 1."""
    return [
        helper.make_node("Flatten", [name], ["rows"], axis=1),
        helper.make_node("Mul", ["rows", "rows"], ["squares"]),
        helper.make_node("MatMul", ["squares", "mean"], ["mean_square"]),
        helper.make_node("Add", ["mean_square", "epsilon"], ["positive"]),
        helper.make_node("Sqrt", ["positive"], ["length"]),
        helper.make_node("Div", ["rows", "length"], [OUTPUT]),
    ]
