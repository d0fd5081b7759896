"""The JSON messages of the Open Inference Protocol as msgspec structs, which validate while they parse."""

from typing import Annotated, Any

from msgspec import UNSET, DecodeError, Meta, Raw, Struct, UnsetType, json

from contract.errors import Invalid, Malformed

Axis = Annotated[int, Meta(ge=0, le=2**40)]


class TensorParameters(Struct, frozen=True):
    """Parameters of the binary tensor extension, and those that are refused: classification and shared memory."""

    binary_data_size: Annotated[int, Meta(ge=0)] | None = None
    binary_data: bool | None = None
    classification: int = 0
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
    data: list[Any] | UnsetType = UNSET


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
    except (DecodeError, UnicodeDecodeError) as error:
        raise Malformed("the body is not a JSON object with `parameters`") from error
    if request.parameters:
        raise Invalid("a model is published with its configuration; send no parameters")
