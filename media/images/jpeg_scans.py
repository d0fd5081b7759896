"""How much of a JPEG that is cut off can be read, from the structure of its scans."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

SCAN_START = b"\xff\xda"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)  # not within the entropy-coded data of a scan
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SCAN, _END = 0xDA, 0xD9
_UNKNOWN = 99  # the lowest bit of a coefficient that no scan has coded
_ALMOST = 1  # the lowest bit of a coefficient that is precise enough to look at


class _Segment(NamedTuple):
    marker: int
    start: int
    payload: bytes
    complete: bool


def whole_rows(data: bytes, height: int, readable: Callable[[bytes], int]) -> tuple[bytes, int]:
    """Return the bytes before an incomplete segment, and how many rows have all their coefficients.

    A progressive JPEG codes a row in many scans, the last of which add the lowest bits; a row counts if at most the
    last bit of its coefficients is missing. `readable` returns the rows that the scan at the end of the bytes has
    coded. Raises LookupError if there is no scan.
    """
    precision: list[list[int]] = []
    identifiers: list[int] = []
    scan: bytes | None = None
    for segment in _segments(data):
        if not segment.complete:
            data = data[: segment.start]
            break
        if segment.marker in _FRAMES and not precision:
            identifiers = list(segment.payload[6::3])
            precision = [[_UNKNOWN] * 64 for _ in identifiers]
        elif segment.marker in (_SCAN, _END):
            if scan is not None:
                _apply(scan, precision, identifiers)
            scan = segment.payload if segment.marker == _SCAN else None
    if scan is None or _complete(precision):
        return data, height if _complete(precision) else 0
    _apply(scan, precision, identifiers)
    return data, readable(data) if _complete(precision) else 0


def _segments(data: bytes) -> Iterator[_Segment]:
    position = 2
    while (match := _MARKER.search(data, position)) is not None:
        start, marker = match.start(), data[match.start() + 1]
        if marker == _END:
            yield _Segment(marker, start, b"", True)
            return
        length = int.from_bytes(data[start + 2 : start + 4], "big")
        position = start + 2 + max(2, length)
        yield _Segment(marker, start, data[start + 4 : position], position <= len(data))


def _apply(scan: bytes, precision: list[list[int]], identifiers: list[int]) -> None:
    """Note which coefficients a scan codes, and to which bit."""
    count = scan[0]
    first, last, bits = scan[1 + 2 * count : 4 + 2 * count]
    for identifier in scan[1 : 1 + 2 * count : 2]:
        coefficients = precision[identifiers.index(identifier)]
        coefficients[first : last + 1] = [bits & 15] * len(coefficients[first : last + 1])


def _complete(precision: list[list[int]]) -> bool:
    return bool(precision) and all(bit <= _ALMOST for bits in precision for bit in bits)
