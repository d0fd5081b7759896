"""The JSON messages of the Open Inference Protocol as msgspec structs, which validate while they parse."""

import re
from typing import Annotated, Any

from msgspec import UNSET, DecodeError, Meta, Raw, Struct, UnsetType, json

from contract.errors import Invalid, Malformed

# NaN and the infinities outside of strings. An unclosed string reaches to the end, so that the search stays linear.
_NON_FINITE = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|-?\bInf(?:inity)?\b|\bNaN\b', re.DOTALL)

Axis = Annotated[int, Meta(ge=0, le=2**40)]


class TensorParameters(Struct, frozen=True):
    """Parameters of the extensions for binary tensors, for classification, and, refused, for shared memory."""

    binary_data_size: Annotated[int, Meta(ge=0)] | None = None
    binary_data: bool | None = None
    classification: Annotated[int, Meta(ge=0)] = 0
    shared_memory_region: str | None = None


class InputTensor(Struct, frozen=True):
    """An input; its `data` stays unparsed until the data type is known."""

    name: str
    datatype: str
    shape: tuple[Axis, ...]
    parameters: TensorParameters = TensorParameters()
    data: Raw | UnsetType = UNSET


class RequestedOutput(Struct, frozen=True):
    name: str
    parameters: TensorParameters = TensorParameters()


class RequestParameters(Struct, frozen=True):
    """`timeout` is in microseconds, as in Triton's schedule policy extension; other parameters are ignored."""

    binary_data_output: bool = False
    timeout: Annotated[int, Meta(ge=0)] | None = None


class InferRequest(Struct, frozen=True):
    inputs: tuple[InputTensor, ...]
    outputs: tuple[RequestedOutput, ...] = ()
    id: str = ""
    parameters: RequestParameters = RequestParameters()


class OutputTensor(Struct, frozen=True):
    """An output with its data, or with its size in the binary part."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: dict[str, int] | UnsetType = UNSET
    data: list[Any] | Raw | UnsetType = UNSET


class InferResponse(Struct, frozen=True, omit_defaults=True):
    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str = ""


class LoadRequest(Struct, frozen=True):
    parameters: dict[str, Any] | None = None


def read_load(body: bytes) -> None:
    """Check the body of a load request; raises Malformed, and Invalid if it overrides the model's configuration."""
    try:
        request = json.decode(body or b"{}", type=LoadRequest)
    except RecursionError as error:
        raise too_deep() from error
    except (DecodeError, UnicodeDecodeError) as error:
        raise Malformed("the body is not a JSON object with `parameters`") from error
    if request.parameters:
        raise Invalid("a model is published with its configuration; send no parameters")


def quoted_non_finite(text: bytes) -> bytes:
    """Put NaN, Inf, Infinity and their negatives in quotes: Triton's clients send them, but JSON does not have them."""

    def quoted(match: re.Match[bytes]) -> bytes:
        token = match[0]
        return token if token.startswith(b'"') else b'"%s"' % token

    return _NON_FINITE.sub(quoted, text) if b"NaN" in text or b"Inf" in text else text


def too_deep() -> Malformed:
    """Return the error for a tensor nested deeper than MAX_DEPTH, or JSON deeper than the parser's 1,000 levels."""
    return Malformed("the JSON is nested too deeply; send the elements of a tensor as a flat array")
