"""The body of an infer request and its answer: JSON, followed by the raw tensors of the binary extension."""

import re
from typing import NamedTuple

import msgspec

from contract.errors import Invalid, Malformed, TooLarge
from contract.inference import Tensor, Tensors
from services.gateway.oip.classification import classified
from services.gateway.oip.json_codec import MAX_JSON, non_finite_json, packed_json, plain_json
from services.gateway.oip.messages import (
    InferRequest,
    InferResponse,
    InputTensor,
    OutputTensor,
    quoted_non_finite,
    too_deep,
)
from services.gateway.serving.dataplane import Inferred

_decode = msgspec.json.Decoder(InferRequest).decode
_encode = msgspec.json.Encoder().encode

_PATH = re.compile(r"`\$\.?(?P<path>[^`]*)`$")


class ParsedRequest(msgspec.Struct, frozen=True):
    """A parsed request; `binary` maps an output's name to whether it is sent raw, and None to the default.

    `classes` maps an output's name to the number of its best classes, if it is requested as a classification.
    """

    tensors: Tensors
    id: str
    timeout_s: float | None
    binary: dict[str | None, bool]
    classes: dict[str, int]


class Encoded(NamedTuple):
    """An answer's headers, in ASGI's form, and its body."""

    headers: list[tuple[bytes, bytes]]
    body: bytes


def decode(body: bytes, json_size: int | None) -> ParsedRequest:
    """Parse a request whose first `json_size` bytes (None: all bytes) are JSON.

    Raises Malformed, and Invalid for what the protocol does not allow; the data plane checks the shapes.
    """
    if json_size is not None and json_size > len(body):
        raise Malformed("Inference-Header-Content-Length is larger than the body")
    request = _parse(body if json_size is None else body[:json_size])
    offset = len(body) if json_size is None else json_size
    inputs = []
    for tensor in request.inputs:
        size = tensor.parameters.binary_data_size
        if size is None:
            data = _from_json(tensor)
        else:
            data = body[offset : offset + size]
            offset += size
        inputs.append(Tensor(tensor.name, tensor.datatype, tensor.shape, data))
    if offset != len(body):
        raise Malformed("the binary_data_size of all inputs must add up to the number of bytes after the JSON")
    binary: dict[str | None, bool] = {None: request.parameters.binary_data_output}
    classes = {}
    for output in request.outputs:
        parameters = output.parameters
        if parameters.shared_memory_region is not None:
            raise Invalid("shared memory is not supported; request the output in the response")
        if parameters.classification:
            classes[output.name] = parameters.classification
        if parameters.binary_data is not None:
            binary[output.name] = parameters.binary_data
    timeout = request.parameters.timeout
    names = tuple(output.name for output in request.outputs)
    tensors = Tensors(tuple(inputs), names)
    return ParsedRequest(tensors, request.id, timeout / 1e6 if timeout else None, binary, classes)


def _parse(text: bytes) -> InferRequest:
    try:
        return _decode_relaxed(text)
    except msgspec.ValidationError as error:
        match = _PATH.search(str(error))
        where = (match and match["path"]) or "its top level"
        raise Invalid(f"the request does not follow the inference protocol at {where}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed("the body, or its first Inference-Header-Content-Length bytes, is not JSON") from error
    except RecursionError as error:
        raise too_deep() from error


def _decode_relaxed(text: bytes) -> InferRequest:
    try:
        return _decode(text)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if (quoted := quoted_non_finite(text)) == text:
            raise
        return _decode(quoted)


def encode(inferred: Inferred, request: ParsedRequest) -> Encoded:
    """Format an answer, each output in the requested form.

    Raises Invalid for BYTES that JSON cannot hold, and TooLarge for outputs that take too long to write as JSON.
    """
    outputs, raw, elements = [], [], 0
    default = request.binary[None]
    for tensor in inferred.tensors:
        if count := request.classes.get(tensor.name):
            tensor = classified(tensor, count, inferred)  # noqa: PLW2901
        description = (tensor.name, tensor.datatype, tensor.shape)
        if request.binary.get(tensor.name, default):
            outputs.append(OutputTensor(*description, parameters={"binary_data_size": len(tensor.data)}))
            raw.append(tensor.data)
        else:
            elements += len(tensor.data)
            if elements > MAX_JSON:
                raise TooLarge(f"outputs of more than {MAX_JSON} bytes are too large for JSON; request binary data")
            outputs.append(OutputTensor(*description, data=plain_json(tensor)))
    header = _encode(InferResponse(inferred.model, str(inferred.version), outputs, request.id))
    if b"null" in header:  # msgspec's NaN and infinities, or a text
        outputs = [non_finite_json(output) for output in outputs]
        header = _encode(InferResponse(inferred.model, str(inferred.version), outputs, request.id))
    if not raw:
        return Encoded([(b"content-type", b"application/json"), (b"content-length", b"%d" % len(header))], header)
    body = b"".join((header, *raw))
    headers = [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", b"%d" % len(body)),
        (b"inference-header-content-length", b"%d" % len(header)),
    ]
    return Encoded(headers, body)


def _from_json(tensor: InputTensor) -> bytes:
    if tensor.parameters.shared_memory_region is not None:
        raise Invalid("shared memory is not supported; send the tensor in the request")
    if tensor.data is msgspec.UNSET:
        raise Invalid(f"the input {tensor.name[:80]!r} has neither data nor binary_data_size")
    return packed_json(tensor.name, tensor.datatype, tensor.data)
