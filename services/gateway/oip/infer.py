"""An infer request over HTTP: from its headers and body to the bytes of its answer."""

import math
from collections.abc import Iterable

from starlette.concurrency import run_in_threadpool

from contract.errors import Invalid, Malformed
from services.gateway.oip.binary_codec import Encoded, decode, encode
from services.gateway.oip.compression import inflate
from services.gateway.serving.dataplane import DataPlane

LARGE = 1 << 18  # bytes of JSON; parsing more would block the event loop for too long

UNUSUAL = frozenset((b"content-encoding", b"x-request-timeout"))  # headers that the fast path does not handle

Headers = Iterable[tuple[bytes, bytes]]


async def infer(plane: DataPlane, raw: Headers, body: bytes, source: tuple[str, str, str], limit: int) -> Encoded:
    """Answer one request for `source`, the project, model and version; its body may decompress to `limit` bytes.

    The names of the `raw` headers are lower-case, as in ASGI.

    Raises what `decode`, `inflate` and `DataPlane.infer` raise.
    """
    headers = dict(raw)
    if encoding := headers.get(b"content-encoding"):
        body = await run_in_threadpool(inflate, body, encoding.decode("latin-1"), limit)
    json_size = json_size_of(headers.get(b"inference-header-content-length", b""))
    if (len(body) if json_size is None else json_size) > LARGE:
        request = await run_in_threadpool(decode, body, json_size)
    else:
        request = decode(body, json_size)
    deadline = headers.get(b"x-request-timeout")
    within_s = _seconds(deadline) if deadline else request.timeout_s
    return encode(await plane.infer(*source, request.tensors, within_s), request)


def json_size_of(length: bytes) -> int | None:
    """Parse Inference-Header-Content-Length, the size of the JSON; None if it is absent. Raises Malformed."""
    if length and not (length.isdigit() and len(length) <= 18):
        raise Malformed("Inference-Header-Content-Length is not a number of bytes")
    return int(length) if length else None


def _seconds(text: bytes) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 300:
        raise Invalid("X-Request-Timeout is in seconds, above 0 and at most 300")
    return seconds
