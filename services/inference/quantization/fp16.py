"""Convert a graph to half precision."""

from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel


def to_fp16(source: Path, target: Path) -> None:
    """Write a copy that computes in float16; its inputs and outputs stay float32, and its metadata is kept."""
    model = convert_float_to_float16(onnx.load(source, load_external_data=False), keep_io_types=True)
    OnnxModel(model).topological_sort(is_deterministic=True)  # the converter appends the casts of inputs at the end
    target.write_bytes(model.SerializeToString(deterministic=True))
