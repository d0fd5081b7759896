"""The only place that judges an ONNX file by what is written in it."""

import math
from collections.abc import Iterable

import onnx
from google.protobuf.message import DecodeError
from pydantic import ValidationError

from contract.errors import BadModel
from contract.models import METADATA_KEY, ModelCard
from services.inference.vetting.findings import Contents
from services.inference.vetting.graphs import graphs, nodes, sparse_tensors, tensors

STANDARD = ("", "ai.onnx")
DOMAINS = frozenset({*STANDARD, "ai.onnx.ml", "com.microsoft"})
TENSOR_BYTES = 2**31


def parsed(file: bytes) -> onnx.ModelProto:
    """The model in a file; raises BadModel for bytes that are none."""
    try:
        return onnx.load_model_from_string(file)
    except DecodeError:
        raise BadModel("the file is no ONNX model") from None


def check(model: onnx.ModelProto) -> Contents:
    """What the file says; raises BadModel, with a reason, for what is not fit to be tried."""
    _check_domains(model)
    for tensor in tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise BadModel("the model keeps data in other files; save it as one file")
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
        raise BadModel("the file is no valid ONNX model; onnx.checker.check_model says why") from None
    return Contents(
        opset=next((opset.version for opset in model.opset_import if opset.domain in STANDARD), 1),
        parameters=sum(math.prod(tensor.dims) for tensor in model.graph.initializer),
        card=card_in(model),
    )


def card_in(model: onnx.ModelProto) -> ModelCard | None:
    """The card that the file brings along; raises BadModel if it is malformed."""
    found = next((entry.value for entry in model.metadata_props if entry.key == METADATA_KEY), None)
    try:
        return None if found is None else ModelCard.model_validate_json(found)
    except ValidationError:
        raise BadModel("the model card in the file's metadata is malformed") from None


def put_card(model: onnx.ModelProto, card: ModelCard) -> None:
    """Give the model a card instead of the one that it may have."""
    others = {entry.key: entry.value for entry in model.metadata_props if entry.key != METADATA_KEY}
    onnx.helper.set_model_props(model, others | {METADATA_KEY: card.model_dump_json()})


def _check_domains(model: onnx.ModelProto) -> None:
    """Operators that a function in the file defines are made of others, which are looked at, too."""
    allowed = DOMAINS | {function.domain for function in model.functions}
    for node in nodes(model):
        if node.domain not in allowed:
            raise BadModel(
                f"the operator {node.op_type[:80]!r} is of the domain {node.domain[:80]!r}; those of ai.onnx, "
                "ai.onnx.ml and com.microsoft can be served"
            )


def _check_size(name: str, element: int, dims: Iterable[int]) -> None:
    """Computed in Python's integers, which do not overflow as those of a tensor library do."""
    axes = tuple(dims)
    if any(axis < 0 for axis in axes):
        raise BadModel(f"the tensor {name[:80]!r} has a negative axis")
    if math.prod(axes) * _element_bytes(name, element) > TENSOR_BYTES:
        raise BadModel(f"the tensor {name[:80]!r} is larger than {TENSOR_BYTES >> 20} MiB")


def _element_bytes(name: str, element: int) -> int:
    if element == onnx.TensorProto.UNDEFINED:  # of a value that is no tensor, or of no declared type
        return 1
    try:
        return onnx.helper.tensor_dtype_to_np_dtype(element).itemsize
    except KeyError:
        raise BadModel(f"the tensor {name[:80]!r} has no element type of ONNX") from None
