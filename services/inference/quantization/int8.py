"""Convert a graph to 8-bit integers: static quantization with QuantizeLinear and DequantizeLinear nodes (QDQ)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    MinMaxCalibrater,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.calibrate import save_tensors_data
from onnxruntime.quantization.shape_inference import quant_pre_process

from contract.images import Preprocessing
from contract.models import METADATA_KEY
from services.inference.engine.onnx_runtime import ort
from services.inference.quantization.pooling import pool_last

BATCH = 16  # images in one calibration run, which keeps all activations; a graph may enlarge small images
CLASSIFIERS = ("Gemm", "MatMul")
SCHEMES = {"per-channel": True, "per-tensor": False}


def to_int8(source: Path, images: NDArray[np.uint8], preprocessing: Preprocessing, folder: Path) -> dict[str, Path]:
    """Write one quantized copy of the graph per scheme to `folder`; return the files by scheme.

    The range of an activation is its minimum and maximum over `images`. The last layer, which takes hardly any time,
    stays float32, so that scores keep their resolution. Equal graphs and images give equal bytes.
    """
    prepared = folder / "prepared.onnx"
    # Symbolic shape inference needs sympy; convolutional networks do without it.
    quant_pre_process(source, prepared, skip_symbolic_shape=True)
    model = onnx.load(prepared, load_external_data=False)
    pool_last(model)
    onnx.save(model, prepared)
    graph = model.graph
    calibrater = _Calibrater(prepared, augmented_model_path=str(folder / "augmented.onnx"))
    calibrater.augment_graph()
    calibrater.create_inference_session()
    calibrater.collect_data(_Batches(graph.input[0].name, images, preprocessing))
    ranges = folder / "ranges.json"
    save_tensors_data(calibrater.compute_data(), ranges)
    files = {}
    for scheme, per_channel in SCHEMES.items():
        files[scheme] = folder / f"int8-{scheme}.onnx"
        quantize_static(
            prepared,
            files[scheme],
            quant_format=QuantFormat.QDQ,
            per_channel=per_channel,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_last_layers(graph),
            calibrate_method=CalibrationMethod.MinMax,
            calibration_cache_path=ranges,
        )
        _finish(files[scheme], source)
    return files


def _last_layers(graph: onnx.GraphProto) -> list[str]:
    """Return the names of the last dense layers, one for each network of an ensemble, and of all later nodes."""
    makers = {name: node for node in graph.node for name in node.output}
    behind, last = [output.name for output in graph.output], dict[str, onnx.NodeProto]()
    while behind:
        name = behind.pop()
        if name in makers and name not in last:
            last[name] = makers[name]
            behind.extend(() if makers[name].op_type in CLASSIFIERS else makers[name].input)
    has_dense = any(node.op_type in CLASSIFIERS for node in last.values())
    return [node.name for node in last.values()] if has_dense else []


def _finish(file: Path, source: Path) -> None:
    """Restore the original's card, drop the library's own metadata, and write the file reproducibly."""
    model = onnx.load(file, load_external_data=False)
    card = {
        entry.key: entry.value
        for entry in onnx.load(source, load_external_data=False).metadata_props
        if entry.key == METADATA_KEY
    }
    model.ClearField("metadata_props")
    onnx.helper.set_model_props(model, card)
    file.write_bytes(model.SerializeToString(deterministic=True))


class _Calibrater(MinMaxCalibrater):  # type: ignore[misc]  # the library is untyped
    """Optimizes the graph that it runs, which the library does not: a fifth less time for EfficientNet-Lite0."""

    def create_inference_session(self) -> None:
        self.infer_session = ort.InferenceSession(self.augmented_model_path, providers=self.execution_providers)


class _Batches(CalibrationDataReader):  # type: ignore[misc]  # the library is untyped
    """Yields normalized batches of images (n, C, H, W)."""

    def __init__(self, name: str, images: NDArray[np.uint8], preprocessing: Preprocessing) -> None:
        self._batches = _normalized(name, images, preprocessing)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)


def _normalized(
    name: str, images: NDArray[np.uint8], preprocessing: Preprocessing
) -> Iterator[dict[str, NDArray[np.float32]]]:
    mean, std = (np.reshape(values, (-1, 1, 1)) for values in (preprocessing.mean, preprocessing.std))
    for start in range(0, len(images), BATCH):
        yield {name: ((images[start : start + BATCH] / 255 - mean) / std).astype(np.float32)}
