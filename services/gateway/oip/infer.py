"""The hot path of the protocol over HTTP: from the bytes of a request to the bytes of its answer."""

import math
from collections.abc import Iterable

from starlette.concurrency import run_in_threadpool

from contract.errors import Invalid, Malformed
from services.gateway.oip.binary_codec import Encoded, decode, encode
from services.gateway.oip.compression import inflate
from services.gateway.oip.dataplane import DataPlane

LARGE = 1 << 18  # bytes of JSON or of a compressed body; reading more would hold up every other request

Headers = Iterable[tuple[bytes, bytes]]


async def infer(plane: DataPlane, headers: Headers, body: bytes, model: str, version: str, limit: int) -> Encoded:
    """Answer one request, whose body may unpack to `limit` bytes; `headers` have lower-case names, as in ASGI.

    Raises what `decode`, `inflate` and `DataPlane.infer` raise.
    """
    encoding = length = deadline = b""
    for name, value in headers:
        if name == b"inference-header-content-length":
            length = value
        elif name == b"content-encoding":
            encoding = value
        elif name == b"x-request-timeout":
            deadline = value
    if encoding:
        body = await run_in_threadpool(inflate, body, encoding.decode("latin-1"), limit)
    if length and not (length.isdigit() and len(length) <= 18):
        raise Malformed("Inference-Header-Content-Length is not a number of bytes")
    json_size = int(length) if length else None
    if (len(body) if json_size is None else json_size) > LARGE:
        wanted = await run_in_threadpool(decode, body, json_size)
    else:
        wanted = decode(body, json_size)
    within_s = _seconds(deadline) if deadline else wanted.timeout_s
    return encode(await plane.infer(model, version, wanted.tensors, within_s), wanted)


def _seconds(text: bytes) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found <= 300:
        raise Invalid("X-Request-Timeout is in seconds, above 0 and at most 300")
    return found
