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
from services.inference.vetting.graphs import Functions, messages
from services.inference.vetting.operators import output_layer

STANDARD = ("", "ai.onnx")
DOMAINS = frozenset({*STANDARD, "ai.onnx.ml", "com.microsoft"})
# These hold a program that was compiled for a device, or the path of one.
COMPILED = frozenset({("com.microsoft", "EPContext"), ("com.microsoft", "Snpe")})
TENSOR_BYTES = 2**31


def parse(file: bytes) -> onnx.ModelProto:
    """Parse an ONNX file; raises BadModel if it is not one."""
    try:
        return onnx.load_model_from_string(file)
    except DecodeError:
        raise BadModel("the file is not an ONNX model") from None


def check(model: onnx.ModelProto) -> Contents:
    """Return what the file declares; raises BadModel, with the reason, if it must not be run."""
    functions = Functions(model)
    for name, message in messages(model):
        match message:
            case onnx.NodeProto():
                _check_operator(message, functions)
            case onnx.TensorProto():
                if message.data_location == onnx.TensorProto.EXTERNAL or message.external_data:
                    raise BadModel("the model stores data in other files; save it as a single file")
                _check_size(name, message.data_type, message.dims)
            case onnx.SparseTensorProto():
                _check_size(message.values.name or name, message.values.data_type, message.dims)
            case onnx.TypeProto.Tensor() | onnx.TypeProto.SparseTensor():
                known = (axis.dim_value for axis in message.shape.dim if axis.dim_value)
                _check_size(name, message.elem_type, known)
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, UnicodeDecodeError, ValueError):
        raise BadModel("the file is not a valid ONNX model; run onnx.checker.check_model for the reason") from None
    version = next((opset.version for opset in model.opset_import if opset.domain in STANDARD), 1)
    if version < 1:
        raise BadModel(f"the model declares version {version} of the ONNX operators, and versions begin with 1")
    return Contents(
        opset=version,
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


def _check_operator(node: onnx.NodeProto, functions: Functions) -> None:
    """Raise BadModel for a node that is neither an allowed operator nor a call of a function in the file."""
    if node in functions:
        return
    if node.domain not in DOMAINS:
        raise BadModel(
            f"the operator {node.op_type[:80]!r} is in the domain {node.domain[:80]!r}; only ai.onnx, ai.onnx.ml, "
            "com.microsoft and functions in the file are allowed"
        )
    if (node.domain, node.op_type) in COMPILED:
        raise BadModel(f"the operator {node.op_type} holds a compiled program; export the model without it")


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
