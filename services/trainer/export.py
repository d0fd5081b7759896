"""Export of a trained network to an ONNX file."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import nn

from contract.models import METADATA_KEY, ModelCard
from contract.tracing import traced

INPUT = "images"
OUTPUT = "logits"
BATCH = "batch"
OPSET = 18
NOISY_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")


@traced("export")
def export(model: nn.Module, card: ModelCard, path: Path) -> None:
    """Write one self-contained ONNX file: `images` float32 (batch, C, H, W) in, `logits` float32 (batch, classes) out.

    The card is stored in the file's metadata. Equal weights and cards give equal bytes.
    """
    model = copy.deepcopy(model).eval()
    example = torch.zeros(
        2, *card.preprocessing.image.shape
    )  # the exporter would treat a batch size of 1 as a constant
    with _exporter_silenced():
        program = torch.onnx.export(
            model,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim(BATCH)},),
            verbose=False,
        )
    assert program is not None  # noqa: S101 -- None only if the exporter writes the file itself
    proto = program.model_proto
    _clear_origin(proto)
    onnx.helper.set_model_props(proto, {METADATA_KEY: card.model_dump_json()})
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))


def _clear_origin(proto: onnx.ModelProto) -> None:
    """Remove the exporter's annotations: names of Python classes, and stack traces with paths of this machine."""
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


@contextmanager
def _exporter_silenced() -> Iterator[None]:
    """Keep the exporter's messages about passes, optional packages and deprecations out of the log."""
    before = {logger: logger.level for logger in map(logging.getLogger, NOISY_LOGGERS)}
    for logger in before:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)
