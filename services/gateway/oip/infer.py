"""The only place that reads the headers of an infer request: from the bytes of a request to the bytes of its answer."""

import math
from collections.abc import Iterable

from starlette.concurrency import run_in_threadpool

from contract.errors import Invalid, Malformed
from services.gateway.oip.binary_codec import Encoded, decode, encode
from services.gateway.oip.compression import inflate
from services.gateway.serving.dataplane import DataPlane

LARGE = 1 << 18  # bytes of JSON or of a compressed body; reading more would hold up every other request

UNUSUAL = frozenset((b"content-encoding", b"x-request-timeout"))  # headers of requests that cost more than others

Headers = Iterable[tuple[bytes, bytes]]


async def infer(plane: DataPlane, headers: Headers, body: bytes, model: str, version: str, limit: int) -> Encoded:
    """Answer one request, whose body may unpack to `limit` bytes; `headers` have lower-case names, as in ASGI.

    Raises what `decode`, `inflate` and `DataPlane.infer` raise.
    """
    given = dict(headers)
    if encoding := given.get(b"content-encoding"):
        body = await run_in_threadpool(inflate, body, encoding.decode("latin-1"), limit)
    json_size = json_size_of(given.get(b"inference-header-content-length", b""))
    if (len(body) if json_size is None else json_size) > LARGE:
        wanted = await run_in_threadpool(decode, body, json_size)
    else:
        wanted = decode(body, json_size)
    deadline = given.get(b"x-request-timeout")
    within_s = _seconds(deadline) if deadline else wanted.timeout_s
    return encode(await plane.infer(model, version, wanted.tensors, within_s), wanted)


def json_size_of(length: bytes) -> int | None:
    """The bytes of JSON that Inference-Header-Content-Length tells, None without; raises Malformed."""
    if length and not (length.isdigit() and len(length) <= 18):
        raise Malformed("Inference-Header-Content-Length is not a number of bytes")
    return int(length) if length else None


def _seconds(text: bytes) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found <= 300:
        raise Invalid("X-Request-Timeout is in seconds, above 0 and at most 300")
    return found
