"""Check an ONNX file without running it."""

import math
from collections.abc import Iterable
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from pydantic import ValidationError

from contract.errors import BadModel
from contract.models import METADATA_KEY, ModelCard
from services.inference.vetting.findings import Contents
from services.inference.vetting.graphs import graphs, nodes, sparse_tensors, tensors
from services.inference.vetting.operators import output_layer

STANDARD = ("", "ai.onnx")
DOMAINS = frozenset({*STANDARD, "ai.onnx.ml", "com.microsoft"})
TENSOR_BYTES = 2**31


def parse(file: bytes) -> onnx.ModelProto:
    """Parse an ONNX file; raises BadModel if it is not one."""
    try:
        return onnx.load_model_from_string(file)
    except DecodeError:
        raise BadModel("the file is not an ONNX model") from None


def check(model: onnx.ModelProto) -> Contents:
    """Return what the file declares; raises BadModel, with the reason, if it must not be run."""
    _check_domains(model)
    for tensor in tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise BadModel("the model stores data in other files; save it as a single file")
        _check_size(tensor.name, tensor.data_type, tensor.dims)
    for sparse in sparse_tensors(model):
        _check_size(sparse.values.name, sparse.values.data_type, sparse.dims)
    for graph in graphs(model):
        for value in (*graph.input, *graph.output, *graph.value_info):
            kind = value.type.tensor_type
            _check_size(value.name, kind.elem_type, (axis.dim_value for axis in kind.shape.dim if axis.dim_value))
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, UnicodeDecodeError, ValueError):
        raise BadModel("the file is not a valid ONNX model; run onnx.checker.check_model for the reason") from None
    return Contents(
        opset=next((opset.version for opset in model.opset_import if opset.domain in STANDARD), 1),
        parameters=sum(math.prod(tensor.dims) for tensor in model.graph.initializer),
        card=card_in(model),
        output_layer=output_layer(model),
    )


def card_in(model: onnx.ModelProto) -> ModelCard | None:
    """Return the card in the file's metadata, if any; raises BadModel if it is malformed."""
    text = next((entry.value for entry in model.metadata_props if entry.key == METADATA_KEY), None)
    try:
        return None if text is None else ModelCard.model_validate_json(text)
    except ValidationError:
        raise BadModel("the model card in the file's metadata is malformed") from None


def remove_card(model: onnx.ModelProto) -> None:
    """Remove the model's card, if it has one."""
    others = {entry.key: entry.value for entry in model.metadata_props if entry.key != METADATA_KEY}
    onnx.helper.set_model_props(model, others)


def append_card(file: Path, card: ModelCard) -> None:
    """Add a card to an ONNX file that has none.

    The file is not parsed, because it may be large: protobuf merges a message that is appended to another.
    """
    model = onnx.ModelProto()
    model.metadata_props.add(key=METADATA_KEY, value=card.model_dump_json())
    with file.open("ab") as stream:
        stream.write(model.SerializeToString())


def _check_domains(model: onnx.ModelProto) -> None:
    """Raise BadModel for an operator outside of the allowed domains.

    Operators defined by a function in the file are allowed, because the nodes of the function are checked too.
    """
    allowed = DOMAINS | {function.domain for function in model.functions}
    for node in nodes(model):
        if node.domain not in allowed:
            raise BadModel(
                f"the operator {node.op_type[:80]!r} is in the domain {node.domain[:80]!r}; only ai.onnx, "
                "ai.onnx.ml and com.microsoft are allowed"
            )


def _check_size(name: str, element: int, dims: Iterable[int]) -> None:
    """Raise BadModel for a tensor that is too large; Python's integers do not overflow, unlike a tensor library's."""
    axes = tuple(dims)
    if any(axis < 0 for axis in axes):
        raise BadModel(f"the tensor {name[:80]!r} has a negative axis")
    if math.prod(axes) * _element_bytes(name, element) > TENSOR_BYTES:
        raise BadModel(f"the tensor {name[:80]!r} is larger than {TENSOR_BYTES >> 20} MiB")


def _element_bytes(name: str, element: int) -> int:
    if element == onnx.TensorProto.UNDEFINED:  # not a tensor, or no declared type
        return 1
    try:
        return onnx.helper.tensor_dtype_to_np_dtype(element).itemsize
    except KeyError:
        raise BadModel(f"the tensor {name[:80]!r} has an unknown element type") from None
