"""The tensors of a gRPC infer request and its answer, as raw or typed contents."""

import struct
from collections.abc import Sequence

from contract.datatypes import DATATYPES, packed, unpacked
from contract.errors import Invalid
from contract.inference import Tensor, Tensors
from services.gateway.oip.classification import classified
from services.gateway.oip.json_codec import MAX_JSON
from services.gateway.oip.proto.inference_pb2 import InferTensorContents, ModelInferRequest, ModelInferResponse
from services.gateway.serving.dataplane import Inferred

# FP16 and BF16 have no typed contents: the protocol carries them raw.
_CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def decode(request: ModelInferRequest) -> Tensors:
    """Parse a request; raises Invalid. The data plane checks names and shapes."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise Invalid("send raw_input_contents for every input, or for none")
    inputs = []
    for index, tensor in enumerate(request.inputs):
        name, datatype = tensor.name, tensor.datatype
        if "shared_memory_region" in tensor.parameters:
            raise Invalid("shared memory is not supported; send the tensor in the request")
        if raw and tensor.HasField("contents"):
            raise Invalid(f"the input {name[:80]!r} has contents and raw_input_contents; send one of them")
        if any(axis < 0 for axis in tensor.shape):
            raise Invalid(f"the input {name[:80]!r} has a negative axis; send its actual shape")
        data = raw[index] if raw else _pack(name, datatype, tensor.contents)
        inputs.append(Tensor(name, datatype, tuple(tensor.shape), data))
    for output in request.outputs:
        if "shared_memory_region" in output.parameters:
            raise Invalid("shared memory is not supported; request the output in the response")
        if _class_count(output) < 0:
            raise Invalid("classification is the number of classes to return, at least 1")
    return Tensors(tuple(inputs), tuple(output.name for output in request.outputs))


def encode(inferred: Inferred, request: ModelInferRequest) -> ModelInferResponse:
    """Format an answer: typed if the request was typed and every output can be, else raw.

    Large outputs are raw, as typed ones take a time that other requests would wait for. Raises Invalid, TooLarge.
    """
    classes = {output.name: count for output in request.outputs if (count := _class_count(output))}
    tensors = [
        classified(tensor, classes[tensor.name], inferred) if tensor.name in classes else tensor
        for tensor in inferred.tensors
    ]
    response = ModelInferResponse(model_name=inferred.model, model_version=str(inferred.version), id=request.id)
    typed = any(tensor.HasField("contents") for tensor in request.inputs)
    typed = typed and all(tensor.datatype in _CONTENTS for tensor in tensors)
    typed = typed and sum(len(tensor.data) for tensor in tensors) <= MAX_JSON
    for tensor in tensors:
        output = response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if typed:
            getattr(output.contents, _CONTENTS[tensor.datatype]).extend(_unpack(tensor))
        else:
            response.raw_output_contents.append(tensor.data)
    return response


def _class_count(output: ModelInferRequest.InferRequestedOutputTensor) -> int:
    """Return how many classes an output is requested as; 0 for the plain output."""
    if "classification" not in output.parameters:
        return 0
    parameter = output.parameters["classification"]
    return int(parameter.int64_param or parameter.uint64_param)


def _pack(name: str, datatype: str, contents: InferTensorContents) -> bytes:
    field = _CONTENTS.get(datatype)
    if field is None:
        hint = "as raw_input_contents" if datatype in DATATYPES else f"as one of {', '.join(DATATYPES)}"
        raise Invalid(f"the input {name[:80]!r} is {datatype[:20]!r}; send it {hint}")
    values: Sequence[bool | float | bytes] = getattr(contents, field)
    if datatype == "BYTES":
        return packed(contents.bytes_contents)
    try:
        return struct.pack(f"<{len(values)}{DATATYPES[datatype].code}", *values)
    except struct.error as error:
        raise Invalid(f"the input {name[:80]!r} has values that {datatype} cannot hold") from error


def _unpack(tensor: Tensor) -> Sequence[bool | float | bytes]:
    if tensor.datatype == "BYTES":
        return unpacked(tensor.data)
    datatype = DATATYPES[tensor.datatype]
    return struct.unpack(f"<{len(tensor.data) // datatype.size}{datatype.code}", tensor.data)
