"""The classification extension: the best classes of an output as text, instead of its numbers."""

import heapq
import math
from collections.abc import Sequence

from contract.datatypes import packed
from contract.errors import Invalid, TooLarge
from contract.inference import Tensor
from services.gateway.oip.json_codec import MAX_JSON, plain_json
from services.gateway.serving.dataplane import Inferred


def classified(tensor: Tensor, count: int, inferred: Inferred) -> Tensor:
    """Return the `count` largest values of each row as BYTES, `value:index` or `value:index:label`, largest first.

    As in Triton, values have six decimals, and a model that has no batch axis has one row. The labels are those of the
    model if there are as many as values. Raises Invalid for an output of texts,
    and TooLarge for one that takes too long to search.
    """
    if tensor.datatype == "BYTES":
        raise Invalid(f"the output {tensor.name!r} has texts, which have no classification; request the plain output")
    if len(tensor.data) > MAX_JSON:
        raise TooLarge(f"an output of more than {MAX_JSON} bytes has no classification; request the plain output")
    values = plain_json(tensor)
    rows = tensor.shape[0] if inferred.batched and tensor.shape else 1
    width = len(values) // rows if rows else 0
    count = min(count, width)
    labels = inferred.labels if len(inferred.labels) == width else ()
    elements = [
        element for row in range(rows) for element in _best(values[row * width : (row + 1) * width], count, labels)
    ]
    shape = (rows, count) if inferred.batched and tensor.shape else (count,)
    return Tensor(tensor.name, "BYTES", shape, packed(elements))


def _best(row: Sequence[float], count: int, labels: Sequence[str]) -> list[bytes]:
    order = heapq.nsmallest(count, range(len(row)), key=lambda index: (math.isnan(row[index]), -row[index], index))
    return [_described(row[index], index, labels) for index in order]


def _described(value: float, index: int, labels: Sequence[str]) -> bytes:
    number = f"{value:.6f}" if isinstance(value, float) else f"{value:d}"
    return ":".join((number, str(index), *labels[index : index + 1])).encode()
