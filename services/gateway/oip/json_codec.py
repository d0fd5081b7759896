"""The elements of a tensor as JSON: reads flat or nested arrays, writes flat arrays."""

import itertools
import json
import math
import struct
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from contract.datatypes import DATATYPES, packed, unpacked
from contract.errors import Invalid, Malformed
from contract.inference import Tensor
from services.gateway.edge.json_text import MAX_DEPTH
from services.gateway.oip.messages import OutputTensor, too_deep

MAX_JSON = 4 << 20  # bytes of JSON in a request, and of elements that are answered as JSON
MAX_ARRAYS = 100_000  # in the data of one tensor; each empty one takes 60 bytes of memory for 2 of JSON

_ELEMENT: dict[str, type] = {"BOOL": bool, "FP16": float, "BF16": float, "FP32": float, "FP64": float, "BYTES": str}
_NON_FINITE = {sign + name: float(sign + name) for sign in ("", "-") for name in ("Inf", "Infinity")} | {
    "NaN": math.nan
}
_FLAT: dict[str, Callable[[bytes], list[Any]]] = {
    name: msgspec.json.Decoder(list[_ELEMENT.get(name, int)]).decode  # type: ignore[misc]
    for name in DATATYPES
}


def packed_json(name: str, datatype: str, data: msgspec.Raw) -> bytes:
    """Convert a JSON array of numbers, booleans or strings, nested or not, to raw bytes; raises Invalid, Malformed.

    In floats, "NaN", "Infinity", "Inf" and their negatives are numbers.
    """
    if datatype not in DATATYPES:
        raise Invalid(f"{datatype[:20]!r} is not a data type of the protocol; use one of {', '.join(DATATYPES)}")
    try:
        return _pack(datatype, _elements(datatype, bytes(data)))
    except (msgspec.ValidationError, struct.error, OverflowError) as error:
        raise Invalid(f"the data of {name[:80]!r} must be an array of values that {datatype} can hold") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed("the body is not JSON") from error
    except RecursionError as error:
        raise too_deep() from error


def plain_json(tensor: Tensor) -> list[Any]:
    """Return the elements of a tensor, row-major, for JSON; raises Invalid for BYTES that are not UTF-8."""
    datatype = DATATYPES[tensor.datatype]
    if datatype.name == "BYTES":
        try:
            return [element.decode() for element in unpacked(tensor.data)]
        except UnicodeDecodeError as error:
            raise Invalid(f"the output {tensor.name!r} is not UTF-8 text; request binary data") from error
    if datatype.name == "BF16":
        halves = struct.unpack(f"<{len(tensor.data) // 2}H", tensor.data)
        return list(
            struct.unpack(f"<{len(halves)}f", struct.pack(f"<{len(halves)}I", *(half << 16 for half in halves)))
        )
    return list(struct.unpack(f"<{len(tensor.data) // datatype.size}{datatype.code}", tensor.data))


def non_finite_json(output: OutputTensor) -> OutputTensor:
    """Return an output whose NaN and infinities are written as NaN, Infinity and -Infinity, as Triton writes them."""
    if not isinstance(output.data, list) or not any(isinstance(value, float) for value in output.data[:1]):
        return output
    return msgspec.structs.replace(output, data=msgspec.Raw(json.dumps(output.data).encode()))


def _elements(datatype: str, data: bytes) -> list[Any]:
    try:
        return _FLAT[datatype](data)
    except msgspec.ValidationError:  # perhaps because it is nested
        if data.count(b"[") > MAX_ARRAYS and datatype != "BYTES":
            raise Invalid("the data has too many arrays; send the elements of a tensor as a flat array") from None
        kind = _ELEMENT.get(datatype, int)
        values = _flat(msgspec.json.decode(data))
        if kind is float:
            values = [_NON_FINITE.get(value, value) if isinstance(value, str) else value for value in values]
        return msgspec.convert(values, list[kind])  # type: ignore[valid-type]


def _flat(value: Any) -> list[Any]:
    depth = 1
    while isinstance(value, list) and value and all(isinstance(element, list) for element in value):
        value, depth = list(itertools.chain.from_iterable(value)), depth + 1
        if depth > MAX_DEPTH:
            raise too_deep()
    return value if isinstance(value, list) else [value]


def _pack(datatype: str, elements: Iterable[Any]) -> bytes:
    values = list(elements)
    if datatype == "BYTES":
        return packed(value.encode() for value in values)
    if datatype == "BF16":
        return struct.pack(f"<{len(values)}H", *map(_upper_half, _bits(values)))
    return struct.pack(f"<{len(values)}{DATATYPES[datatype].code}", *values)


def _bits(values: list[float]) -> tuple[int, ...]:
    return struct.unpack(f"<{len(values)}I", struct.pack(f"<{len(values)}f", *values))


def _upper_half(bits: int) -> int:
    """Round a float32 to bfloat16, ties to even; rounding could make an infinity of a NaN."""
    if bits & 0x7FFF_FFFF > 0x7F80_0000:
        return (bits >> 16) | 0x40
    return (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
